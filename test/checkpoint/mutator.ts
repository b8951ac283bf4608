/**
 * Random damage to valid files. Whatever the damage, the reader may throw only typed errors, its results must be finite
 * and of the right shape, and it may not read more bytes than a few times the file's size.
 *
 * `FUZZ_SECONDS` is the time that each fuzzer continues beyond its usual rounds, `FUZZ_SEED` its first seed:
 * `FUZZ_SECONDS=600 FUZZ_SEED=1000000 node dist/scripts/test.js --all fuzz`.
 */
import assert from "node:assert/strict";
import { numel } from "../../src/architectures/tensor-spec.js";
import { type ByteSource, memorySource } from "../../src/checkpoint/byte-source.js";
import { GPT2Error } from "../../src/errors.js";
import { type Checkpoint, type ModelFiles, memoryFiles } from "../../src/pretrained/index.js";
import { RandomStream } from "../../src/util/random.js";
import { allocatedBytes } from "../helpers/allocations.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";
import { watched, watchedAsync } from "../helpers/watchdog.js";

/** Sizes that are critical for integers of all kinds. */
const NUMBERS = [
  "0",
  "1",
  "-1",
  "-0",
  "2",
  "7",
  "255",
  "65536",
  "2147483647",
  "2147483648",
  "4294967295",
  "4294967296",
  "9007199254740991",
  "9007199254740992",
  "18446744073709551615",
  "1e400",
  "1e-400",
  "0.5",
  "1E2",
  "01",
  "null",
  '"1"',
  "[]",
  "{}",
];

/** Deeper than the stack: what walks through it, such as String() of a list, ends in a RangeError. */
const DEEP = ["[".repeat(20_000) + "]".repeat(20_000), `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`];

export class Mutator {
  readonly #random: RandomStream;

  constructor(seed: number) {
    this.#random = new RandomStream(seed);
  }

  below(n: number): number {
    return this.#random.below(n);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /**
   * One to four small changes of the bytes before `limit` (the header, which holds most of the meaning) or of any
   * bytes.
   */
  bytes(file: Uint8Array, limit: number): Uint8Array {
    let out = file;
    for (let n = 1 + this.below(4); n > 0; n--) out = this.#change(out, this.below(4) > 0 ? limit : out.length);
    return out;
  }

  /** One to four changed bytes from `start` to `end`; nothing is moved. */
  overwrite(file: Uint8Array, start: number, end: number): Uint8Array {
    const out = new Uint8Array(file);
    for (let n = 1 + this.below(4); n > 0; n--) {
      const at = start + this.below(end - start);
      out[at] = this.below(2) > 0 ? out[at]! ^ (1 << this.below(8)) : this.pick([0, 1, 7, 0x7f, 0x80, 0xff]);
    }
    return out;
  }

  #change(file: Uint8Array, limit: number): Uint8Array {
    const at = this.below(Math.max(1, Math.min(limit, file.length)));
    const length = 1 + this.below(16);
    // A Buffer's slice would share memory, and the damage of all rounds would add up.
    const copy = new Uint8Array(file);
    const kind = this.below(6);
    if (kind === 0 && copy.length > 0) copy[at]! ^= 1 << this.below(8);
    else if (kind === 1 && copy.length > 0)
      copy[at] = this.pick([0, 1, 0x20, 0x22, 0x2d, 0x5b, 0x7b, 0x7d, 0x7f, 0xff]);
    else if (kind === 2) return file.slice(0, at);
    else if (kind === 3) return joined(file.subarray(0, at), file.subarray(at + length));
    else if (kind === 4) return joined(file.subarray(0, at), file.subarray(at, at + length), file.subarray(at));
    else copy.copyWithin(at, this.below(copy.length + 1), this.below(copy.length + 1));
    return copy;
  }

  /** Changes JSON as text, so that most results still parse: numbers, strings, entries swapped, repeated, left out, deep. */
  json(text: string): string {
    let out = text;
    for (let n = 1 + this.below(3); n > 0; n--) {
      const kind = this.below(24);
      if (kind === 23) out = this.#replaceOne(out, /(?<=:)("[^"]*"|-?\d+)/g, () => this.pick(DEEP));
      else if (kind % 4 === 0) out = this.#replaceOne(out, /-?\d+(\.\d+)?/g, () => this.pick(NUMBERS));
      else if (kind % 4 === 1)
        out = this.#replaceOne(out, /"[^"]*"/g, () => this.pick(out.match(/"[^"]*"/g) ?? ['""']));
      else if (kind % 4 === 2)
        out = this.#replaceOne(out, /,"[^"]*":(\{[^{}]*\}|[^,{}]+)/g, (entry) => this.pick(["", entry + entry]));
      else
        out = this.#replaceOne(out, /\[[^[\]]*\]/g, (list) =>
          this.pick(["[]", `[${list}]`, list.replace("[", "[1,"), "0"]),
        );
    }
    return out;
  }

  #replaceOne(text: string, pattern: RegExp, replace: (match: string) => string): string {
    const matches = [...text.matchAll(pattern)];
    if (matches.length === 0) return text;
    const { index, 0: match } = this.pick(matches);
    return text.slice(0, index) + replace(match) + text.slice(index + match.length);
  }
}

