import { OutOfMemoryError } from "../../errors.js";
import type { LinearBlock, LinearCode } from "./linear-machine.js";
import { LocalMachine } from "./local-machine.js";
import type { FromWorker, OwnerLink, Question, Request, ToWorker } from "./messages.js";
import { instantiate } from "./module.js";

/** A worker's main function, on every platform. */
export function serveOwner(owner: OwnerLink): void {
  const send = (message: FromWorker, transfer?: ArrayBuffer[]): void => owner.post(message, transfer);
  const failed = (error: unknown): void => send({ kind: "failed", error: String(error) });
  let service: Promise<Service> | undefined;
  owner.listen((message) => {
    if (service) {
      // One after the other: a write after a run must not overtake it.
      service = service.then((s) => s.handle(message as Request).then(() => s));
      service.catch(failed);
      return;
    }
    const first = message as ToWorker;
    if (first.kind === "work") {
      work(first, send).catch(failed);
    } else {
      service = LocalMachine.create(first.module, 0).then((machine) => new Service(machine, send));
      service.then(() => send({ kind: "ready" }), failed);
    }
  });
}

/** Never returns: from here on the worker is a thread of the team and handles no more messages. */
async function work({ module, memory, tid, stack }: ToWorker & { kind: "work" }, send: Send): Promise<void> {
  const kernels = await instantiate(module, memory, (result) => send({ kind: "done", result }), stack);
  send({ kind: "ready" });
  kernels.gpt2_work(tid);
}

type Send = (message: FromWorker, transfer?: ArrayBuffer[]) => void;

/** A machine owned by this worker, which executes its owner's requests. */
class Service {
  readonly #blocks = new Map<number, LinearBlock>();
  readonly #codes = new Map<number, LinearCode>();
  /** An out-of-memory error of a request without a reply: reported by the next request for the missing block or code. */
  #refusal: OutOfMemoryError | undefined;

  constructor(
    readonly machine: LocalMachine,
    readonly send: Send,
  ) {}

  async handle(request: Request): Promise<void> {
    try {
      if ("reply" in request) {
        const value = await this.#answer(request);
        const transfer = ArrayBuffer.isView(value) ? [value.buffer as ArrayBuffer] : [];
        this.send({ kind: "reply", reply: request.reply, value }, transfer);
      } else {
        await this.#perform(request);
      }
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      if ("reply" in request) this.send({ kind: "refused", reply: request.reply, details: plain(error) });
      else this.#refusal = error;
    }
  }

  async #perform(request: Exclude<Request, Question>): Promise<void> {
    switch (request.kind) {
      case "alloc":
        this.#blocks.set(request.block, this.machine.alloc(request.bytes));
        break;
      case "free":
        this.#blocks.get(request.block)?.dispose();
        this.#blocks.delete(request.block);
        break;
      case "write":
        this.#blocks.get(request.block)?.write(request.at, request.bytes);
        break;
      case "copy": {
        const [to, from] = [request.to, request.from].map(({ block, at }) => ({
          block: this.#existing(this.#blocks, block),
          offset: at,
        }));
        await this.machine.copy(to!, from!, request.bytes);
        break;
      }
      case "load": {
        const blocks = request.blocks.map((number) => this.#existing(this.#blocks, number));
        this.#codes.set(request.code, this.machine.loadEncoded(request.ops, blocks));
        break;
      }
      case "unload":
        this.#codes.get(request.code)?.dispose();
        this.#codes.delete(request.code);
        break;
    }
  }

  async #answer(question: Question): Promise<Uint8Array | Float64Array | number | undefined> {
    switch (question.kind) {
      case "read":
        return this.#existing(this.#blocks, question.block).copy(question.at, question.bytes);
      case "run":
        return this.#run(question);
      case "peak":
        return this.machine.peakFlops();
    }
  }

  async #run({ code, dims, scalars, timed }: Question & { kind: "run" }): Promise<Float64Array | undefined> {
    const loaded = this.#existing(this.#codes, code);
    const seconds = timed ? new Float64Array(loaded.count) : undefined;
    await this.machine.run(loaded, { dims, scalars }, seconds);
    return seconds;
  }

  #existing<T>(things: ReadonlyMap<number, T>, number: number): T {
    const thing = things.get(number);
    if (thing === undefined) throw this.#refusal ?? new Error(`no block or code ${number}`);
    return thing;
  }
}

/** Details without the cause, which might not survive the transfer to another thread. */
function plain({ details: { cause: _, ...details } }: OutOfMemoryError): OutOfMemoryError["details"] {
  return details;
}
