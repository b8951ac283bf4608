import { type ChildProcess, spawn } from "node:child_process";
import { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { runCommand } from "../../src/cli/program.js";

/**
 * Two ways to run `gpt2`. The function `gpt2` runs in this process, which saves the start of Node and of all modules,
 * and tests what commands do; `gpt2Process` starts a process, as a user would, and tests signals, pipes, environments
 * and exit codes.
 */

export const MAIN = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));

export interface Result {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | null;
}

const ONE_THREAD = { GPT2_THREADS: "1" };

/** The current run. The standard streams belong to the process, so there is one run at a time. */
let running: Promise<unknown> = Promise.resolve();

/** Runs `gpt2` to its end in this process, with `input` on standard input and without a terminal. */
export function gpt2(args: readonly string[], input = "", env: NodeJS.ProcessEnv = {}): Promise<Result> {
  const result = running.then(() => runHere(args, input, { ...ONE_THREAD, ...env }));
  running = result.catch(() => {});
  return result;
}

async function runHere(args: readonly string[], input: string, env: NodeJS.ProcessEnv): Promise<Result> {
  const [stdout, stderr] = [new Collector(), new Collector()];
  const streams = { stdin: Readable.from([Buffer.from(input)], { objectMode: false }), stdout, stderr };
  const before = { env: { ...process.env }, exitCode: process.exitCode };
  const restore = Object.entries(streams).map(([name, value]) => swapStream(name, value));
  Object.assign(process.env, env);
  process.exitCode = undefined;
  try {
    await runCommand(args);
    return { stdout: stdout.text, stderr: stderr.text, status: Number(process.exitCode ?? 0) };
  } finally {
    process.exitCode = before.exitCode;
    for (const name of Object.keys(env)) restoreVariable(name, before.env[name]);
    for (const undo of restore) undo();
  }
}

/** Replaces a standard stream of the process; the test runner holds the original. */
function swapStream(name: string, value: Readable | Writable): () => void {
  const original = Object.getOwnPropertyDescriptor(process, name)!;
  Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => value });
  return () => Object.defineProperty(process, name, original);
}

function restoreVariable(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

/** A stream that keeps what is written to it. */
class Collector extends Writable {
  readonly #chunks: Buffer[] = [];

  get text(): string {
    return Buffer.concat(this.#chunks).toString();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#chunks.push(chunk);
    done();
  }
}

/** Starts `gpt2` with these arguments in a new process, without a terminal. Its standard input is left open. */
export function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...ONE_THREAD, ...env } });
}

/** Runs `gpt2` to its end in a new process, with `input` on standard input. */
export async function gpt2Process(args: readonly string[], input = "", env: NodeJS.ProcessEnv = {}): Promise<Result> {
  const child = start(args, env);
  child.stdin!.on("error", () => {}); // It may end without reading.
  child.stdin!.end(input);
  const [stdout, stderr, status] = await Promise.all([text(child.stdout!), text(child.stderr!), exitOf(child)]);
  return { stdout, stderr, status };
}

export function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.on("close", (code) => resolve(code)));
}
