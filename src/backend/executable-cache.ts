import type { Executable } from "./backend.js";

/** The Executables used last, by key; each has temporary memory of its own, so those used longest ago are disposed of. */
export class ExecutableCache<K> {
  readonly #capacity: number;
  /** In the order of their last use. */
  readonly #entries = new Map<K, Executable>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The Executable of this key, prepared if it is not there. Calls must not overlap. */
  async get(key: K, prepare: () => Promise<Executable>): Promise<Executable> {
    const executable = this.#entries.get(key) ?? (await prepare());
    this.#entries.delete(key);
    this.#entries.set(key, executable);
    for (const [oldest, unused] of this.#entries) {
      if (this.#entries.size <= this.#capacity) break;
      this.#entries.delete(oldest);
      unused.dispose();
    }
    return executable;
  }

  /** Disposes of all of them. */
  clear(): void {
    for (const executable of this.#entries.values()) executable.dispose();
    this.#entries.clear();
  }
}
