import type { Pooling } from "../architectures/architecture.js";

/** Text, or token ids. */
export type TextOrIds = string | ArrayLike<number>;

export interface AdapterOption {
  /** Name of a loaded LoRA adapter, or null for the model without one; by default the adapter `default`, if there is one. */
  readonly adapter?: string | null | undefined;
}

/** Options for reading whole texts: to classify, regress and embed them. */
export interface ReadOptions extends AdapterOption {
  /**
   * Read only the beginning of a text that is longer than the context, instead of refusing it. Default true for a model's
   * task, for which it was trained in this way; false for embeddings.
   */
  readonly truncate?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of texts done so far. */
  readonly onProgress?: ((texts: number) => void) | undefined;
}

export interface EmbedOptions extends ReadOptions {
  /** How a text's final hidden states become one vector: their mean (the default), or the last token's. */
  readonly pooling?: Pooling | undefined;
  /** Make vectors of length 1, whose products are cosines. Default true. */
  readonly normalize?: boolean | undefined;
}
