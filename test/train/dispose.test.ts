import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Backend, DeviceArray } from "../../src/backend/backend.js";
import { DisposedError } from "../../src/errors.js";
import { Trainer } from "../../src/train/trainer.js";
import type { TrainerOptions } from "../../src/train/trainer-options.js";
import { anyBackend, TINY_SETTINGS, TINY_SHAPE, tinyData } from "../helpers/tiny-run.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-train-dispose-"));
const data = join(dir, "data");
before(() => tinyData(data));
after(() => rmSync(dir, { recursive: true }));

/** A backend that remembers the arrays it allocated. */
async function recordingBackend(): Promise<{ backend: Backend; arrays: DeviceArray[] }> {
  const backend = await anyBackend();
  const arrays: DeviceArray[] = [];
  const alloc = backend.alloc.bind(backend);
  backend.alloc = (...args: Parameters<Backend["alloc"]>) => {
    const array = alloc(...args);
    arrays.push(array);
    return array;
  };
  return { backend, arrays };
}

const isDisposed = async (array: DeviceArray): Promise<boolean> => {
  try {
    await array.read(0, 1);
    return false;
  } catch (error) {
    if (error instanceof DisposedError) return true;
    throw error;
  }
};

describe("a Trainer that is disposed of", () => {
  const runs: readonly (readonly [string, Partial<TrainerOptions>])[] = [
    ["of a whole model", { config: TINY_SHAPE }],
    ["of an adapter, whose frozen weights it loaded", { from: join(dir, "whole", "model"), lora: { rank: 2 } }],
  ];
  for (const [name, options] of runs) {
    it(`releases every array that it allocated: ${name}`, async () => {
      const { backend, arrays } = await recordingBackend();
      const out = join(dir, options.lora ? "adapter" : "whole");
      const settings = { ...TINY_SETTINGS, steps: 2, valEvery: 1, sampleEvery: 1 };
      const trainer = await Trainer.create({ backend, data, out, settings, ...options });
      for await (const _ of trainer.run());
      const { model } = trainer;
      assert.deepEqual(await Promise.all(arrays.map(isDisposed)), Array(arrays.length).fill(false));
      await Promise.all([trainer.dispose(), trainer[Symbol.asyncDispose]()]);
      assert.ok(arrays.length > 10);
      assert.deepEqual(await Promise.all(arrays.map(isDisposed)), Array(arrays.length).fill(true));
      await assert.rejects(model.zeroGradients(), DisposedError);
      // The backend is the caller's.
      backend.alloc("f32", 1).dispose();
      await backend.dispose();
    });
  }

  it("closes its data, whether it ran or not", async () => {
    const trainer = await Trainer.create({
      backend: await anyBackend(),
      data,
      out: join(dir, "none"),
      config: TINY_SHAPE,
    });
    await trainer.dispose();
    await trainer.dispose();
  });
});
