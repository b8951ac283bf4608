import type { Candidates, Mark, Watermark } from "./mark.js";
import { Mt19937 } from "./mt19937.js";
import type { Complete, HfSynthIdOptions } from "./options.js";
import { multiplyHigh } from "./philox.js";
import { tournament } from "./synthid.js";

/** The linear congruential generator's multiplier, 6364136223846793005. */
const HIGH = 0x5851f42d;
const LOW = 0x4c957f2d;
const TWO32 = 2 ** 32;

/** A 64-bit integer as two numbers. */
interface Word {
  readonly high: number;
  readonly low: number;
}

const ZERO: Word = { high: 0, low: 0 };
const ONE: Word = { high: 0, low: 1 };

/**
 * SynthID-Text as in Hugging Face transformers (SynthIDTextWatermarkingConfig; Dathathri et al. 2024): a tournament with one
 * round for each key. Each n-gram and key is hashed to an index of a table of random bits.
 */
export class HfSynthIdWatermark implements Watermark {
  readonly ngramLength: number;
  /** Number of rounds, one for each key. */
  readonly depth: number;
  /** Share of ones in the table. */
  readonly mean: number;
  readonly #options: Complete<HfSynthIdOptions>;
  /** For each round, key · multiplier + 1: what its hash step adds to a hash times the multiplier. */
  readonly #steps: readonly Word[];
  readonly #table: Uint8Array;

  constructor(options: Complete<HfSynthIdOptions>) {
    this.#options = options;
    this.ngramLength = options.ngramLength;
    this.depth = options.keys.length;
    this.#steps = options.keys.map((key) => step(ZERO, wordOf(BigInt(key))));
    const random = new Mt19937(BigInt(options.samplingTableSeed));
    this.#table = Uint8Array.from({ length: options.samplingTableSize }, () => random.bits() % 2);
    this.mean = this.#table.reduce((sum, bit) => sum + bit, 0) / this.#table.length;
  }

  /** Contexts hold tokens of the generated text only, 0 before its beginning. */
  mark(): Mark {
    const { contextHistorySize, skipFirstNgrams } = this.#options;
    const context = new Int32Array(this.ngramLength - 1);
    const history = new ContextHistory(contextHistorySize);
    let calls = 0;
    return {
      choose: (candidates) => {
        calls++;
        if (skipFirstNgrams && calls < this.ngramLength) return candidates.draw();
        const hash = this.hashOf(context);
        if (!history.add(hash)) this.#reweigh(candidates, hash);
        return candidates.draw();
      },
      push: (token) => {
        context.copyWithin(0, 1);
        context[context.length - 1] = token;
      },
    };
  }

  hashOf(tokens: ArrayLike<number>): Word {
    let hash = ONE;
    for (let i = 0; i < tokens.length; i++) hash = step(hash, { high: 0, low: tokens[i]! });
    return hash;
  }

  /** The bit g of each round for a token after a context. */
  gOf(context: Word, token: number): Uint8Array {
    const hash = this.#hashAfter(context, token);
    return Uint8Array.from(this.#steps, (_, round) => this.#g(hash.high, hash.low, round));
  }

  #reweigh(candidates: Candidates, context: Word): void {
    const { ids, count } = candidates;
    const high = new Uint32Array(count);
    const low = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      const hash = this.#hashAfter(context, ids[i]!);
      high[i] = hash.high;
      low[i] = hash.low;
    }
    tournament(candidates, this.depth, (round, g) => {
      for (let i = 0; i < count; i++) g[i] = this.#g(high[i]!, low[i]!, round);
    });
  }

  /** The n-gram's hash times the multiplier, to which a key's step only has to add. */
  #hashAfter(context: Word, token: number): Word {
    return times(step(context, { high: 0, low: token }));
  }

  #g(high: number, low: number, round: number): number {
    const key = this.#steps[round]!;
    const sum = low + key.low;
    return this.#table[remainder(high + key.high + (sum >= TWO32 ? 1 : 0), sum, this.#table.length)]!;
  }
}

/** A fixed number of newest contexts, all 0 at first. */
export class ContextHistory {
  readonly #size: number;
  /** Last occurrence of each context. */
  readonly #last = new Map([["0,0", -1]]);
  #added = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** Adds a context. Returns whether it was there already. */
  add({ high, low }: Word): boolean {
    const name = `${high},${low}`;
    const last = this.#last.get(name);
    const repeated = last !== undefined && last >= this.#added - this.#size;
    this.#last.set(name, this.#added++);
    return repeated;
  }
}

const wordOf = (value: bigint): Word => ({
  high: Number(BigInt.asUintN(32, value >> 32n)),
  low: Number(BigInt.asUintN(32, value)),
});

/** (hash + data) · multiplier + 1, modulo 2^64. */
function step(hash: Word, data: Word): Word {
  const sum = hash.low + data.low;
  const product = times({ high: hash.high + data.high + (sum >= TWO32 ? 1 : 0), low: sum });
  const low = product.low + 1;
  return { high: (product.high + (low >= TWO32 ? 1 : 0)) >>> 0, low: low >>> 0 };
}

/** The product with the multiplier, modulo 2^64. */
function times({ high, low }: Word): Word {
  const word = low >>> 0;
  const upper = multiplyHigh(word, LOW) + Math.imul(word, HIGH) + Math.imul(high, LOW);
  return { high: upper >>> 0, low: Math.imul(word, LOW) >>> 0 };
}

/** The signed 64-bit integer modulo n, from 0 on. Ignores bits above 32 in either part. */
function remainder(high: number, low: number, n: number): number {
  if ((n & (n - 1)) === 0) return low & (n - 1);
  const upper = high >>> 0;
  const unit = TWO32 % n;
  const unsigned = ((upper % n) * unit + ((low >>> 0) % n)) % n;
  return upper < 2 ** 31 ? unsigned : (unsigned - ((unit * unit) % n) + n) % n;
}
