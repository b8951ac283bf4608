import type { Executable } from "./backend.js";

/** The most recently used Executables, by key. Each has its own temporary memory, so the least recently used are disposed of. */
export class ExecutableCache<K> {
  readonly #capacity: number;
  /** Executables in order of last use. */
  readonly #entries = new Map<K, Executable>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The Executable of this key, prepared if need be. Calls must not overlap. */
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
