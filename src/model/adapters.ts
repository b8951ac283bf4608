import type { ModelConfig } from "../architectures/config.js";
import type { Backend } from "../backend/backend.js";
import { UsageError } from "../errors.js";
import { DEFAULT_ADAPTER, type LoadedAdapter } from "../pretrained/loaded-adapter.js";
import { checkOptionNames } from "../util/nearest.js";
import { needNode } from "../util/runtime.js";

/** The LoRA adapters of a model, by name. */
export class Adapters {
  readonly #loaded: Map<string, LoadedAdapter>;
  readonly #own = new Set<LoadedAdapter>();

  constructor(loaded: Iterable<readonly [string, LoadedAdapter]> = []) {
    this.#loaded = new Map(loaded);
  }

  get names(): string[] {
    return [...this.#loaded.keys()];
  }

  /**
   * The adapter that a request chose; null means none, undefined the default one if there is one.
   *
   * @throws {UsageError} no adapter of that name is loaded.
   */
  get(name: string | null | undefined): LoadedAdapter | undefined {
    if (name === null) return undefined;
    const adapter = this.#loaded.get(name ?? DEFAULT_ADAPTER);
    if (adapter || name === undefined) return adapter;
    const expected = this.#loaded.size > 0 ? this.names.join(" or ") : "none, as no adapter is loaded";
    throw new UsageError({ op: "adapter", expected, got: name });
  }

  async load(
    name: string,
    path: string,
    backend: Backend,
    config: ModelConfig,
    options: { readonly signal?: AbortSignal | undefined },
  ): Promise<void> {
    checkOptionNames("loading an adapter", options, { signal: true });
    needNode("loading an adapter", "Merge the adapter into a model with gpt2 merge, and fetch that");
    const { findAdapter, loadAdapter } = await import("#node/pretrained/load-adapters.js");
    const adapter = await findAdapter(path, config, options);
    try {
      const loaded = await loadAdapter(backend, config, adapter, options.signal);
      this.#own.add(loaded);
      this.#loaded.set(name, loaded);
    } finally {
      adapter.close();
    }
  }

  /** Releases the memory of the adapters that were loaded here. */
  dispose(): void {
    for (const { tensors, gains } of this.#own) for (const array of [...tensors.values(), gains]) array.dispose();
    this.#own.clear();
    this.#loaded.clear();
  }

  /** Removes an adapter; requests that already use it keep it. Returns whether there was one. */
  unload(name: string): boolean {
    return this.#loaded.delete(name);
  }
}
