import { TokenizerError } from "../errors.js";
import { bytesToChars } from "./byte-alphabet.js";
import { END_OF_TEXT, type Vocabulary } from "./vocabulary.js";
import { quote, vocabularyFromTexts } from "./vocabulary-from-texts.js";

/** The files of OpenAI's release and of Hugging Face folders, by content; names are for errors. */
export interface Gpt2Files {
  /** vocab.json, OpenAI's encoder.json. */
  readonly vocab: string;
  readonly vocabName?: string;
  /** merges.txt, OpenAI's vocab.bpe. */
  readonly merges: string;
  readonly mergesName?: string;
  /** added_tokens.json: special tokens besides `<|endoftext|>`, to id. */
  readonly added?: string;
  readonly addedName?: string;
}

/** @throws {TokenizerError} a file is malformed, or the two do not fit together. */
export function readGpt2Files(files: Gpt2Files): Vocabulary {
  const { vocabName = "vocab.json", mergesName = "merges.txt", addedName = "added_tokens.json" } = files;
  const tokens = parseObject(files.vocab, vocabName);
  const special = new Map<string, number>();
  if (Object.hasOwn(tokens, END_OF_TEXT)) special.set(END_OF_TEXT, tokens[END_OF_TEXT] as number);
  if (files.added !== undefined) {
    for (const [text, id] of Object.entries(parseObject(files.added, addedName))) special.set(text, id as number);
  }
  const { merges, lines } = parseMerges(files.merges, mergesName);
  return vocabularyFromTexts({
    tokens,
    tokensName: vocabName,
    merges,
    mergeName: (rank) => `${mergesName}: line ${lines[rank]}`,
    special,
  });
}

/** @throws {TokenizerError} not JSON, or not an object. */
export function parseObject(json: string, name: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new TokenizerError({ op: `reading ${name}`, expected: "JSON", got: (cause as Error).message, cause });
  }
  if (!isObject(value))
    throw new TokenizerError({ op: `reading ${name}`, expected: "a JSON object", got: quote(value) });
  return value;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseMerges(text: string, name: string): { merges: [string, string][]; lines: number[] } {
  const merges: [string, string][] = [];
  const lines: number[] = [];
  text.split("\n").forEach((raw, index) => {
    const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
    // Only a version line is a comment: `# #` is a merge of GPT-2's.
    if (line === "" || line.startsWith("#version")) return;
    merges.push(splitMerge(line, `${name}: line ${index + 1}`));
    lines.push(index + 1);
  });
  return { merges, lines };
}

/** @throws {TokenizerError} not two tokens with one space between them. */
export function splitMerge(line: string, name: string): [string, string] {
  const [left, right, ...more] = line.split(" ");
  if (left !== undefined && right !== undefined && more.length === 0 && left !== "" && right !== "") {
    return [left, right];
  }
  throw new TokenizerError({ op: `reading ${name}`, expected: "two tokens and a space between", got: quote(line) });
}

/** Tokens by id as GPT-2's files write them; special tokens as their own text, undefined where no token has the id. */
export function tokenTexts({ size, bytes, offsets, special }: Vocabulary): (string | undefined)[] {
  const texts: (string | undefined)[] = [];
  for (let id = 0; id < size; id++) {
    const token = bytes.subarray(offsets[id]!, offsets[id + 1]!);
    texts.push(token.length > 0 ? bytesToChars(token) : undefined);
  }
  for (const [text, id] of special) texts[id] = text;
  return texts;
}

/**
 * vocab.json: token to id, in id order. Written by hand because JavaScript objects put keys that look like numbers
 * first.
 */
export function writeVocabJson(vocabulary: Vocabulary): string {
  const entries = tokenTexts(vocabulary).flatMap((text, id) =>
    text === undefined ? [] : [`${JSON.stringify(text)}:${id}`],
  );
  return `{${entries.join(",")}}`;
}

/** Merges by rank, each as two tokens with a space between. */
export function mergeLines(vocabulary: Vocabulary): string[] {
  const texts = tokenTexts(vocabulary);
  const { merges } = vocabulary;
  return Array.from(vocabulary.results, (_, rank) => `${texts[merges[2 * rank]!]} ${texts[merges[2 * rank + 1]!]}`);
}

/** merges.txt: a version line, then one merge a line by rank. */
export function writeMergesTxt(vocabulary: Vocabulary): string {
  return `#version: 0.2\n${mergeLines(vocabulary)
    .map((line) => `${line}\n`)
    .join("")}`;
}
