import { parentPort, type Transferable, type Worker, type WorkerOptions, workerData } from "node:worker_threads";
import * as errors from "../errors.js";
import { yieldToEventLoop } from "./event-loop.js";

/**
 * A pool of Node worker threads that all do the same work: a request in, a reply out. (The WebAssembly backend's workers are not
 * such a pool: they share one memory, compute parts of one run and wait for each other, and they run in browsers as well.)
 */
/** The work of one worker; without workers, of the calling thread. */
export interface WorkHandler<Request, Reply, Message = never> {
  reply(request: Request): Reply;
  /** Buffers that are transferred with the reply instead of being copied. */
  transfer?(reply: Reply): Transferable[];
  /** Receives the messages of {@link WorkerPool.broadcast}. */
  receive?(message: Message): void;
}

export interface WorkerPoolOptions<Data, Request, Reply, Message> {
  /** A name for the work, in errors: `encoding text`. */
  readonly op: string;
  /**
   * Starts a worker from a module that calls {@link serveWork}. The caller writes out
   * `new Worker(new URL("…", import.meta.url), options)`, because bundlers find workers by it.
   */
  readonly start: (options: WorkerOptions) => Worker;
  /** Passed to each worker. */
  readonly data: Data;
  /** 0: inline, on this thread. */
  readonly workers: number;
  /** The handler of the script, for inline work. */
  readonly handler: (data: Data) => WorkHandler<Request, Reply, Message>;
}

type Envelope<Request, Message> = { readonly id: number; readonly request: Request } | { readonly message: Message };

type Answer<Reply> =
  | { readonly id: number; readonly reply: Reply }
  | { readonly id: number; readonly failure: Failure };

/** An error in transit from a worker: classes are lost on the way. */
interface Failure {
  readonly name: string;
  readonly message: string;
  /** Details of a GPT2Error. */
  readonly details?: errors.ErrorDetails;
}

export class WorkerPool<Data, Request, Reply, Message = never> {
  readonly #op: string;
  readonly #workers: Worker[] = [];
  /** Number of requests under way at each worker. */
  readonly #load: number[] = [];
  readonly #waiting = new Map<number, { resolve(reply: Reply): void; reject(error: unknown): void }>();
  readonly #inline: WorkHandler<Request, Reply, Message> | undefined;
  #next = 0;
  #failure: unknown;

  constructor({ op, start, data, workers, handler }: WorkerPoolOptions<Data, Request, Reply, Message>) {
    this.#op = op;
    if (workers === 0) this.#inline = handler(data);
    for (let i = 0; i < workers; i++) {
      // Without this process's own flags: a worker refuses to start with --input-type, which a program given by -e has.
      const worker = start({ workerData: data, execArgv: [] });
      this.#load.push(0);
      worker.on("message", (answer: Answer<Reply>) => this.#settle(i, answer));
      worker.on("error", (error) => this.#fail(error));
      worker.on("exit", (code) => {
        if (code === 0) return;
        const expected = "a worker that runs until its pool is closed";
        this.#fail(new errors.GPT2Error({ op, expected, got: `one that ended with code ${code}` }));
      });
      this.#workers.push(worker);
    }
  }

  /** The number of requests that keeps every worker busy, to be started before awaiting the first. */
  get depth(): number {
    return Math.max(1, 3 * this.#workers.length);
  }

  /** @param transfer buffers that are moved to the worker, and must not be used afterwards */
  async run(request: Request, transfer: Transferable[] = []): Promise<Reply> {
    if (this.#inline) {
      // The caller's event loop gets a turn between requests.
      await yieldToEventLoop();
      return this.#inline.reply(request);
    }
    if (this.#failure !== undefined) throw this.#failure;
    const id = this.#next++;
    const least = this.#load.indexOf(Math.min(...this.#load));
    this.#load[least]!++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#post(this.#workers[least]!, { id, request }, transfer);
    });
  }

  /** The replies to a stream of requests, in order, with {@link depth} requests under way. */
  async *map(
    requests: AsyncIterable<Request>,
    transfer: (request: Request) => Transferable[] = () => [],
  ): AsyncGenerator<Reply, void, undefined> {
    const waiting: Promise<Reply>[] = [];
    for await (const request of requests) {
      const reply = this.run(request, transfer(request));
      // Awaited later, in order; until then a failure must not count as unhandled.
      reply.catch(() => {});
      waiting.push(reply);
      if (waiting.length >= this.depth) yield await waiting.shift()!;
    }
    while (waiting.length > 0) yield await waiting.shift()!;
  }

  /** Sends a message to every worker, ahead of all later requests. */
  broadcast(message: Message): void {
    this.#inline?.receive?.(message);
    for (const worker of this.#workers) this.#post(worker, { message });
  }

  async close(): Promise<void> {
    for (const worker of this.#workers) worker.removeAllListeners("exit");
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #post(worker: Worker, envelope: Envelope<Request, Message>, transfer: Transferable[] = []): void {
    worker.postMessage(envelope, transfer);
  }

  #settle(worker: number, answer: Answer<Reply>): void {
    this.#load[worker]!--;
    const { resolve, reject } = this.#waiting.get(answer.id)!;
    this.#waiting.delete(answer.id);
    if ("reply" in answer) resolve(answer.reply);
    else reject(revive(answer.failure, this.#op));
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** Answers the requests of the pool that started this worker; does nothing in a thread that no pool started. */
export function serveWork<Data, Request, Reply, Message = never>(
  handler: (data: Data) => WorkHandler<Request, Reply, Message>,
): void {
  const port = parentPort;
  if (port === null) return;
  const work = handler(workerData as Data);
  port.on("message", (envelope: Envelope<Request, Message>) => {
    if ("message" in envelope) {
      work.receive?.(envelope.message);
      return;
    }
    const { id } = envelope;
    let answer: Answer<Reply>;
    try {
      answer = { id, reply: work.reply(envelope.request) };
    } catch (error) {
      answer = { id, failure: describe(error) };
    }
    port.postMessage(answer, "reply" in answer ? (work.transfer?.(answer.reply) ?? []) : []);
  });
}

function describe(error: unknown): Failure {
  if (!(error instanceof errors.GPT2Error)) return { name: "Error", message: String((error as Error)?.stack ?? error) };
  // A cause may be anything, even something that cannot be sent between threads.
  const { cause: _, ...details } = error.details;
  return { name: error.name, message: error.message, details };
}

function revive({ name, message, details }: Failure, op: string): errors.GPT2Error {
  if (details === undefined) return new errors.GPT2Error({ op, expected: "a reply", got: message });
  const known = Object.values(errors).find((errorClass) => errorClass.name === name);
  return new ((known ?? errors.GPT2Error) as typeof errors.GPT2Error)(details);
}
