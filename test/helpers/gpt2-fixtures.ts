/** The committed fixtures with Hugging Face transformers' results for seeded GPT-2s (see test/fixtures/gpt2-*). */
import { readFileSync } from "node:fs";
import { type GPT2Config, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { packageFile } from "../../src/util/package-root.js";

interface SeededFixture {
  readonly config: GPT2Config;
  /** The seed of `seededTensors(config, seed)`. */
  readonly seed: number;
  /** Tensor name to `checksum` of its values: tells a wrong rule for the weights from a wrong model. */
  readonly checksums: Readonly<Record<string, string>>;
}

export interface FixtureSequence {
  /** T + 1 ids: inputs are all but the last, targets all but the first. */
  readonly ids: readonly number[];
  /** Mean loss in nats over the T targets, float64. */
  readonly loss: number;
  /** The same by PyTorch in float32, and its logits' largest difference from the float64 ones. */
  readonly lossFloat32: number;
  readonly largestLogitDifferenceFloat32: number;
  /** Log-probabilities of the targets at some positions. */
  readonly logprobPositions: readonly number[];
  readonly logprobs: readonly number[];
  readonly positions: readonly {
    readonly position: number;
    /** The five most likely ids in order, the target, and eleven spread over the vocabulary. */
    readonly ids: readonly number[];
    readonly logits: readonly number[];
    /** Over the whole vocabulary. */
    readonly logSumExp: number;
    readonly mean: number;
    readonly rms: number;
  }[];
}

export interface Gpt2_124mFixture extends SeededFixture {
  readonly parameters: number;
  /** T = 64. */
  readonly short: FixtureSequence;
  /** T = 1024, the whole context. */
  readonly long: FixtureSequence;
  /** Euclidean norms of the gradients of `short.loss`. */
  readonly gradientNormsOfShort: { readonly total: number; readonly byTensor: Readonly<Record<string, number>> };
  /** Greedy decoding by full forward passes; `margins` holds each chosen logit's lead over the next. */
  readonly greedy: {
    readonly prompt: readonly number[];
    readonly ids: readonly number[];
    readonly margins: readonly number[];
  };
}

export interface Gpt2OddFixture extends SeededFixture {
  readonly batch: number;
  readonly length: number;
  /** [B, T] */
  readonly inputs: Int32Array;
  readonly targets: Int32Array;
  readonly loss: number;
  /** [B, T, V] */
  readonly logits: Float32Array;
  /** Every gradient of the mean loss, in `tensorTable` order, [out, in]. */
  readonly gradients: Float32Array;
  readonly gradientNorm: number;
}

function readJson<T extends SeededFixture>(path: string): T {
  const json = JSON.parse(readFileSync(packageFile(path), "utf8")) as T;
  return { ...json, config: gpt2Config(json.config) };
}

export function gpt2_124mFixture(): Gpt2_124mFixture {
  return readJson("test/fixtures/gpt2-124m/expected.json");
}

export function gpt2OddFixture(): Gpt2OddFixture {
  const json = readJson<SeededFixture & { loss: number; gradientNorm: number }>("test/fixtures/gpt2-odd/expected.json");
  const file = readFileSync(packageFile("test/fixtures/gpt2-odd/expected.bin"));
  // readFileSync may return a slice of a pool at any offset; typed arrays need an aligned one.
  const bytes = new Uint8Array(file).buffer;
  const [B, T, V, P] = new Int32Array(bytes, 0, 4) as unknown as [number, number, number, number];
  let offset = 16;
  const next = (words: number): number => {
    offset += 4 * words;
    return offset - 4 * words;
  };
  return {
    ...json,
    batch: B,
    length: T,
    inputs: new Int32Array(bytes, next(B * T), B * T),
    targets: new Int32Array(bytes, next(B * T), B * T),
    logits: new Float32Array(bytes, next(B * T * V), B * T * V),
    gradients: new Float32Array(bytes, next(P), P),
  };
}
