import { UsageError } from "../errors.js";
import { WordCounts } from "./count-words.js";
import { Tokenizer } from "./tokenizer.js";
import { MergeTrainer } from "./train-merges.js";
import { END_OF_TEXT, vocabularyFromMerges } from "./vocabulary.js";

export interface TrainTokenizerOptions {
  /** Tokens in all: 256 bytes, the merges, the special tokens. */
  readonly vocabSize: number;
  /** Special tokens, which get the last ids; `<|endoftext|>` alone by default. */
  readonly specialTokens?: readonly string[];
  /** Pairs that occur less often are not merged, even if the vocabulary stays smaller; 2 by default. */
  readonly minFrequency?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TrainTokenizerProgress) => void;
}

export interface TrainTokenizerProgress {
  readonly phase: "count" | "merge";
  /** Documents counted, or merges learnt. */
  readonly done: number;
  /** Merges to learn at most; 0 while counting, when nobody knows. */
  readonly total: number;
  /** UTF-16 code units (or bytes, for documents given as bytes) read so far. */
  readonly size: number;
  /** Distinct pre-tokens so far. */
  readonly words: number;
}

/** Documents between two progress reports, and merges. */
const REPORT_EVERY = 64;

/**
 * Learns a byte-level BPE vocabulary with GPT-2's pre-tokenizer. The same documents, in any order, give the same
 * vocabulary: ids 0 to 255 are the bytes in GPT-2's order, then come the merges in the order learnt, then the special
 * tokens. Special tokens inside documents are learnt from as plain text, so leave them out. Documents given as bytes
 * must be UTF-8. Memory grows with the number of distinct pre-tokens, not with the corpus.
 *
 * @throws {UsageError} the vocabulary has no room for the bytes and the special tokens.
 */
export async function trainTokenizer(
  documents: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>,
  options: TrainTokenizerOptions,
): Promise<Tokenizer> {
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
  let size = 0;
  const report = (phase: "count" | "merge", total: number): void => {
    options.signal?.throwIfAborted();
    options.onProgress?.({ phase, done, total, size, words: words.words.size });
  };
  for await (const document of documents) {
    if (typeof document === "string") words.addText(document);
    else words.addBytes(document);
    size += document.length;
    if (++done % REPORT_EVERY === 0) report("count", 0);
  }
  report("count", 0);
  const trainer = new MergeTrainer(words);
  for (done = 0; done < merges && trainer.step(options.minFrequency ?? 2); done++) {
    if (done % REPORT_EVERY === 0) {
      report("merge", merges);
      // Lets timers, signals and the progress line have their turn.
      if (done % (16 * REPORT_EVERY) === 0) await new Promise((resolve) => setTimeout(resolve));
    }
  }
  report("merge", merges);
  return new Tokenizer(vocabularyFromMerges(Uint32Array.from(trainer.merges), special));
}
