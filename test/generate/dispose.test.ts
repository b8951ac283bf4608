import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisposedError } from "../../src/errors.js";
import { GPT2 } from "../../src/gpt2.js";
import { packageFile } from "../../src/util/package-root.js";
import { backends, byteModel } from "./models.js";

const TINY = packageFile("test/fixtures/tiny");

for (const backend of await backends()) {
  describe(`a model disposed of on ${backend.name}`, () => {
    it("refuses every request with a typed error, and those under way that need another run", async () => {
      const model = byteModel(backend);
      await model.embed(["loads the encoder"]);
      const long = model.generate("Once", { maxNewTokens: 10_000, stopAtEndOfText: false });
      await long.next();
      await Promise.all([model.dispose(), model.dispose()]);
      await assert.rejects(async () => {
        for await (const _ of long);
      }, DisposedError);
      await assert.rejects(model.complete("x"), DisposedError);
      await assert.rejects(model.score("x"), DisposedError);
      await assert.rejects(model.logits([1, 2]), DisposedError);
      await assert.rejects(model.embed(["x"]), DisposedError);
      await model[Symbol.asyncDispose]();
    });

    it("keeps a backend and weights that belong to others", async () => {
      const [first, second] = [byteModel(backend), byteModel(backend)];
      const want = await second.complete("Once", { maxNewTokens: 5, seed: 1 });
      await first.dispose();
      assert.deepEqual(await second.complete("Once", { maxNewTokens: 5, seed: 1 }), want);
      await second.dispose();
    });

    it("disposes of its own backend", async () => {
      const model = await GPT2.load(TINY, { backend: backend.name as "native", threads: 1 });
      await model.logits([1, 2]);
      await model.dispose();
      assert.throws(() => model.backend.alloc("f32", 1), DisposedError);
    });
  });
}
