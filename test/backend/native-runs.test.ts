import assert from "node:assert/strict";
import { it } from "node:test";
import { nativeBackend, nativeIsas } from "../../src/backend/native/index.js";
import { GPT2 } from "../../src/gpt2.js";
import { Recorder } from "../../src/program/program.js";
import { packageFile } from "../../src/util/package-root.js";
import { usableCpus } from "../../src/util/usable-cpus.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";

function available(): boolean {
  try {
    return nativeIsas().length > 0;
  } catch {
    return false;
  }
}

it("inline runs let the event loop have its turns", {
  skip: available() ? false : "no compiled kernels",
}, async () => {
  const backend = await nativeBackend({ threads: 2 });
  const k = new Recorder("ones");
  const N = k.sym("N", 64);
  k.op("fill", "x", { x: k.external("x", [64]) }, { size: N }, { value: 1 });
  const x = backend.alloc("f32", 64);
  const executable = await backend.prepare(k.build(), { x });
  let turns = 0;
  let running = true;
  const turn = (): void => {
    turns++;
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  for (let i = 0; i < 50; i++) await executable.run({ dims: { N: 64 } });
  running = false;
  assert.ok(turns >= 49, `${turns} turns in 50 runs`);
  assert.deepEqual([...x.host!], new Array(64).fill(1));
});

it("300 models are loaded and used at once: calls beyond koffi's limit wait", {
  skip: available() ? LIKE_OTHERS : "no compiled kernels",
}, async () => {
  const load = () => GPT2.load(packageFile("test/fixtures/tiny"), { backend: "native", threads: 1 });
  const models = await Promise.all(Array.from({ length: 300 }, load));
  const results = await Promise.all(models.map((model) => model.logits(Array.from({ length: 64 }, (_, i) => i))));
  for (const logits of results) assert.deepEqual(logits, results[0]);
  await Promise.all(models.map((model) => model.dispose()));
});

/** Threads of the next test: far more than processors. */
const CROWD = 8 * Math.ceil(usableCpus());

it("threads that wait leave the processor to others where there are more threads than processors", {
  skip: !available() ? "no compiled kernels" : CROWD > 64 ? "many processors" : false,
}, async () => {
  // Processor time, which other programs hardly change. Spinning, so many threads take about as many times that of one.
  const cost = async (threads: number): Promise<number> => {
    const model = await GPT2.load(packageFile("test/fixtures/tiny"), { backend: "native", threads });
    const generate = (maxNewTokens: number) => model.complete([1], { maxNewTokens, seed: 1, stopAtEndOfText: false });
    await generate(5);
    const before = process.cpuUsage();
    await generate(50);
    const { user, system } = process.cpuUsage(before);
    await model.dispose();
    return user + system;
  };
  const [one, crowd] = [await cost(1), await cost(CROWD)];
  assert.ok(crowd < (one * CROWD) / 2, `${crowd} against ${one} microseconds`);
});
