import { DisposedError, OutOfMemoryError } from "../../errors.js";
import type { BufferDecl, Program } from "../../program/program.js";
import { blockAddress, encodeProgram } from "../kernels/encode.js";
import type { Block, Code, EncodedValues, Machine, Place } from "../kernels/machine.js";
import { MAX_PAGES, PAGE } from "./heap.js";
import type { FromWorker, Question, Request, ToWorker, WorkerLink } from "./messages.js";
import { kernelFailure } from "./module.js";

const collectedMachines = new FinalizationRegistry<WorkerClient>((client) => void client.end());

/** A machine on one worker that has the memory to itself; it is reached by messages, which keep their order. */
export class RemoteMachine implements Machine {
  readonly threads = 1;
  readonly place = "on a worker with its own memory";
  readonly #client: WorkerClient;
  readonly #blocks: FinalizationRegistry<number>;
  readonly #codes: FinalizationRegistry<number>;
  #count = 0;

  /** @throws {BackendError} the worker did not start. */
  static async create(module: WebAssembly.Module, worker: WorkerLink): Promise<RemoteMachine> {
    const client = new WorkerClient(worker);
    try {
      await client.begin({ kind: "serve", module });
      return new RemoteMachine(client);
    } catch (error) {
      await client.end();
      throw error;
    }
  }

  private constructor(client: WorkerClient) {
    this.#client = client;
    this.#blocks = new FinalizationRegistry((block) => client.send({ kind: "free", block }));
    this.#codes = new FinalizationRegistry((code) => client.send({ kind: "unload", code }));
    collectedMachines.register(this, client, this);
  }

  /** If the worker lacks the memory, its next reply is an error. */
  alloc(bytes: number): Block {
    if (bytes > MAX_PAGES * PAGE) {
      throw new OutOfMemoryError({ op: "WebAssembly memory", expected: "at most 4 GiB", got: `${bytes} bytes` });
    }
    const block = new RemoteBlock(this.#client, this.#count++, bytes, () => this.#blocks.unregister(block));
    this.#client.send({ kind: "alloc", block: block.number, bytes });
    this.#blocks.register(block, block.number, block);
    return block;
  }

  load(program: Program, placeOf: (buffer: BufferDecl) => Place): Code {
    const blocks = new Map<RemoteBlock, number>();
    const ops = encodeProgram(program, (buffer) => {
      const { block, offset } = placeOf(buffer);
      if (!blocks.has(block as RemoteBlock)) blocks.set(block as RemoteBlock, blocks.size);
      return blockAddress(blocks.get(block as RemoteBlock)!, offset);
    });
    const used = [...blocks.keys()];
    const code = new RemoteCode(this.#client, program.ops.length, this.#count++, used, () =>
      this.#codes.unregister(code),
    );
    this.#client.send({ kind: "load", code: code.number, ops, blocks: used.map((block) => block.number) });
    this.#codes.register(code, code.number, code);
    return code;
  }

  async run(code: Code, { dims, scalars }: EncodedValues, seconds?: Float64Array): Promise<void> {
    const { number } = code as RemoteCode;
    const answer = await this.#client.request({
      kind: "run",
      code: number,
      dims,
      scalars,
      timed: seconds !== undefined,
    });
    for (const [i, s] of ((answer ?? []) as Float64Array).entries()) seconds![i]! += s;
  }

  async copy(to: Place, from: Place, bytes: number): Promise<void> {
    const remote = ({ block, offset }: Place) => ({ block: (block as RemoteBlock).number, at: offset });
    this.#client.send({ kind: "copy", to: remote(to), from: remote(from), bytes });
  }

  /** Messages keep their order: when a later request arrives, the earlier ones are done. */
  async idle(): Promise<void> {}

  async peakFlops(): Promise<number> {
    return (await this.#client.request({ kind: "peak" })) as number;
  }

  async dispose(): Promise<void> {
    collectedMachines.unregister(this);
    await this.#client.close();
  }
}

class RemoteBlock implements Block {
  #disposed = false;

  constructor(
    private readonly client: WorkerClient,
    readonly number: number,
    readonly length: number,
    private readonly onDispose: () => void,
  ) {}

  get disposed(): boolean {
    return this.#disposed || this.client.closed;
  }

  view(): undefined {}

  expose(): void {}

  write(at: number, source: Uint8Array<ArrayBuffer>): void {
    this.client.send({ kind: "write", block: this.number, at, bytes: source }, [source.buffer]);
  }

  async read(at: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    return (await this.client.request({ kind: "read", block: this.number, at, bytes })) as Uint8Array<ArrayBuffer>;
  }

  dispose(): void {
    if (this.disposed) return;
    this.#disposed = true;
    this.onDispose();
    this.client.send({ kind: "free", block: this.number });
  }
}

class RemoteCode implements Code {
  constructor(
    private readonly client: WorkerClient,
    readonly count: number,
    readonly number: number,
    /** Keeps the memory that the operations use from being garbage-collected. */
    readonly blocks: readonly RemoteBlock[],
    private readonly onDispose: () => void,
  ) {}

  dispose(): void {
    this.onDispose();
    this.client.send({ kind: "unload", code: this.number });
  }
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** The worker's requests and replies. It does not refer to its machine, so that the machine can be garbage-collected and the worker ended. */
class WorkerClient {
  readonly #worker: WorkerLink;
  readonly #waiting = new Map<number, Waiting>();
  #count = 0;
  #failure: Error | undefined;
  #closed = false;
  #onAllAnswered: (() => void) | undefined;

  constructor(worker: WorkerLink) {
    this.#worker = worker;
    worker.listen(
      (message) => this.#receive(message),
      (error) => this.#fail(kernelFailure(error)),
    );
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves when the worker is ready. */
  begin(first: ToWorker): Promise<unknown> {
    const ready = this.#wait(READY);
    this.#worker.post(first);
    return ready;
  }

  send(request: Request, transfer: ArrayBuffer[] = []): void {
    if (!this.#failure && !this.#closed) this.#worker.post(request, transfer);
  }

  request(question: Question): Promise<unknown> {
    if (this.#closed) return Promise.reject(new DisposedError("running the wasm backend", "wasm backend"));
    if (this.#failure) return Promise.reject(this.#failure);
    const reply = ++this.#count;
    const answer = this.#wait(reply);
    this.#worker.post({ reply, ...question });
    return answer;
  }

  /** Waits for outstanding replies, then ends the worker. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#waiting.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onAllAnswered = resolve;
      });
    }
    await this.end();
  }

  end(): Promise<void> {
    return this.#worker.terminate();
  }

  #wait(reply: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(reply, { resolve, reject });
      this.#worker.keepAlive(true);
    });
  }

  #receive(message: FromWorker): void {
    if (message.kind === "ready") this.#take(READY)?.resolve(undefined);
    else if (message.kind === "reply") this.#take(message.reply)?.resolve(message.value);
    else if (message.kind === "refused") this.#take(message.reply)?.reject(new OutOfMemoryError(message.details));
    else if (message.kind === "failed") this.#fail(kernelFailure(message.error));
  }

  #take(reply: number): Waiting | undefined {
    const waiting = this.#waiting.get(reply);
    this.#waiting.delete(reply);
    if (this.#waiting.size === 0) {
      this.#worker.keepAlive(false);
      this.#onAllAnswered?.();
    }
    return waiting;
  }

  #fail(failure: Error): void {
    this.#failure ??= failure;
    for (const reply of [...this.#waiting.keys()]) this.#take(reply)?.reject(failure);
    void this.end();
  }
}

/** The number of the reply that reports the worker ready. */
const READY = 0;
