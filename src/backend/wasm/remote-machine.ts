import { OutOfMemoryError } from "../../errors.js";
import { OP_BYTES } from "../op-layout.js";
import { MOST_PAGES, PAGE } from "./heap.js";
import { kernelFailure } from "./kernel-failure.js";
import type { Block, Code, CodeValues, Machine } from "./machine.js";
import type { FromWorker, Question, Request, ToWorker } from "./messages.js";
import type { WorkerLink } from "./worker-link.js";

const conversations = new FinalizationRegistry<Conversation>((conversation) => conversation.end());

/** Runs on one worker that has the memory to itself; all goes there and back in messages, which keep their order. */
export class RemoteMachine implements Machine {
  readonly threads = 1;
  readonly place = "on a worker with its own memory";
  readonly #talk: Conversation;
  readonly #blocks: FinalizationRegistry<number>;
  readonly #codes: FinalizationRegistry<number>;
  #number = 0;

  /** @throws {BackendError} the worker could not be had. */
  static async create(module: WebAssembly.Module, worker: WorkerLink): Promise<RemoteMachine> {
    const talk = new Conversation(worker);
    try {
      await talk.begin({ kind: "serve", module });
      return new RemoteMachine(talk);
    } catch (error) {
      talk.end();
      throw error;
    }
  }

  private constructor(talk: Conversation) {
    this.#talk = talk;
    this.#blocks = new FinalizationRegistry((block) => talk.tell({ kind: "free", block }));
    this.#codes = new FinalizationRegistry((code) => talk.tell({ kind: "unload", code }));
    conversations.register(this, talk);
  }

  /** What the worker refuses after all comes out with the next answer from it. */
  alloc(bytes: number): Block {
    if (bytes > MOST_PAGES * PAGE) {
      throw new OutOfMemoryError({ op: "WebAssembly memory", expected: "at most 4 GiB", got: `${bytes} bytes` });
    }
    const block = new RemoteBlock(this.#talk, this.#number++, bytes);
    this.#talk.tell({ kind: "alloc", block: block.number, bytes });
    this.#blocks.register(block, block.number);
    return block;
  }

  load(ops: Uint8Array, blocks: readonly Block[]): Code {
    const mine = blocks as readonly RemoteBlock[];
    const code = new RemoteCode(ops.length / OP_BYTES, this.#number++, mine);
    this.#talk.tell({ kind: "load", code: code.number, ops, blocks: mine.map((block) => block.number) });
    this.#codes.register(code, code.number);
    return code;
  }

  async run(code: Code, { dims, scalars }: CodeValues, timed: boolean): Promise<Float64Array | undefined> {
    const { number } = code as RemoteCode;
    return (await this.#talk.ask({ kind: "run", code: number, dims, scalars, timed })) as Float64Array | undefined;
  }

  async peakFlops(): Promise<number> {
    return (await this.#talk.ask({ kind: "peak" })) as number;
  }
}

class RemoteBlock implements Block {
  readonly memory = undefined;

  constructor(
    private readonly talk: Conversation,
    readonly number: number,
    readonly bytes: number,
  ) {}

  write(at: number, source: Uint8Array<ArrayBuffer>): void {
    this.talk.tell({ kind: "write", block: this.number, at, bytes: source }, [source.buffer]);
  }

  async read(at: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    return (await this.talk.ask({ kind: "read", block: this.number, at, bytes })) as Uint8Array<ArrayBuffer>;
  }
}

class RemoteCode implements Code {
  constructor(
    readonly count: number,
    readonly number: number,
    /** Keeps the memory that the operations use from being freed. */
    readonly blocks: readonly RemoteBlock[],
  ) {}
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Requests and answers. It does not know its machine, so that one nobody refers to can be collected and this ended. */
class Conversation {
  readonly #worker: WorkerLink;
  readonly #waiting = new Map<number, Waiting>();
  #count = 0;
  #failure: Error | undefined;

  constructor(worker: WorkerLink) {
    this.#worker = worker;
    worker.listen(
      (message) => this.#hear(message as FromWorker),
      (error) => this.#fail(kernelFailure(error)),
    );
  }

  /** Resolves when the worker is ready. */
  begin(first: ToWorker): Promise<unknown> {
    const ready = this.#wait(READY);
    this.#worker.post(first);
    return ready;
  }

  tell(request: Request, transfer: ArrayBuffer[] = []): void {
    if (!this.#failure) this.#worker.post(request, transfer);
  }

  ask(question: Question): Promise<unknown> {
    if (this.#failure) return Promise.reject(this.#failure);
    const reply = ++this.#count;
    const answer = this.#wait(reply);
    this.#worker.post({ reply, ...question });
    return answer;
  }

  end(): void {
    this.#worker.terminate();
  }

  #wait(reply: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(reply, { resolve, reject });
      this.#worker.keepAlive(true);
    });
  }

  #hear(message: FromWorker): void {
    if (message.kind === "ready") this.#take(READY)?.resolve(undefined);
    else if (message.kind === "reply") this.#take(message.reply)?.resolve(message.value);
    else if (message.kind === "refused") this.#take(message.reply)?.reject(new OutOfMemoryError(message.details));
    else if (message.kind === "failed") this.#fail(kernelFailure(message.error));
  }

  #take(reply: number): Waiting | undefined {
    const waiting = this.#waiting.get(reply);
    this.#waiting.delete(reply);
    if (this.#waiting.size === 0) this.#worker.keepAlive(false);
    return waiting;
  }

  #fail(failure: Error): void {
    this.#failure ??= failure;
    for (const reply of [...this.#waiting.keys()]) this.#take(reply)?.reject(failure);
    this.end();
  }
}

/** The number of the reply that says the worker is ready. */
const READY = 0;
