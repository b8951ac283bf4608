import { TokenizerError } from "../errors.js";
import { findDuplicateKey } from "../util/duplicate-key.js";
import { quote } from "../util/quote.js";
import { bytesToChars } from "./byte-alphabet.js";
import { WordMerger } from "./merge-word.js";
import { type AddedToken, END_OF_TEXT, type Vocabulary } from "./vocabulary.js";
import { type VocabularyTexts, vocabularyFromTexts } from "./vocabulary-from-texts.js";

/** The contents of the files of OpenAI's release and of Hugging Face folders; names are for errors. */
export interface Gpt2Files {
  /** vocab.json, or OpenAI's encoder.json. */
  readonly vocab: string;
  readonly vocabName?: string;
  /** merges.txt, or OpenAI's vocab.bpe. */
  readonly merges: string;
  readonly mergesName?: string;
  /** added_tokens.json: ids of tokens that are not in vocab.json. */
  readonly added?: string;
  readonly addedName?: string;
}

/** @throws {TokenizerError} a file is malformed or truncated, or the two do not fit together. */
export function readGpt2Files(files: Gpt2Files): Vocabulary {
  const texts = parseGpt2Files(files);
  return checkMerges(vocabularyFromTexts(texts), files.mergesName);
}

/** The parts of vocab.json and merges.txt, with `<|endoftext|>` and the tokens of added_tokens.json as added tokens. */
export function parseGpt2Files(files: Gpt2Files): VocabularyTexts {
  const { vocabName = "vocab.json", mergesName = "merges.txt", addedName = "added_tokens.json" } = files;
  const tokens = parseObject(files.vocab, vocabName);
  const added: AddedToken[] = [];
  if (Object.hasOwn(tokens, END_OF_TEXT)) {
    added.push({ id: tokens[END_OF_TEXT] as number, text: END_OF_TEXT, special: true });
  }
  for (const [text, id] of Object.entries(files.added === undefined ? {} : parseObject(files.added, addedName))) {
    if (typeof id !== "number") {
      const op = `reading ${addedName}: token ${quote(text)}`;
      throw new TokenizerError({ op, expected: "an id", got: quote(id) });
    }
    // As in transformers, special tokens are those that tokenizer_config.json names (tokenizer-config.ts).
    if (text !== END_OF_TEXT) added.push({ id, text, special: false, normalized: true });
  }
  const { merges, lines } = parseMerges(files.merges, mergesName);
  const mergeName = (rank: number): string => `${mergesName}: line ${lines[rank]}`;
  return { tokens, tokensName: vocabName, merges, mergeName, added };
}

/**
 * Refuses a truncated merges.txt. Above the first merge's result every ordinary token is made by a merge; the
 * first one that is not consists of two tokens under the remaining merges.
 *
 * @throws {TokenizerError} it was truncated.
 */
export function checkMerges(vocabulary: Vocabulary, name = "merges.txt"): Vocabulary {
  const { size, results, bytes, offsets, added } = vocabulary;
  const explained = new Set([...results, ...added.map(({ id }) => id)]);
  let id = results.reduce((least, result) => Math.min(least, result), results.length > 0 ? size : 0);
  while (id < size && (offsets[id + 1]! - offsets[id]! < 2 || explained.has(id))) id++;
  if (id >= size) return vocabulary;
  const token = bytes.subarray(offsets[id]!, offsets[id + 1]!);
  const text = bytesToChars(token);
  // Special tokens that no file declares are not results of merges either.
  if (/^[<[]/.test(text) || new WordMerger(vocabulary).merge(token, 0, token.length, new Uint32Array(256), 0) !== 2) {
    return vocabulary;
  }
  throw new TokenizerError({
    op: `reading ${name}`,
    expected: "a merge for each token of the vocabulary",
    got: `${results.length} merges, none that makes ${quote(text)} (id ${id})`,
    hint: "The file seems to be truncated; if the token is an added one, list it in added_tokens.json",
  });
}

/** @throws {TokenizerError} not JSON, not an object, or a repeated key. */
export function parseObject(json: string, name: string): Record<string, unknown> {
  const op = `reading ${name}`;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new TokenizerError({ op, expected: "JSON", got: (cause as Error).message, cause });
  }
  if (!isObject(value)) throw new TokenizerError({ op, expected: "a JSON object", got: quote(value) });
  const repeated = findDuplicateKey(json);
  if (repeated === undefined) return value;
  throw new TokenizerError({ op, expected: "each key once", got: `the key ${quote(repeated)} twice` });
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseMerges(text: string, name: string): { merges: [string, string][]; lines: number[] } {
  const merges: [string, string][] = [];
  const lines: number[] = [];
  text.split("\n").forEach((raw, index) => {
    const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
    // Only a version line is a comment: `# #` is one of GPT-2's merges.
    if (line === "" || line.startsWith("#version")) return;
    merges.push(splitMerge(line, () => `${name}: line ${index + 1}`));
    lines.push(index + 1);
  });
  return { merges, lines };
}

/** @throws {TokenizerError} not two tokens with one space between them. */
export function splitMerge(line: string, name: () => string): [string, string] {
  const space = line.indexOf(" ");
  if (space > 0 && space < line.length - 1 && line.indexOf(" ", space + 1) < 0) {
    return [line.slice(0, space), line.slice(space + 1)];
  }
  throw new TokenizerError({ op: `reading ${name()}`, expected: "two tokens and a space between", got: quote(line) });
}

/** Tokens by id in the alphabet of GPT-2's files; added tokens as their own text, undefined for an id without a token. */
export function tokenTexts(vocabulary: Vocabulary): (string | undefined)[] {
  const own = new Map(vocabulary.added.map(({ text, id }) => [id, text]));
  return Array.from({ length: vocabulary.size }, (_, id) => own.get(id) ?? (charsOf(id, vocabulary) || undefined));
}

/** The text of one token in the alphabet of GPT-2's files. */
export function tokenText(id: number, vocabulary: Vocabulary): string {
  return vocabulary.added.find((token) => token.id === id)?.text ?? charsOf(id, vocabulary);
}

function charsOf(id: number, { bytes, offsets }: Vocabulary): string {
  return bytesToChars(bytes.subarray(offsets[id]!, offsets[id + 1]!));
}

/**
 * vocab.json: token to id, in id order. Joined from text because JavaScript objects put keys that look like numbers first.
 */
export function writeVocabJson(vocabulary: Vocabulary): string {
  const entries = tokenTexts(vocabulary).flatMap((text, id) =>
    text === undefined ? [] : [`${JSON.stringify(text)}:${id}`],
  );
  return `{${entries.join(",")}}`;
}

/** Merges by rank, each as two tokens with a space between them. */
export function mergeLines(vocabulary: Vocabulary): string[] {
  const texts = tokenTexts(vocabulary);
  const { merges } = vocabulary;
  return Array.from(vocabulary.results, (_, rank) => `${texts[merges[2 * rank]!]} ${texts[merges[2 * rank + 1]!]}`);
}

/** merges.txt: a version line, then one merge per line by rank. */
export function writeMergesTxt(vocabulary: Vocabulary): string {
  return `#version: 0.2\n${mergeLines(vocabulary)
    .map((line) => `${line}\n`)
    .join("")}`;
}
