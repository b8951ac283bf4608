/**
 * Runs the native kernels, built with AddressSanitizer and UndefinedBehaviorSanitizer, over the conformance cases, over
 * models of random odd shapes (logits, generation, scoring, embedding, training), and over damaged models that the readers
 * accept, on every instruction set of this machine, or on the baseline and `--isa`. Needs a compiler with both, gcc or clang, on Linux.
 *
 *     node dist/scripts/check-sanitizers.js [--shapes 20] [--damaged 200] [--seed 1] [--isa amx-bf16]
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import koffi from "koffi";
import { type GPT2Config, gpt2Config } from "../src/architectures/gpt2/config.js";
import { initialTensors } from "../src/architectures/init.js";
import { tensorTable } from "../src/architectures/registry.js";
import { compileKernels, localCompiler } from "../src/backend/native/compile.js";
import { nativeBackend, nativeIsas } from "../src/backend/native/index.js";
import { WEIGHT_TYPES, type WeightType } from "../src/dtype/dtype.js";
import { GPT2Error } from "../src/errors.js";
import { GPT2 } from "../src/index.js";
import { saveCheckpoint } from "../src/pretrained/node.js";
import { ACTIVATIONS } from "../src/program/activations.js";
import { ModelTrainer } from "../src/train/model-trainer.js";
import { trainSettings } from "../src/train/settings.js";
import { RandomStream } from "../src/util/random.js";
import { DAMAGED_MODELS, runDamaged } from "../test/checkpoint/fuzz-kernels.js";
import { Mutator } from "../test/checkpoint/mutator.js";
import { BARE_LAYOUT, exactCase, PreparedCase } from "../test/helpers/op-case.js";
import { ALL_CASES } from "../test/helpers/ops/index.js";

const FLAGS = [
  "-O1",
  "-fsanitize=address,undefined",
  "-fno-sanitize-recover=undefined",
  "-g",
  "-fno-omit-frame-pointer",
];

const STACK_BYTES = 8 * 2 ** 20;

/** Random integers and choices. */
class Draw {
  readonly #stream: RandomStream;

  constructor(seed: number) {
    this.#stream = new RandomStream(seed);
  }

  between(least: number, most: number): number {
    return least + this.#stream.below(most - least + 1);
  }

  of<T>(values: readonly T[]): T {
    return values[this.#stream.below(values.length)]!;
  }

  ids(length: number, vocabSize: number): number[] {
    return Array.from({ length }, () => this.#stream.below(vocabSize));
  }
}

/** A shape with heads around the widths of vectors, or one whose rows are whole blocks. */
function oddShape(draw: Draw, blocks: boolean): GPT2Config {
  const nHead = draw.of(blocks ? [1, 2, 4] : [1, 1, 2, 3, 5, 7]);
  const head = draw.of([1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 128, 130, 257]);
  return gpt2Config({
    nLayer: draw.between(1, 2),
    nHead,
    nEmbd: blocks ? 32 * draw.of([1, 2, 4]) : nHead * head,
    nInner: blocks ? 32 * draw.between(1, 6) : draw.between(1, 300),
    nCtx: draw.between(2, 70),
    vocabSize: draw.between(2, 600),
    activation: draw.of(ACTIVATIONS.filter((name) => name !== "none")),
    tieWordEmbeddings: draw.of([true, false]),
  });
}

async function readAndWrite(folder: string, config: GPT2Config, dtype: WeightType, isa: string, draw: Draw) {
  const model = await GPT2.load(folder, { backend: "native", isa, threads: draw.of([1, 2]), dtype });
  const ids = draw.ids(draw.between(1, config.nCtx), config.vocabSize);
  await model.logits(ids);
  await model.completions(ids.slice(0, 1), { maxNewTokens: Math.min(6, config.nCtx - 1), samples: 2, seed: 1 });
  await model.score(ids.slice(1).concat(0), { context: ids.slice(0, 1) });
  await model.embed([ids]);
  await model.dispose();
}

async function train(config: GPT2Config, isa: string, draw: Draw): Promise<void> {
  await using backend = await nativeBackend({ threads: 2, isa });
  const shape = { batchSize: draw.between(1, 3), seqLength: draw.between(1, config.nCtx) };
  const more = { steps: 2, dropout: draw.of([0, 0.1]), recompute: draw.of([0, 1]) };
  const model = await ModelTrainer.create(backend, config, trainSettings({ ...shape, ...more }));
  for (const [name, values] of initialTensors(config, { seed: 1 })) model.trained.get(name)!.write(values);
  for (let step = 0; step < 2; step++) {
    await model.step(step, (_, { tokens, targets }) => {
      tokens.set(draw.ids(tokens.length, config.vocabSize));
      for (let n = 0; n < targets.length; n++) targets[n] = draw.between(-1, config.vocabSize - 1);
      return targets.filter((target) => target >= 0).length;
    });
  }
}

async function runShapes(count: number, seed: number): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), "gpt2-shapes-"));
  for (let i = 0; i < count; i++) {
    const [draw, blocks] = [new Draw(1000 * seed + i), i % 2 === 1];
    const config = oddShape(draw, blocks);
    console.log(`shape ${i}: ${JSON.stringify(config)}`);
    const folder = join(work, String(i));
    const values = new Map(initialTensors(config, { seed: i }));
    const tensors = tensorTable(config).map(({ name, shape }) => ({ name, shape, data: values.get(name)! }));
    await saveCheckpoint(folder, { config, tensors });
    for (const isa of nativeIsas()) {
      const types = WEIGHT_TYPES.filter((type) => blocks || !type.startsWith("q"));
      for (const dtype of types) await readAndWrite(folder, config, dtype, isa, draw);
      if (i % 3 === 0) await train(config, isa, draw);
    }
    rmSync(folder, { recursive: true });
  }
  rmSync(work, { recursive: true });
}

