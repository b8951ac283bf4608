import { DisposedError } from "../errors.js";

/** Runs jobs one after the other; a failed job does not stop the next. */
export class RunQueue {
  readonly #owner: string;
  #last: Promise<unknown> = Promise.resolve();
  #pending = 0;
  #closed = false;

  /** @param owner the name in the error of a job added after {@link close}: `model` */
  constructor(owner: string) {
    this.#owner = owner;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** @throws {DisposedError} the queue was closed. */
  add<T>(job: () => T | Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new DisposedError(`running the ${this.#owner}`, this.#owner));
    this.#pending++;
    const result = this.#last.then(job);
    const settle = (): void => {
      this.#pending--;
    };
    this.#last = result.then(settle, settle);
    return result;
  }

  /** Resolves when all jobs added so far are done. */
  idle(): Promise<unknown> {
    return this.#last;
  }

  /** Calls `job` as soon as no run can be under way: at once if nothing is pending, also on a closed queue. */
  whenIdle(job: () => void): void {
    if (this.#pending === 0) job();
    else this.#last = this.#last.then(job);
  }

  /** Refuses jobs from now on; resolves when those added before have finished. */
  close(): Promise<unknown> {
    this.#closed = true;
    return this.#last;
  }
}
