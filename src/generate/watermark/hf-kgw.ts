import { largest } from "../largest.js";
import type { Candidates, Mark, Watermark } from "./mark.js";
import { isAmongFirst, Mt19937, permutation } from "./mt19937.js";
import type { Complete, HfKgwOptions } from "./options.js";

/** Size of the hash table of `selfhash`. */
const TABLE_SIZE = 1_000_003;
/** Number of likeliest tokens that `selfhash` tests. */
const TRIED = 40;
/** Green lists of `lefthash` that are kept, a bit for each token: 25 MB at a vocabulary of 50,257. */
const KEPT = 4096;

/**
 * The red-green watermark of Hugging Face transformers (WatermarkingConfig; Kirchenbauer et al. 2023, 2024): the first share
 * gamma of a permutation of the vocabulary is green, and delta is added to green logits. The permutation is seeded by the
 * previous token (`lefthash`), or by the token itself and those before it (`selfhash`). Equals transformers on a CPU, where
 * torch.randperm uses a Mersenne Twister; torch on a GPU uses another generator.
 */
export class HfKgwWatermark implements Watermark {
  readonly #key: bigint;
  readonly #vocabSize: number;
  /** Number of green tokens. */
  readonly greenCount: number;
  readonly #factor: number;
  readonly #width: number;
  readonly #self: boolean;
  /** The green lists after some tokens. */
  readonly #lists = new Map<number, Uint8Array>();
  #table: Int32Array | undefined;

  constructor(key: bigint, options: Complete<HfKgwOptions>, vocabSize: number) {
    this.#key = key;
    this.#vocabSize = vocabSize;
    this.greenCount = Math.floor(vocabSize * options.gamma);
    this.#factor = Math.exp(options.delta);
    this.#width = options.contextWidth;
    this.#self = options.seeding === "selfhash";
  }

  /** Length of the n-grams that the test counts; their last token is green or not. */
  get ngramLength(): number {
    return this.#self ? this.#width : this.#width + 1;
  }

  mark(prompt: readonly number[]): Mark {
    const before = [...prompt];
    return {
      choose: (candidates) => {
        if (before.length >= this.#width) {
          if (this.#self) this.#favourOwn(before, candidates);
          else this.#favour(before, candidates);
        }
        return candidates.draw();
      },
      push: (token) => void before.push(token),
    };
  }

  /** Whether the last token of an n-gram is green after the others. */
  isGreen(ngram: readonly number[]): boolean {
    const token = ngram.at(-1)!;
    if (!this.#self) return has(this.#greenAfter(ngram.at(-2)!), token);
    return isAmongFirst(new Mt19937(this.#selfSeed(ngram)), this.#vocabSize, this.greenCount, token);
  }

  #favour(before: readonly number[], { ids, count, weights }: Candidates): void {
    const green = this.#greenAfter(before.at(-1)!);
    for (let i = 0; i < count; i++) if (has(green, ids[i]!)) weights[ids[i]!]! *= this.#factor;
  }

  #greenAfter(token: number): Uint8Array {
    let list = this.#lists.get(token);
    if (!list) {
      list = new Uint8Array((this.#vocabSize + 7) >> 3);
      const random = new Mt19937(this.#leftSeed(token));
      for (const id of permutation(random, this.#vocabSize, this.greenCount)) list[id >> 3]! |= 1 << (id & 7);
      if (this.#lists.size === KEPT) this.#lists.clear();
      this.#lists.set(token, list);
    }
    return list;
  }

  /** Tests only the likeliest tokens, because each token needs a permutation of its own. */
  #favourOwn(before: readonly number[], { ids, count, weights }: Candidates): void {
    const candidates = Float64Array.from(ids.subarray(0, count), (id) => weights[id]!);
    const likeliest = new Int32Array(Math.min(TRIED, count));
    largest(candidates, likeliest.length, likeliest);
    const context = this.#width === 1 ? [] : before.slice(1 - this.#width);
    for (const i of likeliest) if (this.isGreen([...context, ids[i]!])) weights[ids[i]!]! *= this.#factor;
  }

  #leftSeed(token: number): bigint {
    return (this.#key * BigInt(token)) % (2n ** 64n - 1n);
  }

  /** The minimum of key · a · b over the tokens, in signed 64-bit integers; b belongs to the last token. */
  #selfSeed(ngram: readonly number[]): bigint {
    this.#table ??= permutation(new Mt19937(this.#key), TABLE_SIZE);
    const hash = (token: number) => BigInt(this.#table![token % TABLE_SIZE]! + 1);
    const last = hash(ngram.at(-1)!);
    let least = 2n ** 63n;
    for (const token of ngram) {
      const product = BigInt.asIntN(64, this.#key * hash(token) * last);
      if (product < least) least = product;
    }
    const modulus = 2n ** 64n - 1n;
    return ((least % modulus) + modulus) % modulus;
  }
}

const has = (list: Uint8Array, id: number): boolean => (list[id >> 3]! & (1 << (id & 7))) !== 0;
