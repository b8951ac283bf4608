/** `gpt2 train …` in a process of its own. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { packageRoot } from "../../src/util/package-root.js";

const program = `
  import { Command } from "commander";
  const { registerTrain } = await import(${JSON.stringify(new URL("../../src/cli/commands/train.js", import.meta.url).href)});
  const program = new Command("gpt2");
  registerTrain(program);
  try {
    await program.parseAsync(["node", "gpt2", "train", ...process.argv.slice(1)]);
  } catch (error) {
    console.error(error.name + " " + error.message);
    process.exitCode = 1;
  }`;

export interface TrainResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TrainProcess {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly done: Promise<TrainResult>;
}

/** @param prefix a shell command to run it under, such as `ulimit -f 64;` */
export function startTrain(args: readonly string[], prefix?: string): TrainProcess {
  const node = [process.execPath, "--input-type=module", "-e", program, "--", ...args];
  const command = prefix === undefined ? node : ["/bin/sh", "-c", `${prefix} exec "$@"`, "sh", ...node];
  const [file, ...rest] = command as [string, ...string[]];
  const child = spawn(file, rest, { cwd: packageRoot(), stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const done = once(child, "close").then(([code, signal]) => ({ code, signal, stdout, stderr }));
  return { child, done };
}
