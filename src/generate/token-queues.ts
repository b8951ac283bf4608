/** Number of tokens by which a producer may be ahead of the consumer. */
const AHEAD = 8;

/** Queues from concurrent producers to one consumer, who takes from each in turn. */
export class TokenQueues<T> {
  readonly #queues: T[][];
  readonly #ended: boolean[];
  readonly #onRoom: () => void;
  #turn = 0;
  #error: { readonly error: unknown } | undefined;
  #waiting: (() => void) | undefined;

  /** @param onRoom called when a producer that was stopped may continue */
  constructor(count: number, onRoom: () => void) {
    this.#queues = Array.from({ length: count }, () => []);
    this.#ended = new Array<boolean>(count).fill(false);
    this.#onRoom = onRoom;
  }

  /** Whether a producer should continue. It may get further ahead while the consumer waits for another. */
  hasRoom(index: number): boolean {
    return this.#waiting !== undefined || this.#queues[index]!.length < AHEAD;
  }

  push(index: number, item: T): void {
    this.#queues[index]!.push(item);
    this.#notify();
  }

  end(index: number): void {
    this.#ended[index] = true;
    this.#notify();
  }

  fail(error: unknown): void {
    this.#error ??= { error };
    this.#notify();
  }

  /** The next item; undefined when all queues have ended. Items queued before a failure come before its error. */
  async next(): Promise<T | undefined> {
    for (;;) {
      this.#skipEnded();
      const queue = this.#queues[this.#turn];
      if (queue === undefined) return undefined;
      if (queue.length > 0) {
        const full = queue.length >= AHEAD;
        const item = queue.shift()!;
        this.#turn = (this.#turn + 1) % this.#queues.length;
        if (full) this.#onRoom();
        return item;
      }
      if (this.#error) throw this.#error.error;
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
        this.#onRoom();
      });
    }
  }

  /** Advances the turn to a queue that has, or will have, an item; past the last if there is none. */
  #skipEnded(): void {
    for (let i = 0; i < this.#queues.length; i++) {
      const index = (this.#turn + i) % this.#queues.length;
      if (this.#queues[index]!.length === 0 && this.#ended[index]) continue;
      this.#turn = index;
      return;
    }
    this.#turn = this.#queues.length;
  }

  #notify(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }
}
