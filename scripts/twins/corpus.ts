import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { sentences } from "../../src/tasks/sentences.js";

const SEPARATOR = "\n<|endoftext|>\n";

/** Bytes of each file's first documents: half are stories by one author, half simple texts by many. */
const TRAIN = { "stories.txt.gz": 17e6, "simple.txt.gz": 17e6 } as const;
const HELD_OUT = ["valid-stories.txt.gz", "valid-simple.txt.gz"] as const;

const documentsOf = (file: string): string[] =>
  gunzipSync(readFileSync(file))
    .toString()
    .split(SEPARATOR)
    .map((text) => text.trim())
    .filter((text) => text !== "");

/** Writes the text that both twins read, documents of both files alternately. */
export function writeTrainingText(stories: string, path: string): void {
  if (existsSync(path)) return;
  const files = Object.entries(TRAIN).map(([name, most]) => {
    let bytes = 0;
    return documentsOf(join(stories, name)).filter((text) => (bytes += Buffer.byteLength(text)) <= most);
  });
  const longest = Math.max(...files.map(({ length }) => length));
  // The files have different numbers of documents: each file is spread over the whole text.
  const mixed = Array.from({ length: longest }, (_, i) =>
    files.flatMap((texts) => {
      const at = (n: number): number => Math.floor((n * texts.length) / longest);
      return texts.slice(at(i), at(i + 1));
    }),
  ).flat();
  writeFileSync(path, mixed.map((text) => text + SEPARATOR).join(""));
}

/** Documents that no twin has read. */
export const heldOutDocuments = (stories: string): string[] =>
  HELD_OUT.flatMap((name) => documentsOf(join(stories, name)));

/** Sentences of 8 to 30 words, a few from each document, shuffled. */
export function heldOutSentences(stories: string, perDocument: number): string[] {
  return heldOutDocuments(stories).flatMap((text) => {
    const whole = sentences(text).filter((sentence) => {
      const { length } = sentence.split(/\s+/);
      return length >= 8 && length <= 30 && /^\p{Lu}.*[.!?]$/u.test(sentence);
    });
    const step = Math.max(1, Math.floor(whole.length / perDocument));
    return whole.filter((_, i) => i % step === 0).slice(0, perDocument);
  });
}
