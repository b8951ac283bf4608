import { UsageError } from "../../errors.js";
import { yieldToEventLoop } from "../../util/event-loop.js";
import { checkOptionNames } from "../../util/nearest.js";
import { PairCounts } from "../pair-counts.js";
import { PairQueue } from "../pair-queue.js";
import { isPunctuation, isWhiteSpace, type NormalizerOptions, normalize } from "./normalize.js";
import { WordPieceTokenizer } from "./tokenizer.js";
import { BERT_TOKENS, bertNormalizer, bertVocabulary } from "./vocabulary.js";

export interface TrainWordPieceOptions {
  /** Size of the vocabulary: the special tokens, the characters, the pieces. */
  readonly vocabSize: number;
  /** Pairs that occur less often are not merged; 0 by default, as in tokenizers. */
  readonly minFrequency?: number;
  /** Characters that the vocabulary gets whatever the text; none by default. */
  readonly alphabet?: string;
  /** Default: BERT's, for lower case. */
  readonly normalizer?: NormalizerOptions;
  readonly signal?: AbortSignal;
}

const PREFIX = "##";
/** Number of merges between two turns of the event loop. */
const YIELD_EVERY = 64;

/**
 * Learns a WordPiece vocabulary like tokenizers' WordPieceTrainer, by byte-pair encoding over characters. Naively,
 *
 *     words are lists of symbols: `un` is `u`, `##n`;
 *     while (vocabulary.size < vocabSize) the most frequent adjacent pair becomes a token (`u`, `##n`: `un`), in all words;
 *
 * and of the merges only their tokens are kept. The counts and the queue of pairs are those of {@link MergeTrainer}. Ids:
 * special tokens, characters that begin words, characters that continue them, both in the order of code points, pieces in
 * the order learned. (tokenizers numbers the continuing characters differently in each run, and among equally frequent pairs
 * merges the one with the smaller ids first: the last pieces of its vocabularies vary.)
 *
 * @throws {UsageError} no room for the special tokens and the characters.
 */
export async function trainWordPiece(
  documents: Iterable<string> | AsyncIterable<string>,
  options: TrainWordPieceOptions,
): Promise<WordPieceTokenizer> {
  checkOptionNames("training WordPiece", options, {
    vocabSize: true,
    minFrequency: true,
    alphabet: true,
    normalizer: true,
    signal: true,
  });
  const { vocabSize, minFrequency = 0, alphabet = "", normalizer = bertNormalizer(), signal } = options;
  const counts = new Map<string, number>();
  for await (const document of documents) {
    signal?.throwIfAborted();
    countWords(normalize(document, normalizer).text, counts);
  }
  const trainer = new PieceTrainer(counts, alphabet);
  if (!Number.isInteger(vocabSize) || vocabSize < trainer.tokens.length) {
    const expected = `an integer of at least ${trainer.tokens.length} (special tokens and characters)`;
    throw new UsageError({ op: "training WordPiece: vocabSize", expected, got: String(vocabSize) });
  }
  for (let done = 1; trainer.tokens.length < vocabSize && trainer.step(minFrequency); done++) {
    if (done % YIELD_EVERY > 0) continue;
    signal?.throwIfAborted();
    await yieldToEventLoop();
  }
  return new WordPieceTokenizer(bertVocabulary(trainer.tokens, normalizer));
}

function countWords(text: string, counts: Map<string, number>): void {
  const add = (word: string): void => {
    if (word !== "") counts.set(word, (counts.get(word) ?? 0) + 1);
  };
  let word = "";
  for (const char of text) {
    const codePoint = char.codePointAt(0)!;
    const isWord = !isWhiteSpace(codePoint) && !isPunctuation(codePoint);
    if (isWord) word += char;
    else {
      add(word);
      word = "";
      if (isPunctuation(codePoint)) add(char);
    }
  }
  add(word);
}

