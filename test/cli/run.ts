import { type ChildProcess, spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

export const MAIN = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));

export interface Result {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | null;
}

/** Starts `gpt2` with these arguments, as a user would, without a terminal. Its standard input is left open. */
export function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, GPT2_THREADS: "1", ...env } });
}

/** Runs `gpt2` to its end, with `input` on standard input. */
export async function gpt2(args: readonly string[], input = "", env: NodeJS.ProcessEnv = {}): Promise<Result> {
  const child = start(args, env);
  child.stdin!.on("error", () => {}); // It may end without reading.
  child.stdin!.end(input);
  const [stdout, stderr, status] = await Promise.all([text(child.stdout!), text(child.stderr!), exitOf(child)]);
  return { stdout, stderr, status };
}

export function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.on("close", (code) => resolve(code)));
}
