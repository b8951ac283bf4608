import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { shardHeader, tokensToBytes } from "../../src/data/shard.js";
import { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { writeTokenizerJson } from "../../src/tokenizer/tokenizer-json.js";
import { vocabularyFromMerges } from "../../src/tokenizer/vocabulary.js";

/** A data set of byte tokens, of exact lengths. */
export async function writeDatasetOf(folder: string, lengths: { train: number; val?: number }): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const splits: Record<string, unknown> = {};
  for (const [split, length] of Object.entries(lengths)) {
    const tokens = Uint16Array.from({ length }, (_, i) => (i * i + 7 * i) % 256);
    const shard = `${split}-00000.bin`;
    writeFileSync(join(folder, shard), Buffer.concat([shardHeader(length), tokensToBytes(tokens)]));
    splits[split] = { shards: [shard], documents: 1, tokens: length, bytes: length };
  }
  const tokenizer = new Tokenizer(vocabularyFromMerges(new Uint32Array(0)));
  writeFileSync(join(folder, "tokenizer.json"), writeTokenizerJson(tokenizer.vocabulary));
  const info = { name: "bytes", sha256: "", vocabSize: tokenizer.vocabSize, endOfText: tokenizer.endOfText };
  const dataset = { format: "gpt2-ts dataset", version: 1, tokenizer: info, splits, sources: [] };
  writeFileSync(join(folder, "dataset.json"), JSON.stringify(dataset));
  return folder;
}
