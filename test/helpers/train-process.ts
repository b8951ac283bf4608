/** `gpt2 train …` in a new process. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { packageRoot } from "../../src/util/package-root.js";

const MAIN = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));

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

/** @param prefix a shell command under which it runs, such as `ulimit -f 64;` */
export function startTrain(args: readonly string[], prefix?: string): TrainProcess {
  const node = [process.execPath, MAIN, "train", ...args];
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
