import { parseArgs } from "node:util";
import { BERT } from "../src/bert.js";
import type { WeightType } from "../src/dtype/dtype.js";
import { markdownTable } from "./markdown-block.js";
import { correlation, dot, sentencePairs } from "./twins/similarity.js";

/**
 * Measures the cost of storage dtypes for a sentence encoder: correlation with human judgements of STS-B's pairs, and the cosine between
 * each vector and its f32 counterpart.
 *
 *     node dist/scripts/encoder-types.js --model MINILM --eval EVAL [--types f32,q8_0] [--threads N]
 *
 * EVAL has sts-b-open.
 */
const { values } = parseArgs({
  options: {
    model: { type: "string" },
    eval: { type: "string" },
    types: { type: "string", default: "f32,f16,bf16,q8_0,q4_0" },
    threads: { type: "string", default: "1" },
  },
});
const { model: name, eval: evalFolder } = values;
if (!name || !evalFolder) {
  console.error("usage: node dist/scripts/encoder-types.js --model BERT --eval DIR [--types F32,…] [--threads N]");
  process.exit(2);
}
const pairs = sentencePairs(evalFolder, ["sts-train.tsv.gz", "sts-dev.tsv.gz", "sts-test.tsv.gz"]);
const judgements = pairs.map(({ score }) => score);
let exact: readonly Float32Array[] | undefined;
const rows: string[][] = [];
for (const dtype of values.types.split(",") as WeightType[]) {
  await using model = await BERT.load(name, { dtype, threads: Number(values.threads) });
  const vectors = await model.embed(pairs.flatMap(({ texts }) => texts));
  exact ??= vectors;
  const of = exact;
  const { value, interval } = correlation([pairs.map((_, i) => dot(vectors[2 * i]!, vectors[2 * i + 1]!))], judgements);
  const near = vectors.map((vector, i) => dot(vector, of[i]!)).sort((a, b) => a - b);
  const mean = near.reduce((sum, x) => sum + x, 0) / near.length;
  const range = `${interval.low.toFixed(4)} to ${interval.high.toFixed(4)}`;
  rows.push([`\`${dtype}\``, value.toFixed(4), range, mean.toFixed(5), near[0]!.toFixed(4)]);
}
console.log(markdownTable(["dtype", "Spearman's ρ", "95% interval", "mean cosine with f32", "least"], rows));
