/**
 * Writes what a model generates under JSON Schemas, for scripts/python/check_constrained_outputs.py to validate, and prints what
 * masks cost.
 *
 *     node dist/scripts/constraint-outputs.js schemas.jsonl.gz OUT.json [EVERY]
 */
import { readFileSync, writeFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { openConstraint } from "../src/constrain/open.js";
import { GPT2 } from "../src/gpt2.js";
import { gpt2Tokenizer } from "../src/tokenizer/gpt2.js";

interface Line {
  readonly name: string;
  readonly schema: object;
  readonly tests: readonly { readonly valid: boolean; readonly data: unknown }[];
}

/** Added to the logits of tokens with quotation marks or closing brackets. */
const ENDING = 8;
/** Longer outputs count as unfinished. */
const MOST_TOKENS = 300;
const [input, output, every = "1"] = process.argv.slice(2);
const text = gunzipSync(readFileSync(input!)).toString("utf8").trim();
const lines = text.split("\n").map((line) => JSON.parse(line) as Line);
await printMaskCost();
writeFileSync(output!, JSON.stringify(await outputs()));

/** The time of each mask along all valid instances, over GPT-2's vocabulary, in a process that has just started. */
async function printMaskCost(): Promise<void> {
  const tokenizer = await gpt2Tokenizer();
  const [masks, accepts]: [number[], number[]] = [[], []];
  for (const { schema, tests } of lines) {
    try {
      const constraint = openConstraint({ jsonSchema: schema, whiteSpace: "any" }, tokenizer);
      for (const { data } of tests.filter(({ valid }) => valid)) {
        const walk = constraint.begin();
        for (const id of tokenizer.encode(JSON.stringify(data))) {
          const start = performance.now();
          walk.mask;
          const between = performance.now();
          walk.accept(id);
          masks.push(1000 * (between - start));
          accepts.push(1000 * (performance.now() - between));
        }
      }
    } catch {
      // A schema that is refused, or an instance whose properties have another order.
    }
  }
  masks.sort((a, b) => a - b);
  const mean = (times: readonly number[]): string =>
    (times.reduce((sum, time) => sum + time, 0) / times.length).toFixed(1);
  const at = (share: number): string => masks[Math.floor(share * (masks.length - 1))]!.toFixed(1);
  console.log(
    `${masks.length} masks: mean ${mean(masks)} µs, median ${at(0.5)}, 90% ${at(0.9)}, 99% ${at(0.99)}, most ${at(1)}`,
  );
  console.log(`advancing by a token: mean ${mean(accepts)} µs`);
}

async function outputs(): Promise<object[]> {
  const model = await GPT2.load();
  // Strings, lists and objects end soon: the model would rather tell stories in them.
  const { tokenizer } = model;
  const ending = Array.from({ length: tokenizer!.vocabSize }, (_, id) => id).filter((id) => {
    return /["\]}]/.test(Buffer.from(tokenizer!.idToBytes(id)).toString("latin1"));
  });
  const logitBias = Object.fromEntries(ending.map((id) => [id, ENDING]));
  const results: object[] = [];
  for (const [i, { name, schema }] of lines.entries()) {
    if (i % Number(every) !== 0) continue;
    try {
      const settings = {
        constraint: { jsonSchema: schema },
        logitBias,
        maxNewTokens: MOST_TOKENS,
        temperature: 1,
        seed: i,
      };
      const { text, finishReason } = await model.complete("Once upon a time, there was this: ", settings);
      results.push({ name, schema, text, finishReason });
    } catch (error) {
      results.push({ name, refused: (error as Error).message });
    }
  }
  model.dispose();
  return results;
}
