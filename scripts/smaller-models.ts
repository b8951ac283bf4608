import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { numel } from "../src/architectures/tensor-spec.js";
import { openCheckpoint, saveCheckpoint } from "../src/pretrained/node.js";
import { packageFile } from "../src/util/package-root.js";

/**
 * Makes smaller models with the default model's vocabulary: some of its layers, trained further for a short time. They generate texts
 * for scripts/evaluate-detectors.ts, and one is the observer of Binoculars' ratio.
 *
 *     node dist/scripts/smaller-models.js --text simple.txt.gz --out DIR
 *
 * An existing DIR/NAME/model is not replaced.
 */
const { values } = parseArgs({ options: { text: { type: "string" }, out: { type: "string" } } });
const { text, out } = values;
if (!text || !out) {
  console.error("usage: node dist/scripts/smaller-models.js --text FILE --out DIR");
  process.exit(2);
}

/** The layers that each model keeps. */
const LAYERS: Readonly<Record<string, readonly number[]>> = { middle: [0, 1, 3, 5], small: [0, 2, 5] };
const RECIPE = [
  ...["--steps", "24", "--batch-size", "2", "--seq-length", "512", "--isolate", "--optimizer", "muon", "--lr", "2e-3"],
  ...["--schedule", "trapezoid", "--warmup", "5", "--warmdown", "12", "--seed", "5", "--precision", "bf16"],
  ...["--val-every", "0", "--sample-every", "0", "--save-every", "10", "--keep", "1", "--threads", "1"],
];

const data = join(out, "data");
if (!existsSync(data)) {
  const tokenizer = packageFile("models/default/tokenizer.json");
  gpt2("data", text, "--tokenizer", tokenizer, "--val-fraction", "0", "--out", data);
}
for (const [name, layers] of Object.entries(LAYERS)) {
  const run = join(out, name);
  if (existsSync(join(run, "model"))) continue;
  const start = join(out, `${name}-start`);
  if (!existsSync(start)) await keepLayers(layers, start);
  const how = existsSync(join(run, "checkpoints")) ? ["--resume"] : [data, "--from", start, ...RECIPE];
  gpt2("train", "--out", run, ...how);
}

function gpt2(...args: string[]): void {
  const { status } = spawnSync(process.execPath, [packageFile("dist/src/cli/main.js"), ...args], { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}

async function keepLayers(layers: readonly number[], to: string): Promise<void> {
  const from = packageFile("models/default");
  const { config, tensors, close } = await openCheckpoint(from);
  const kept = [...tensors.values()].flatMap((tensor) => {
    const layer = /^h\.(\d+)\./.exec(tensor.name);
    const place = layer ? layers.indexOf(Number(layer[1])) : 0;
    if (place < 0) return [];
    const data = new Float32Array(numel(tensor.shape));
    tensor.readInto(data);
    return [{ name: tensor.name.replace(/^h\.\d+\./, `h.${place}.`), shape: tensor.shape, data }];
  });
  close();
  await saveCheckpoint(to, { config: { ...config, nLayer: layers.length }, tensors: kept });
  await cp(join(from, "tokenizer.json"), join(to, "tokenizer.json"));
}
