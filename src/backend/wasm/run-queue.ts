/** Runs jobs one after the other; one that fails does not stop those behind it. */
export class RunQueue {
  #last: Promise<unknown> = Promise.resolve();

  add<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#last.then(job);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Resolves when all jobs added so far are done. */
  idle(): Promise<unknown> {
    return this.#last;
  }
}
