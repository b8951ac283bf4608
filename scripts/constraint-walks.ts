/**
 * Writes the token masks along valid instances of JSON Schemas, for scripts/python/check_constraint.py to compare.
 *
 *     node dist/scripts/constraint-walks.js schemas.jsonl.gz OUT.json [EVERY]
 */
import { readFileSync, writeFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { openConstraint } from "../src/constrain/open.js";
import { gpt2Tokenizer } from "../src/tokenizer/gpt2.js";

interface Line {
  readonly name: string;
  readonly schema: object;
  readonly tests: readonly { readonly valid: boolean; readonly data: unknown }[];
}

const MOST_TOKENS = 40;
const [input, output, every = "1"] = process.argv.slice(2);
const tokenizer = await gpt2Tokenizer();
const end = tokenizer.endOfText!;
const bytes = Array.from({ length: tokenizer.vocabSize }, (_, id) => {
  return id === end ? "" : Buffer.from(tokenizer.idToBytes(id)).toString("hex");
});
const text = gunzipSync(readFileSync(input!)).toString("utf8").trim();
const lines = text.split("\n").map((line) => JSON.parse(line) as Line);
const walks = lines.flatMap(({ name, schema, tests }, i) => {
  const instance = tests.find(({ valid }) => valid);
  if (i % Number(every) !== 0 || !instance) return [];
  try {
    const walk = openConstraint({ jsonSchema: schema, whiteSpace: "any" }, tokenizer).begin();
    const ids = [...tokenizer.encode(JSON.stringify(instance.data))].slice(0, MOST_TOKENS);
    const masks: string[] = [];
    for (const id of ids) {
      const mask = walk.mask.slice();
      if (walk.mayEnd) mask[end >> 5]! |= 1 << (end & 31);
      masks.push(Buffer.from(mask.buffer).toString("base64"));
      if (((mask[id >> 5]! >>> (id & 31)) & 1) === 0) break;
      walk.accept(id);
    }
    return [{ name, schema, ids, masks }];
  } catch (error) {
    console.error(`${name}: ${(error as Error).message}`);
    return [];
  }
});
writeFileSync(output!, JSON.stringify({ bytes, end, walks }));