const byCodePoint = (a: string, b: string): number => a.codePointAt(0)! - b.codePointAt(0)!;

/** Merges over all words, whose symbols are one linked list. */
class PieceTrainer {
  /** Tokens by id. */
  readonly tokens: string[] = [];
  readonly #ids = new Map<string, number>();
  /** Symbol at each position, -1 if merged into the one on its left; positions of the next and the previous, or -1. */
  readonly #symbols: number[] = [];
  readonly #next: number[] = [];
  readonly #prev: number[] = [];
  /** Count of each position's word. */
  readonly #weights: number[] = [];
  readonly #pairs = new PairCounts();
  readonly #queue = new PairQueue(this.#pairs);

  constructor(counts: ReadonlyMap<string, number>, alphabet: string) {
    const words = Array.from(counts, ([word, count]) => [Array.from(word), count] as const);
    const chars = new Set([...alphabet, ...words.flatMap(([word]) => word)]);
    const continuing = new Set(words.flatMap(([word]) => word.slice(1)));
    const { pad, unknown, cls, sep, mask } = BERT_TOKENS;
    for (const token of [pad, unknown, cls, sep, mask]) this.#idOf(token);
    for (const char of [...chars].sort(byCodePoint)) this.#idOf(char);
    for (const char of [...continuing].sort(byCodePoint)) this.#idOf(PREFIX + char);
    for (const [word, count] of words) this.#addWord(word, count);
    for (let pair = 0; pair < this.#pairs.size; pair++) this.#queue.push(pair);
  }

  #idOf(token: string): number {
    let id = this.#ids.get(token);
    if (id === undefined) {
      id = this.tokens.push(token) - 1;
      this.#ids.set(token, id);
    }
    return id;
  }

  #addWord(word: readonly string[], weight: number): void {
    const from = this.#symbols.length;
    for (const [i, char] of word.entries()) {
      this.#symbols.push(this.#idOf(i === 0 ? char : PREFIX + char));
      this.#weights.push(weight);
      this.#prev.push(i === 0 ? -1 : from + i - 1);
      this.#next.push(i + 1 < word.length ? from + i + 1 : -1);
      if (i > 0) this.#pairs.add(this.#symbols[from + i - 1]!, this.#symbols[from + i]!, weight, from + i - 1);
    }
  }

  /** Learns one more merge, whose token may already exist; false if no pair is frequent enough. */
  step(minFrequency: number): boolean {
    const pair = this.#queue.pop();
    if (pair < 0 || this.#pairs.counts[pair]! < Math.max(1, minFrequency)) return false;
    const [a, b] = [this.#pairs.left[pair]!, this.#pairs.right[pair]!];
    const id = this.#idOf(this.tokens[a]! + this.tokens[b]!.slice(PREFIX.length));
    const changed = new Set<number>();
    for (const i of this.#pairs.takePositions(pair)) this.#mergeAt(i, a, b, id, changed);
    this.#pairs.counts[pair] = 0;
    for (const other of changed) if (other !== pair) this.#queue.push(other);
    return true;
  }

  #mergeAt(i: number, a: number, b: number, id: number, changed: Set<number>): void {
    const symbols = this.#symbols;
    const j = this.#next[i]!;
    if (symbols[i] !== a || j < 0 || symbols[j] !== b) return;
    const weight = this.#weights[i]!;
    const [before, after] = [this.#prev[i]!, this.#next[j]!];
    if (before >= 0) {
      this.#pairs.subtract(symbols[before]!, a, weight);
      changed.add(this.#pairs.add(symbols[before]!, id, weight, before));
    }
    if (after >= 0) {
      this.#pairs.subtract(b, symbols[after]!, weight);
      changed.add(this.#pairs.add(id, symbols[after]!, weight, i));
      this.#prev[after] = i;
    }
    symbols[i] = id;
    symbols[j] = -1;
    this.#next[i] = after;
  }
}
