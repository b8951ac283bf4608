/** The benchmark's end of protocol.ts: a contender's process. It is stopped whenever it has nothing to do. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { MARK, type Ready, type Result, type Task } from "./protocol.js";

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Characters of a failed contender's complaints to repeat. */
const TAIL = 2000;
const alive = new Set<WorkerProcess>();

export class WorkerProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #replies: AsyncIterator<unknown>;
  #complaints = "";
  description = "";

  private constructor({ file, args, env }: Command) {
    this.#child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...env } });
    this.#child.stdin.on("error", () => {}); // a contender that died; the missing reply tells
    this.#child.on("error", (error) => {
      this.#complaints += error.message;
    });
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#complaints = (this.#complaints + text).slice(-TAIL);
    });
    this.#replies = replies(this.#child.stdout)[Symbol.asyncIterator]();
    alive.add(this);
  }

  /** Starts it and waits until it has loaded its model. */
  static async start(command: Command): Promise<WorkerProcess> {
    const worker = new WorkerProcess(command);
    worker.description = (await worker.#reply<Ready>()).description;
    worker.#pause();
    return worker;
  }

  /** @throws {Error} with what it printed, if it died. */
  async request<R extends Result>(task: Task): Promise<R> {
    this.#child.kill("SIGCONT");
    this.#child.stdin.write(`${JSON.stringify(task)}\n`);
    const result = await this.#reply<R>();
    this.#pause();
    return result;
  }

  /** The most memory it ever held, in bytes; undefined where the system does not tell. */
  get peakBytes(): number | undefined {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
      return 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
    } catch {
      return undefined;
    }
  }

  stop(): void {
    alive.delete(this);
    this.#child.kill("SIGKILL");
  }

  /** So that threads which wait by spinning take nothing from the next contender, or from the limits. */
  #pause(): void {
    if (process.platform !== "win32") this.#child.kill("SIGSTOP");
  }

  async #reply<T>(): Promise<T> {
    const { value, done } = await this.#replies.next();
    if (!done) return value as T;
    this.stop();
    throw new Error(this.#complaints.trim() || "it ended without a word");
  }
}

async function* replies(stdout: Readable): AsyncGenerator<unknown> {
  for await (const line of createInterface({ input: stdout })) {
    if (line.startsWith(MARK)) yield JSON.parse(line.slice(MARK.length));
  }
}

/** Whatever ends the benchmark: a stopped process would otherwise stay for ever. */
export function stopAllOnExit(): void {
  process.on("exit", () => {
    for (const worker of alive) worker.stop();
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));
}
