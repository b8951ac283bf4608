import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { packageFile } from "../../src/util/package-root.js";
import { RandomStream } from "../../src/util/random.js";

function readFixture(name: string): string {
  const bytes = readFileSync(packageFile(`test/fixtures/tokenizer/${name}`));
  return (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString();
}

export interface Encoded {
  readonly text: string;
  readonly ids: readonly number[];
}

/** Strings with the ids that tiktoken gives them under GPT-2's vocabulary. */
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
  readonly tokenizer: { readonly model: { readonly merges: readonly (readonly [string, string])[] } };
  readonly samples: readonly Encoded[];
}

export function readHuggingFace(): HuggingFaceFixture {
  return JSON.parse(readFixture("hf-trained.json")) as HuggingFaceFixture;
}

/** A random text over the given pieces. */
export function randomText(random: RandomStream, pieces: readonly string[], length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) text += pieces[random.below(pieces.length)];
  return text;
}

export { RandomStream };
