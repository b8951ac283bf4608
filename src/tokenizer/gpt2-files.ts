import { bytesToChars } from "./byte-alphabet.js";
import type { Vocabulary } from "./vocabulary.js";

/** Tokens by id as GPT-2's files write them; special tokens as their own text, undefined where no token has the id. */
export function tokenTexts(vocabulary: Vocabulary): (string | undefined)[] {
  const { size, bytes, offsets, special } = vocabulary;
  const texts: (string | undefined)[] = [];
  for (let id = 0; id < size; id++) {
    const token = bytes.subarray(offsets[id]!, offsets[id + 1]!);
    texts.push(token.length > 0 ? bytesToChars(token) : undefined);
  }
  for (const [text, id] of special) texts[id] = text;
  return texts;
}

/** `vocab.json`: token to id, in id order. */
export function writeVocabJson(vocabulary: Vocabulary): string {
  const entries = tokenTexts(vocabulary).flatMap((text, id) => (text === undefined ? [] : [[text, id] as const]));
  return JSON.stringify(Object.fromEntries(entries));
}

/** Merges by rank as pairs of tokens in the files' writing. */
export function mergeTexts(vocabulary: Vocabulary): [string, string][] {
  const texts = tokenTexts(vocabulary);
  const pairs: [string, string][] = [];
  for (let i = 0; i < vocabulary.merges.length; i += 2) {
    pairs.push([texts[vocabulary.merges[i]!]!, texts[vocabulary.merges[i + 1]!]!]);
  }
  return pairs;
}

/** `merges.txt`: a version line, then one merge a line by rank. */
export function writeMergesTxt(vocabulary: Vocabulary): string {
  const lines = mergeTexts(vocabulary).map(([left, right]) => `${left} ${right}\n`);
  return `#version: 0.2\n${lines.join("")}`;
}
