import { createHash } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { EncodedBatch } from "../../data/batch.js";
import { encodePool } from "../../data/encode-pool.js";
import { INPUT_KINDS, type InputFile, listInputs } from "../../data/inputs.js";
import { makeBatches } from "../../data/make-batches.js";
import { checkShardVocab, tokensToBytes } from "../../data/shard.js";
import { DataError, UsageError } from "../../errors.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { writeTokenizerJson } from "../../tokenizer/tokenizer-json.js";
import { writeFolderAtomically, writeNewFile } from "../../util/atomic-write.js";
import { checkOptionNames } from "../../util/nearest.js";
import { checkWorkers, defaultWorkers } from "../../util/worker-count.js";
import { INDEX_FILES, type IndexInfo, newIndexInfo } from "./index-info.js";
import { suffixArray } from "./suffix-array.js";

export interface BuildIndexOptions {
  /** Output folder; an index in it is replaced. */
  readonly out: string;
  readonly tokenizer: Tokenizer;
  /** The tokenizer's name in index.json. Default "custom". */
  readonly tokenizerName?: string | undefined;
  /** Field of JSONL objects that holds the text. Default "text". */
  readonly textField?: string | undefined;
  /** Separator of documents in text files. Default: lines that are `<|endoftext|>`. */
  readonly separator?: string | undefined;
  /** Number of worker threads that encode; 0 encodes on this thread. Default: by cores and size. */
  readonly workers?: number | undefined;
  readonly onProgress?: ((progress: BuildIndexProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface BuildIndexProgress {
  readonly phase: "encode" | "sort" | "write";
  /** Bytes of the files on disk: read so far, and in all. */
  readonly bytesRead: number;
  readonly bytesTotal: number;
  readonly tokens: number;
}

/** Positions are 31-bit integers. */
const MAX_TOKENS = 2 ** 31 - 1;

/**
 * Makes the token index of a corpus (text, JSONL and folders of them, plain, gzip or zstd): its tokens and their suffix array.
 * Time and memory are linear in the corpus: 7 bytes of memory and 6 of disk per token.
 *
 * @throws {DataError} the input is missing, damaged or empty, the vocabulary exceeds 16 bits, or the disk is full.
 * @throws {UsageError} an option does not exist, or the folder holds something else.
 */
export async function buildIndex(inputs: readonly string[], options: BuildIndexOptions): Promise<IndexInfo> {
  checkOptionNames("indexing", options, {
    out: true,
    tokenizer: true,
    tokenizerName: true,
    textField: true,
    separator: true,
    workers: true,
    onProgress: true,
    signal: true,
  });
  checkWorkers("indexing", options.workers);
  checkOut(options.out);
  const { tokenizer } = options;
  checkShardVocab(tokenizer.vocabSize);
  const { endOfText } = tokenizer;
  if (endOfText === undefined) {
    const expected = "a tokenizer with <|endoftext|>, to separate documents";
    throw new DataError({ op: "indexing", expected, got: "a tokenizer without it" });
  }
  const { files } = listInputs(inputs);
  if (files.length === 0) {
    throw new DataError({ op: `reading ${inputs.join(", ")}`, expected: `text files (${INPUT_KINDS})`, got: "none" });
  }
  const bytesTotal = files.reduce((sum, { size }) => sum + size, 0);
  const corpus = await encodeCorpus(files, { ...options, endOfText, bytesTotal });
  if (corpus.documents === 0) {
    throw new DataError({ op: `indexing ${inputs.join(", ")}`, expected: "text", got: "nothing but white space" });
  }
  const report = (phase: "sort" | "write") =>
    options.onProgress?.({ phase, bytesRead: bytesTotal, bytesTotal, tokens: corpus.tokens.length });
  report("sort");
  const suffixes = suffixArray(corpus.tokens, tokenizer.vocabSize);
  options.signal?.throwIfAborted();
  report("write");
  const tokenizerJson = writeTokenizerJson(tokenizer.vocabulary);
  const info = newIndexInfo({
    tokenizer: {
      name: options.tokenizerName ?? "custom",
      sha256: createHash("sha256").update(tokenizerJson).digest("hex"),
      vocabSize: tokenizer.vocabSize,
      endOfText,
    },
    tokens: corpus.tokens.length,
    documents: corpus.documents,
    bytes: corpus.bytes,
    files: corpus.files,
  });
  const write = async (folder: string) => {
    await writeNewFile(join(folder, INDEX_FILES.tokens), tokensToBytes(corpus.tokens));
    await writeNewFile(join(folder, INDEX_FILES.suffixes), littleEndianBytes(suffixes));
    await writeNewFile(join(folder, INDEX_FILES.documents), littleEndianBytes(starts(corpus.tokens, endOfText)));
    await writeNewFile(join(folder, INDEX_FILES.tokenizer), tokenizerJson);
    await writeNewFile(join(folder, INDEX_FILES.info), `${JSON.stringify(info, null, 2)}\n`);
  };
  await writeFolderAtomically(options.out, write, { errorClass: DataError });
  return info;
}

/** @throws {UsageError} something other than an index would be replaced. */
function checkOut(out: string): void {
  const there = statSync(out, { throwIfNoEntry: false });
  if (there === undefined) return;
  const names = there.isDirectory() ? readdirSync(out) : undefined;
  if (names && (names.length === 0 || names.includes(INDEX_FILES.info))) return;
  const got = names ? "a folder of other files" : "a file";
  const hint = "Choose another folder";
  throw new UsageError({ op: `indexing into ${out}`, expected: "a new folder, or an index to replace", got, hint });
}

interface EncodedCorpus {
  readonly tokens: Uint16Array;
  readonly documents: number;
  readonly bytes: number;
  readonly files: IndexInfo["files"];
}

interface EncodeCorpusOptions extends BuildIndexOptions {
  readonly endOfText: number;
  readonly bytesTotal: number;
}

async function encodeCorpus(files: readonly InputFile[], options: EncodeCorpusOptions): Promise<EncodedCorpus> {
  const { tokenizer, endOfText, bytesTotal, textField = "text", separator, signal, onProgress } = options;
  const workers = options.workers ?? defaultWorkers(bytesTotal);
  const pool = encodePool(tokenizer.vocabulary, { endOfText, valFraction: 0, seed: 0, textField }, workers);
  const corpus = new CorpusTokens(files);
  let bytesRead = 0;
  const onRead = (file: number, bytes: number) => {
    bytesRead = bytes + files.slice(0, file).reduce((sum, { size }) => sum + size, 0);
  };
  try {
    const batches = makeBatches(files, { destination: "train", separator, onRead, signal });
    for await (const encoded of pool.map(batches, ({ bytes }) => [bytes.buffer])) {
      signal?.throwIfAborted();
      corpus.add(encoded);
      onProgress?.({ phase: "encode", bytesRead, bytesTotal, tokens: corpus.length });
    }
  } finally {
    await pool.close();
  }
  return corpus.take();
}

/** Collects the tokens of a corpus, and counts those of each file. */
class CorpusTokens {
  length = 0;
  #tokens = new Uint16Array(2 ** 20);
  #bytes = 0;
  readonly #files: { readonly path: string; documents: number; tokens: number }[];

  constructor(files: readonly InputFile[]) {
    this.#files = files.map(({ path }) => ({ path, documents: 0, tokens: 0 }));
  }

  add({ tokens, segments }: EncodedBatch): void {
    const length = this.length + tokens.length;
    if (length > MAX_TOKENS) {
      throw new DataError({ op: "indexing", expected: `at most ${MAX_TOKENS} tokens`, got: `${length}` });
    }
    if (length > this.#tokens.length) {
      const larger = new Uint16Array(Math.min(MAX_TOKENS, Math.max(length, 2 * this.#tokens.length)));
      larger.set(this.#tokens.subarray(0, this.length));
      this.#tokens = larger;
    }
    this.#tokens.set(tokens, this.length);
    this.length = length;
    for (const segment of segments) {
      const file = this.#files[segment.file]!;
      file.documents += segment.documents;
      file.tokens += segment.tokens;
      this.#bytes += segment.bytes;
    }
  }

  take(): EncodedCorpus {
    const documents = this.#files.reduce((sum, file) => sum + file.documents, 0);
    return { tokens: this.#tokens.subarray(0, this.length), documents, bytes: this.#bytes, files: this.#files };
  }
}

/** Positions where documents begin. Text never encodes to the token `<|endoftext|>`: special tokens are not recognized. */
function starts(tokens: Uint16Array, endOfText: number): Int32Array {
  const found: number[] = [];
  for (let i = 0; i < tokens.length; i++) if (tokens[i] === endOfText) found.push(i);
  return Int32Array.from(found);
}

function littleEndianBytes(numbers: Int32Array): Uint8Array {
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  const isLittle = new Uint8Array(Int32Array.of(1).buffer)[0] === 1;
  return isLittle ? bytes : new Uint8Array(numbers.map(swapBytes).buffer);
}

const swapBytes = (n: number): number => ((n & 0xff) << 24) | ((n & 0xff00) << 8) | ((n >>> 8) & 0xff00) | (n >>> 24);
