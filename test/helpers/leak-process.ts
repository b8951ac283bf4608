import koffi from "koffi";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { chooseBackend } from "../../src/backend/choose.js";
import { GPT2 } from "../../src/gpt2.js";
import { packageFile } from "../../src/util/package-root.js";
import { seededTensors } from "./seeded-weights.js";

/**
 * A process that makes small models, uses and disposes of each, and prints its memory in MB after the first ten and at
 * the end: `leak-process.js BACKEND MODELS own|shared`, with a backend for each model or one for all.
 */
const [backend, models, sharing] = process.argv.slice(2) as ["native" | "wasm", string, "own" | "shared"];

const TINY = packageFile("test/fixtures/tiny");
const config = gpt2Config({ vocabSize: 100, nCtx: 64, nEmbd: 64, nHead: 2, nLayer: 2 });
/** Made once: without V8's optimizing compiler, this takes longer than everything else done with a model. */
const tensors = Array.from(seededTensors(config, 1), ([{ name }, values]) => [name, values] as const);
const shared = sharing === "shared" ? (await chooseBackend({ backend, threads: 2 })).backend : undefined;

async function makeModel(): Promise<GPT2> {
  if (shared === undefined) return GPT2.load(TINY, { backend, threads: backend === "native" ? 2 : 1 });
  const weights = new Map(tensors.map(([name, values]) => [name, shared.alloc("f32", values.length)] as const));
  for (const [name, values] of tensors) weights.get(name)!.write(values);
  return new GPT2({ backend: shared, config, weights, owned: weights.values() });
}

async function useModel(): Promise<void> {
  const model = await makeModel();
  await model.completions([1, 2, 3], { maxNewTokens: 3, seed: 1, samples: 2 });
  await model.embed([[1, 2, 3]]);
  await model.dispose();
}

/** Returns freed memory to the system; the C library of Linux would otherwise keep it. */
function trimmer(): () => void {
  try {
    const trim = koffi.load("libc.so.6").func("int malloc_trim(size_t)");
    return () => trim(0);
  } catch {
    return () => {};
  }
}

const trim = trimmer();

async function residentMegabytes(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    globalThis.gc!();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  trim();
  return process.memoryUsage.rss() / 1e6;
}

const measured: number[] = [];
for (let i = 1; i <= Number(models); i++) {
  await useModel();
  if (i === 10 || i === Number(models)) measured.push(await residentMegabytes());
}
console.log(JSON.stringify(measured));
