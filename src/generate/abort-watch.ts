/**
 * Calls back when a signal is aborted. Each signal gets one listener, however many callbacks wait for it: Node would
 * report a hundred listeners as a leak.
 */
export class AbortWatch {
  readonly #watched = new Map<AbortSignal, { readonly callbacks: Set<() => void>; readonly listener: () => void }>();

  /** Returns a function that ends the watch. */
  add(signal: AbortSignal, callback: () => void): () => void {
    let entry = this.#watched.get(signal);
    if (!entry) {
      const callbacks = new Set<() => void>();
      const listener = (): void => {
        for (const each of [...callbacks]) each();
      };
      entry = { callbacks, listener };
      this.#watched.set(signal, entry);
      signal.addEventListener("abort", listener, { once: true });
    }
    const { callbacks, listener } = entry;
    callbacks.add(callback);
    return () => {
      callbacks.delete(callback);
      if (callbacks.size > 0 || this.#watched.get(signal)?.callbacks !== callbacks) return;
      this.#watched.delete(signal);
      signal.removeEventListener("abort", listener);
    };
  }
}
