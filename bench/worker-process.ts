/** The benchmark's end of protocol.ts: a contender's process. It is stopped whenever it has nothing to do. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { processMemory } from "./process-memory.js";
import { MARK, type Outcome, type Ready, type Result, type Task } from "./protocol.js";

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Number of characters of a failed contender's output to repeat. */
const TAIL = 2000;
/** A process group can be stopped and ended together with a contender's child processes, such as a browser. */
const GROUPS = process.platform !== "win32";
const alive = new Set<WorkerProcess>();

export class WorkerProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #startedAt = performance.now();
  #replies: AsyncIterator<unknown> | undefined;
  #ready: Ready = { description: "" };
  #complaints = "";

  private constructor({ file, args, env }: Command) {
    this.#child = spawn(file, args, {
      stdio: ["pipe", "pipe", "pipe"],
      // Node reads and checks all of these certificates at each start, which doubles the time of a start; they are not
      // needed here.
      env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, ...env },
      detached: GROUPS,
    });
    this.#child.stdin.on("error", () => {}); // the contender died; the missing reply shows it
    this.#child.on("error", (error) => {
      this.#complaints += error.message;
    });
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#complaints = (this.#complaints + text).slice(-TAIL);
    });
    alive.add(this);
  }

  /** Starts the process, and waits until it has loaded its model. */
  static async start(command: Command): Promise<WorkerProcess> {
    const worker = new WorkerProcess(command);
    worker.#ready = await worker.#reply<Ready>();
    worker.#signal("SIGSTOP");
    return worker;
  }

  /** A process that does one task, given to it at its start, and ends. */
  static async once(command: Command, task: Task): Promise<Outcome & Ready> {
    const worker = new WorkerProcess(command);
    try {
      worker.#send(task);
      worker.#ready = await worker.#reply<Ready>();
      return { ...worker.#ready, ...(await worker.#outcome()) };
    } finally {
      worker.stop();
    }
  }

  /** Seconds from the start of a program to its first output. */
  static async firstOutput(command: Command): Promise<number> {
    const worker = new WorkerProcess(command);
    try {
      for await (const _ of worker.#child.stdout) return worker.#age;
      throw worker.#failure();
    } finally {
      worker.stop();
    }
  }

  get description(): string {
    return this.#ready.description;
  }

  /** @throws {Error} it died; with its output. */
  async request(task: Task): Promise<Outcome> {
    this.#signal("SIGCONT");
    this.#send(task);
    const outcome = await this.#outcome();
    this.#signal("SIGSTOP"); // its threads may spin while they wait, which would slow down the next contender, or the limits
    return outcome;
  }

  /** The peak of its memory, in bytes; undefined where the system does not report it. */
  get peakBytes(): number | undefined {
    return processMemory(this.#child.pid)?.peak;
  }

  stop(): void {
    alive.delete(this);
    this.#signal("SIGKILL");
  }

  get #age(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  #send(task: Task): void {
    this.#child.stdin.write(`${JSON.stringify(task)}\n`);
  }

  #signal(signal: "SIGSTOP" | "SIGCONT" | "SIGKILL"): void {
    const { pid } = this.#child;
    if (!GROUPS) {
      if (signal === "SIGKILL") this.#child.kill(signal);
    } else if (pid !== undefined) {
      try {
        process.kill(-pid, signal);
      } catch {
        // The whole group has ended.
      }
    }
  }

  async #outcome(): Promise<Outcome> {
    const result = await this.#reply<Result>();
    const secondsSinceStart = this.#age;
    const { cacheBytes } = this.#ready;
    const memory = cacheBytes === undefined ? undefined : processMemory(this.#child.pid);
    return { result, secondsSinceStart, ownBytes: memory && memory.own - cacheBytes! };
  }

  async #reply<T>(): Promise<T> {
    this.#replies ??= replies(this.#child.stdout)[Symbol.asyncIterator]();
    const { value, done } = await this.#replies.next();
    if (!done) return value as T;
    this.stop();
    throw this.#failure();
  }

  #failure(): Error {
    return new Error(this.#complaints.trim() || "it ended without a word");
  }
}

async function* replies(stdout: Readable): AsyncGenerator<unknown> {
  for await (const line of createInterface({ input: stdout })) {
    if (line.startsWith(MARK)) yield JSON.parse(line.slice(MARK.length));
  }
}

/** However the benchmark ends: a stopped process would otherwise stay forever. */
export function stopAllOnExit(): void {
  process.on("exit", () => {
    for (const worker of alive) worker.stop();
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));
}
