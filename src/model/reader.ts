import type { Architecture, Pooling } from "../architectures/architecture.js";
import type { ModelConfig } from "../architectures/config.js";
import type { ComputeOptions } from "../architectures/decode-program.js";
import { architectureOf } from "../architectures/registry.js";
import type { Backend, DeviceArray } from "../backend/backend.js";
import { UsageError } from "../errors.js";
import type { AttentionMaps } from "../generate/attention-maps.js";
import { type Classification, classification, needHead, normalized } from "../generate/classify.js";
import { Encoder, POOLINGS } from "../generate/encoder.js";
import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import { type LoadedHead, scoresOf } from "../pretrained/loaded-head.js";
import { checkOptionNames } from "../util/nearest.js";
import type { EmbedOptions, ReadOptions, TextOrIds } from "./options.js";
import type { TextIds } from "./text-ids.js";

/** A request's additions to the model: an adapter, and the head for a task, which may be the adapter's. */
export interface Additions {
  readonly adapter: LoadedAdapter | undefined;
  readonly head: LoadedHead | undefined;
}

const READING = { truncate: true, adapter: true, signal: true, onProgress: true } as const;

/** Reads whole texts, many in one run, and returns a label, a number or a vector for each. */
export class Reader {
  readonly #ids: TextIds;
  readonly #pooling: Architecture["pooling"];
  readonly #encoder: Encoder;

  constructor(
    ids: TextIds,
    backend: Backend,
    config: ModelConfig,
    weights: ReadonlyMap<string, DeviceArray>,
    options: Pick<ComputeOptions, "compute">,
  ) {
    this.#ids = ids;
    this.#pooling = architectureOf(config).pooling;
    this.#encoder = new Encoder(backend, config, weights, options);
  }

  async classify(texts: readonly TextOrIds[], added: Additions, options: ReadOptions): Promise<Classification[]> {
    checkOptionNames("classifying", options, READING);
    const head = needHead("classification", added.head);
    const hidden = await this.#read(texts, this.#pooling.task, added, { truncate: true, ...options });
    return hidden.map((row) => classification(head, row));
  }

  async regress(texts: readonly TextOrIds[], added: Additions, options: ReadOptions): Promise<number[]> {
    checkOptionNames("regressing", options, READING);
    const head = needHead("regression", added.head);
    const hidden = await this.#read(texts, this.#pooling.task, added, { truncate: true, ...options });
    return hidden.map((row) => scoresOf(head, row)[0]!);
  }

  async embed(texts: readonly TextOrIds[], added: Additions, options: EmbedOptions): Promise<Float32Array[]> {
    checkOptionNames("embedding", options, { ...READING, pooling: true, normalize: true });
    const { pooling = this.#pooling.embedding, normalize = true, ...rest } = options;
    if (!POOLINGS.includes(pooling)) {
      throw new UsageError({ op: "embedding: pooling", expected: POOLINGS.join(" or "), got: String(pooling) });
    }
    const vectors = await this.#read(texts, pooling, added, rest);
    return normalize ? vectors.map(normalized) : vectors;
  }

  attention(text: TextOrIds, layer: number): Promise<AttentionMaps> {
    return this.#encoder.attention({ tokens: this.#ids.encodeWhole(text, "attention", false) }, layer);
  }

  dispose(): Promise<void> {
    return this.#encoder.dispose();
  }

  async #read(texts: readonly TextOrIds[], pooling: Pooling, { adapter }: Additions, options: ReadOptions) {
    const { truncate = false, signal, onProgress } = options;
    const ids = texts.map((text, i) => this.#ids.encodeWhole(text, `text ${i + 1} of ${texts.length}`, truncate));
    return this.#encoder.encode(ids, { pooling, adapter, signal, onProgress });
  }
}
