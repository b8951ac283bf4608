import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { GPT2 } from "../src/gpt2.js";
import { saveCheckpoint } from "../src/pretrained/node.js";
import { mixture } from "./model-mixture.js";

/**
 * Bits per byte of means of two models' weights, by the second one's share: the table by which scripts/default-model.ts
 * chose its share (docs/training.md).
 *
 *     node dist/scripts/mixture-shares.js FIRST SECOND --stories DIR --corpus DIR [--shares 0,0.1,0.2,0.3]
 *
 * FIRST and SECOND are model folders of the same shape and tokenizer. The first 8,000 characters are scored of each of the first 8, 16 and 8
 * documents of held-out stories, simple texts and books.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    stories: { type: "string" },
    corpus: { type: "string" },
    shares: { type: "string", default: "0,0.1,0.2,0.3" },
  },
});
const [first, second] = positionals;
const { stories, corpus } = values;
if (!first || !second || !stories || !corpus) {
  console.error("usage: node dist/scripts/mixture-shares.js FIRST SECOND --stories DIR --corpus DIR [--shares 0,0.1]");
  process.exit(2);
}
const CHARACTERS = 8000;
const texts = {
  stories: documents(join(stories, "valid-stories.txt.gz"), 8),
  "simple texts": documents(join(stories, "valid-simple.txt.gz"), 16),
  books: documents(join(corpus, "valid.txt.gz"), 8),
};

console.log(`| share | ${Object.keys(texts).join(" | ")} |\n|---|---|---|---|`);
for (const share of values.shares.split(",").map(Number)) {
  const folder = mkdtempSync(join(tmpdir(), "gpt2-mixture-"));
  const { config, tensors } = await mixture(first, second, share);
  const out = join(folder, "model");
  await saveCheckpoint(out, { config, tensors }, { dtype: "f16" });
  await cp(join(first, "tokenizer.json"), join(out, "tokenizer.json"));
  const model = await GPT2.load(out);
  const bits = await Promise.all(Object.values(texts).map((set) => bitsPerByte(model, set)));
  console.log(`| ${share} | ${bits.map((b) => b.toFixed(3)).join(" | ")} |`);
  await model.dispose();
  rmSync(folder, { recursive: true });
}

function documents(file: string, count: number): string[] {
  const all = gunzipSync(readFileSync(file)).toString("utf8").split("\n<|endoftext|>\n");
  return all.slice(0, count).map((text) => text.slice(0, CHARACTERS));
}

/** Bits per byte over all documents, each scored by itself. */
async function bitsPerByte(model: GPT2, set: readonly string[]): Promise<number> {
  let [bits, bytes] = [0, 0];
  for (const text of set) {
    const size = Buffer.byteLength(text);
    const { bitsPerByte = Number.NaN } = await model.score(text);
    bits += bitsPerByte * size;
    bytes += size;
  }
  return bits / bytes;
}