async function runCases(): Promise<void> {
  for (const isa of nativeIsas()) {
    await using backend = await nativeBackend({ isa, threads: 2 });
    for (const test of ALL_CASES) await new PreparedCase(backend, exactCase(test), BARE_LAYOUT).run();
    console.log(`${ALL_CASES.length} cases on ${isa}`);
  }
}

/** Damaged models of each kind. */
async function runDamagedModels(count: number, seed: number): Promise<void> {
  for (const isa of nativeIsas()) {
    await using backend = await nativeBackend({ isa, threads: 2 });
    for (const models of DAMAGED_MODELS) {
      let refused = 0;
      for (let i = 0; i < count; i++) {
        try {
          await runDamaged(backend, models, new Mutator(1_000_000 * seed + i));
        } catch (error) {
          if (!(error instanceof GPT2Error)) throw error;
          refused++;
        }
      }
      console.log(`${models.name} on ${isa}: ${count} damaged models, ${refused} refused`);
    }
  }
}

/** Builds the kernels, and runs this file again with them and the sanitizer's runtime. */
async function main(args: readonly string[], isa: string | undefined): Promise<number> {
  const work = mkdtempSync(join(tmpdir(), "gpt2-sanitizers-"));
  try {
    const [library, compiler] = [join(work, "libgpt2.so"), localCompiler()];
    await compileKernels({ ...compiler, flags: FLAGS, ...(isa && { sets: [isa] }) }, process, work, library);
    const printRuntime = [...compiler.args, "-print-file-name=libasan.so"];
    const runtime = execFileSync(compiler.command, printRuntime, { encoding: "utf8" }).trim();
    const env = {
      ...process.env,
      GPT2_LIBRARY: library,
      LD_PRELOAD: runtime,
      ASAN_OPTIONS: "detect_leaks=0", // leaks of Node itself
      UBSAN_OPTIONS: "print_stacktrace=1",
    };
    const { status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), "--run", ...args], {
      stdio: "inherit",
      env,
    });
    return status ?? 1;
  } finally {
    rmSync(work, { recursive: true });
  }
}

const { values } = parseArgs({
  options: {
    run: { type: "boolean", default: false },
    shapes: { type: "string", default: "20" },
    damaged: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    isa: { type: "string" },
  },
});
if (values.run) {
  // Sanitized frames are large, and koffi calls on small stacks of its own.
  koffi.config({ ...koffi.config(), sync_stack_size: STACK_BYTES, async_stack_size: STACK_BYTES });
  await runCases();
  await runShapes(Number(values.shapes), Number(values.seed));
  await runDamagedModels(Number(values.damaged), Number(values.seed));
} else {
  const args = ["--shapes", values.shapes, "--damaged", values.damaged, "--seed", values.seed];
  process.exitCode = await main(args, values.isa);
}
