import { withCopies } from "../../data/copy-inputs.js";
import { INPUT_KINDS, type Input, type InputFile, listInputs, namesOf } from "../../data/inputs.js";
import { makeBatches } from "../../data/make-batches.js";
import { DataError, UsageError } from "../../errors.js";
import { checkOptionNames } from "../../util/nearest.js";
import { checkWorkers, defaultWorkers } from "../../util/worker-count.js";
import type { TextCounts } from "./batch-scanner.js";
import { ledBatches } from "./batch-scanner.js";
import { BloomFilter, bloomShape } from "./bloom-filter.js";
import { MAX_N } from "./filter-file.js";
import type { NgramFilter } from "./ngram-filter.js";
import { addTo, type ScanPool, scanPool } from "./scan-pool.js";

/** As in the paper. */
export const DEFAULT_N = 8;
export const DEFAULT_RATE = 1e-8;
/** N-grams are hashed to 63 bits: with a billion in the filter, a collision has a probability of 10^-10. */
const MIN_RATE = 1e-10;

export interface BuildFilterOptions {
  /** Words in an n-gram. Default 8. */
  readonly n?: number | undefined;
  /** Upper bound of the rate of false positives. Default 10^-8. */
  readonly rate?: number | undefined;
  /** Worker threads; 0 runs inline. Default: by cores and size. The filter does not depend on it. */
  readonly workers?: number | undefined;
  /** Field of JSONL objects with the text. Default "text". */
  readonly textField?: string | undefined;
  /** Separator of documents in text files. Default: lines `<|endoftext|>`. */
  readonly separator?: string | undefined;
  readonly onProgress?: ((progress: BuildFilterProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface BuildFilterProgress extends TextCounts {
  /** The text is read twice: n-grams are counted, for the filter's size, then added. */
  readonly phase: "count" | "add";
  /** Bytes on disk, read in this phase and in all. */
  readonly bytesRead: number;
  readonly bytesTotal: number;
}

/**
 * Builds the filter of all n-grams of words in text, JSONL and folders of them, plain, gzip or zstd. Time and size are
 * linear in the text; n-grams do not cross documents.
 *
 * @throws {DataError} missing or damaged input, or text without n-grams.
 * @throws {UsageError} an option out of range.
 */
export async function buildNgramFilter(
  inputs: readonly string[],
  options: BuildFilterOptions = {},
): Promise<NgramFilter> {
  checkOptionNames("building a filter", options, {
    n: true,
    rate: true,
    workers: true,
    textField: true,
    separator: true,
    onProgress: true,
    signal: true,
  });
  const { n = DEFAULT_N, rate = DEFAULT_RATE, textField = "text" } = options;
  checkOptions(n, rate, options.workers);
  return withCopies(inputs, (readable) => buildFrom(readable, n, rate, textField, options), options.signal);
}

async function buildFrom(
  inputs: readonly Input[],
  n: number,
  rate: number,
  textField: string,
  options: BuildFilterOptions,
): Promise<NgramFilter> {
  const { files } = listInputs(inputs);
  if (files.length === 0) {
    throw new DataError({ op: `reading ${namesOf(inputs)}`, expected: `text files (${INPUT_KINDS})`, got: "none" });
  }
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const workers = options.workers ?? defaultWorkers(bytes);
  const pool = scanPool({ n, textField }, workers);
  try {
    const counts = await scanAll("count", files, n, pool, options);
    if (counts.ngrams === 0) {
      throw new DataError({
        op: `reading ${files[0]!.path}`,
        expected: `documents of ${n} words or more`,
        got: "none",
      });
    }
    const shape = bloomShape(counts.ngrams, rate);
    const bloom = workers === 0 ? new BloomFilter(shape) : BloomFilter.shared(shape);
    addTo(pool, bloom, workers > 0);
    const added = await scanAll("add", files, n, pool, options);
    if (added.ngrams !== counts.ngrams) {
      const [expected, got] = [`${counts.ngrams} n-grams, as before`, `${added.ngrams}`];
      throw new DataError({ op: "reading the text a second time", expected, got, hint: "It changed meanwhile" });
    }
    return { n, rate, ...counts, bloom };
  } finally {
    await pool.close();
  }
}

/** Reader → worker pool: batches are scanned in any order, with a bounded number in flight. */
async function scanAll(
  phase: "count" | "add",
  files: readonly InputFile[],
  n: number,
  pool: ScanPool,
  { separator, onProgress, signal }: BuildFilterOptions,
): Promise<TextCounts> {
  const total = { documents: 0, words: 0, ngrams: 0 };
  const bytesTotal = files.reduce((sum, { size }) => sum + size, 0);
  let bytesRead = 0;
  const onRead = (file: number, bytes: number) => {
    bytesRead = bytes + files.slice(0, file).reduce((sum, { size }) => sum + size, 0);
  };
  signal?.throwIfAborted();
  const batches = ledBatches(makeBatches(files, { destination: "train", separator, onRead, signal }), n - 1);
  for await (const { documents, words, ngrams } of pool.map(batches, ({ batch }) => [batch.bytes.buffer])) {
    total.documents += documents;
    total.words += words;
    total.ngrams += ngrams;
    signal?.throwIfAborted();
    onProgress?.({ phase, bytesRead, bytesTotal, ...total });
  }
  return total;
}

function checkOptions(n: number, rate: number, workers: number | undefined): void {
  const wrong = (name: string, expected: string, got: number) =>
    new UsageError({ op: `building a filter: ${name}`, expected, got: String(got) });
  if (!(Number.isInteger(n) && n >= 1 && n <= MAX_N)) throw wrong("n", `a number from 1 to ${MAX_N}`, n);
  if (!(rate >= MIN_RATE && rate <= 0.5)) throw wrong("rate", `a share from ${MIN_RATE} to 0.5`, rate);
  checkWorkers("building a filter", workers);
}
