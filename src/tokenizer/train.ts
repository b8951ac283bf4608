import { UsageError } from "../errors.js";
import { yieldToEventLoop } from "../util/event-loop.js";
import { checkOptionNames } from "../util/nearest.js";
import { WordCounts } from "./count-words.js";
import { Tokenizer } from "./tokenizer.js";
import { MergeTrainer } from "./train-merges.js";
import { END_OF_TEXT, vocabularyFromMerges } from "./vocabulary.js";

export interface TrainTokenizerOptions {
  /** Size of the vocabulary: 256 bytes, the merges, the special tokens. */
  readonly vocabSize: number;
  /** Special tokens, which get the last ids; by default only `<|endoftext|>`. */
  readonly specialTokens?: readonly string[];
  /** Minimum count of a pair to be merged, even if the vocabulary stays smaller; 2 by default. */
  readonly minFrequency?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TrainTokenizerProgress) => void;
}

export interface TrainTokenizerProgress {
  readonly phase: "count" | "merge";
  /** Number of documents counted, or merges learned. */
  readonly done: number;
  /** Maximum number of merges to learn; 0 while counting, when it is unknown. */
  readonly total: number;
  /** UTF-8 bytes counted. */
  readonly bytes: number;
  /** Distinct pre-tokens counted. */
  readonly words: number;
  /** Length of the text in tokens, under the merges learned so far. */
  readonly tokens: number;
}

/** Number of documents, or merges, between two progress reports. */
const REPORT_EVERY = 64;

/**
 * Learns a byte-level BPE vocabulary with GPT-2's pre-tokenizer. The same documents, in any order, give the same
 * vocabulary: ids 0 to 255 are the bytes in GPT-2's order, followed by the merges in the order learned and the special
 * tokens. Documents should not contain special tokens, which would count as plain text; as bytes they must be UTF-8.
 * Memory grows with the number of distinct pre-tokens, not with the corpus.
 *
 * @throws {UsageError} the vocabulary has no room for the bytes and the special tokens.
 */
export async function trainTokenizer(
  documents: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>,
  options: TrainTokenizerOptions,
): Promise<Tokenizer> {
  checkOptionNames("training a tokenizer", options, {
    vocabSize: true,
    specialTokens: true,
    minFrequency: true,
    signal: true,
    onProgress: true,
  });
  const special = options.specialTokens ?? [END_OF_TEXT];
  const merges = options.vocabSize - 256 - special.length;
  if (!Number.isInteger(merges) || merges < 0) {
    throw new UsageError({
      op: "training a tokenizer: vocabSize",
      expected: `an integer of at least ${256 + special.length} (256 bytes, ${special.length} special tokens)`,
      got: String(options.vocabSize),
    });
  }
  const words = new WordCounts();
  let done = 0;
  const report = (phase: "count" | "merge", total: number, tokens: number): void => {
    options.signal?.throwIfAborted();
    options.onProgress?.({ phase, done, total, bytes: words.bytes, words: words.words.size, tokens });
  };
  for await (const document of documents) {
    if (typeof document === "string") words.addText(document);
    else words.addBytes(document);
    if (++done % REPORT_EVERY === 0) report("count", 0, words.bytes);
  }
  report("count", 0, words.bytes);
  const trainer = new MergeTrainer(words);
  for (done = 0; done < merges && trainer.step(options.minFrequency ?? 2); done++) {
    if (done % REPORT_EVERY !== 0) continue;
    report("merge", merges, trainer.tokens);
    await yieldToEventLoop();
  }
  report("merge", merges, trainer.tokens);
  return new Tokenizer(vocabularyFromMerges(Uint32Array.from(trainer.merges), special));
}
