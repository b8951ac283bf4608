import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { packageFile } from "../../src/util/package-root.js";
import { RandomStream } from "../../src/util/random.js";

export function readFixture(name: string): string {
  const bytes = readFileSync(packageFile(`test/fixtures/tokenizer/${name}`));
  return (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString();
}

export interface Encoded {
  readonly text: string;
  readonly ids: readonly number[];
}

/** Strings with their ids by tiktoken in GPT-2's vocabulary. */
export function readOracle(): Encoded[] {
  const lines = readFixture("gpt2-oracle.jsonl.gz").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as Encoded);
}

/** Chapters of The Wind in the Willows. */
export function readChapters(): string[] {
  const text = readFixture("wind-in-the-willows.txt.gz");
  return text.split("\n<|endoftext|>\n").filter((chapter) => chapter !== "");
}

export interface HuggingFaceFixture {
  readonly tokenizer: {
    readonly model: {
      readonly vocab: Readonly<Record<string, number>>;
      readonly merges: readonly (readonly [string, string])[];
    };
  };
  readonly samples: readonly Encoded[];
}

export function readHuggingFace(): HuggingFaceFixture {
  return JSON.parse(readFixture("hf-trained.json")) as HuggingFaceFixture;
}

/** A folder of a tokenizer, and transformers' ids for each of the fixture's texts. */
export interface Variant {
  readonly name: string;
  /** Changes of hf-trained.json's tokenizer; null for vocab.json and merges.txt. */
  readonly changes: Readonly<Record<string, unknown>> | null;
  /** The files beside the vocabulary. */
  readonly files: Readonly<Record<string, string>>;
  readonly size: number;
  /** Ids of the tokens that start and end a text, null if none is named. */
  readonly ends: readonly [start: number | null, end: number | null];
  /** Special tokens recognized, and put around the text. */
  readonly special: readonly (readonly number[])[];
  /** Neither. */
  readonly plain: readonly (readonly number[])[];
}

export function readVariants(): { readonly texts: readonly string[]; readonly variants: readonly Variant[] } {
  return JSON.parse(readFixture("variants.json.gz")) as { texts: string[]; variants: Variant[] };
}

/** A random text over the given pieces. */
export function randomText(random: RandomStream, pieces: readonly string[], length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) text += pieces[random.below(pieces.length)];
  return text;
}

export { RandomStream };