export function joined(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Size of the files that the current attempt reads. */
let fileBytes = 0;

/** A source that fails the test if too much is read from it. */
export function bounded(name: string, bytes: Uint8Array): ByteSource {
  fileBytes += bytes.length;
  const source = memorySource(name, bytes);
  let left = 4 * bytes.length + 4096;
  return {
    ...source,
    bytes(offset, length) {
      left -= length;
      assert.ok(left >= 0, `asks for ${length} bytes at ${offset} of ${bytes.length}, after many others`);
      return source.bytes(offset, length);
    },
  };
}

/** A model's files, each such a source. */
export function boundedFiles(files: Readonly<Record<string, Uint8Array>>): ModelFiles {
  return { ...memoryFiles("fuzz", files), open: (name) => bounded(name, files[name] ?? new Uint8Array(0)) };
}

const outcomes = { refused: 0, read: 0 };

/** Arrays may be this many times as long as the files: weights of 2 bits become 32-bit numbers. */
const MOST_TIMES = 16;
/** Additional length allowed, in bytes. */
const MOST_MORE = 2 ** 20;

/** Runs a reader. Anything but success or a typed error fails, as do too much memory and a hang. */
export function guarded(what: string, run: () => void, mostMore = MOST_MORE): void {
  const before = startCounting();
  let failure: unknown;
  try {
    watched(run);
  } catch (error) {
    failure = error;
  }
  judge(what, failure, allocatedBytes() - before, mostMore);
}

/** {@link guarded} for asynchronous readers. */
export async function guardedAsync(what: string, run: () => Promise<void>, mostMore = MOST_MORE): Promise<void> {
  const before = startCounting();
  let failure: unknown;
  try {
    await watchedAsync(run);
  } catch (error) {
    failure = error;
  }
  judge(what, failure, allocatedBytes() - before, mostMore);
}

function startCounting(): number {
  fileBytes = 0;
  return allocatedBytes();
}

/** Files not read through {@link bounded}: the number of their bytes that may be held. */
export function reading(bytes: Uint8Array): void {
  fileBytes += bytes.length;
}

function judge(what: string, failure: unknown, allocated: number, mostMore: number): void {
  if (failure === undefined) outcomes.read++;
  else {
    if (!(failure instanceof GPT2Error)) throw new Error(`${what}: ${String(failure)}`, { cause: failure });
    assert.ok(failure.message.length < 2000, what);
    outcomes.refused++;
  }
  assert.ok(allocated <= MOST_TIMES * fileBytes + mostMore, `${what}: ${allocated} bytes for files of ${fileBytes}`);
}

/** Loads and reads everything. */
export function attempt(what: string, load: () => Checkpoint): void {
  guarded(what, () => {
    const { config, tensors, head } = load();
    assert.ok(head === undefined || [...head.tensors.values()].every(({ shape }) => shape[0] === head.labels.length));
    for (const [name, tensor] of [...tensors, ...(head?.tensors ?? [])]) {
      const values = new Float32Array(numel(tensor.shape));
      tensor.readInto(values);
      assert.ok(values.every(Number.isFinite), `${name} of ${config.nLayer} layers`);
    }
  });
}

/**
 * Memory other than typed arrays, such as JSON objects, shows only in the whole process: MiB, of which Node takes about
 * 100.
 */
const MOST_PEAK = 600;

/** The rounds of a fuzzer: in `npm test` an eighth. */
const roundsOf = (rounds: number): number => (TESTING_ALL ? rounds : Math.ceil(rounds / 8));

/** Both outcomes must occur; otherwise the damage is too heavy or too light to test anything. */
export function fuzz(rounds: number, one: (mutator: Mutator, what: string) => void): void {
  const finish = startFuzzing(rounds);
  for (const seed of fuzzSeeds(rounds)) one(new Mutator(seed), `seed ${seed}`);
  finish();
}

/** {@link fuzz} for asynchronous readers. */
export async function fuzzAsync(rounds: number, one: (mutator: Mutator, what: string) => Promise<void>): Promise<void> {
  const finish = startFuzzing(rounds);
  for (const seed of fuzzSeeds(rounds)) await one(new Mutator(seed), `seed ${seed}`);
  finish();
}

const SECONDS = Number(process.env.FUZZ_SECONDS ?? 0);
const FIRST_SEED = Number(process.env.FUZZ_SEED ?? 0);

/** This number of rounds, then as many as fit into `FUZZ_SECONDS`. */
export function* fuzzSeeds(rounds: number): Generator<number, void, undefined> {
  const until = performance.now() + 1000 * SECONDS;
  for (let i = 0; i < roundsOf(rounds) || performance.now() < until; i++) yield FIRST_SEED + i;
}

/** Returns a function that checks the outcomes at the end. */
function startFuzzing(allRounds: number): () => void {
  const rounds = roundsOf(allRounds);
  outcomes.refused = 0;
  outcomes.read = 0;
  return () => {
    const { refused, read } = outcomes;
    if (SECONDS > 0) console.log(`${refused + read} cases, ${refused} refused`);
    assert.ok(refused + read >= rounds);
    assert.ok(refused > rounds / 4 && read > 0, JSON.stringify(outcomes));
    const peak = process.resourceUsage().maxRSS / 1024;
    assert.ok(peak < MOST_PEAK, `the process took up to ${peak.toFixed(0)} MiB`);
  };
}

/** A guard against hanging, not a measurement: these take a second or so. */
export const timeout = 120_000 + 4000 * SECONDS;
