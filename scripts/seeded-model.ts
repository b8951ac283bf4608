import { statSync } from "node:fs";
import { parseArgs } from "node:util";
import { GPT2_PRESETS, gpt2Config, isPreset } from "../src/architectures/gpt2/config.js";
import { WEIGHT_TYPES, type WeightType } from "../src/dtype/dtype.js";
import { saveCheckpoint } from "../src/pretrained/node.js";
import { gpt2Tokenizer } from "../src/tokenizer/gpt2.js";
import { seededTensors } from "../test/helpers/seeded-weights.js";

/**
 * Writes a model of a published shape with weights from a seed, for measurements: it generates nonsense, but takes as much time
 * and memory as the real one. One tensor at a time is in memory.
 *
 *     node dist/scripts/seeded-model.js --preset gpt2-xl --dtype q8_0 OUT.gguf
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { preset: { type: "string", default: "gpt2" }, dtype: { type: "string", default: "f32" } },
});
const [out, ...more] = positionals;
const dtype = WEIGHT_TYPES.find((type) => type === values.dtype) as WeightType | undefined;
if (out === undefined || more.length > 0 || dtype === undefined || !isPreset(values.preset)) {
  const presets = Object.keys(GPT2_PRESETS).join("|");
  console.error(`seeded-model.js [--preset ${presets}] [--dtype ${WEIGHT_TYPES.join("|")}] OUT.gguf`);
  process.exit(2);
}
const config = gpt2Config(values.preset);

function* tensors() {
  for (const [{ name, shape }, data] of seededTensors(config, 1)) yield { name, shape, data };
}

await saveCheckpoint(out, { config, tensors: tensors(), tokenizer: await gpt2Tokenizer() }, { format: "gguf", dtype });
console.log(`${out}: ${statSync(out).size.toLocaleString("en")} bytes`);
