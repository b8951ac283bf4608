/** Embeddings: pooled final hidden states; many texts at once, each seeing only itself. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContextLengthError, GPT2Error, UsageError } from "../../src/errors.js";
import { GPT2 } from "../../src/gpt2.js";
import { assertClose } from "../helpers/compare.js";
import { PEFT_BASE, PEFT_FIXTURES } from "../helpers/peft-fixtures.js";
import { seededTensors, seededTokens } from "../helpers/seeded-weights.js";
import { backends, byteModel, ODD, testedBackends } from "./models.js";

/** Single precision through two layers, with the sum over the width that makes a logit. */
const LOGITS = { relative: 1e-5 };
const wte = [...seededTensors(ODD, 1)].find(([{ name }]) => name === "wte.weight")![1];
const raw = { normalize: false } as const;

/** hidden · wteᵀ */
function logitsOf(hidden: ArrayLike<number>): number[] {
  const { nEmbd: C, vocabSize: V } = ODD;
  return Array.from({ length: V }, (_, v) => {
    let sum = 0;
    for (let c = 0; c < C; c++) sum += hidden[c]! * wte[v * C + c]!;
    return sum;
  });
}

/** Of many lengths: more than one run takes. */
const TEXTS = Array.from({ length: 60 }, (_, i) => Array.from(seededTokens(ODD, 7, i, 1 + (i % ODD.nCtx))));

for (const backend of await testedBackends()) {
  describe(`embeddings on ${backend.description}`, () => {
    it("of the last token are the states behind its logits, whatever is computed beside the text", async () => {
      await using model = byteModel(backend);
      const vectors = await model.embed(TEXTS, { pooling: "last", ...raw });
      assert.equal(vectors.length, TEXTS.length);
      for (const i of [0, 5, 20, 33, 59]) {
        const all = await model.logits(TEXTS[i]!);
        assertClose(`text ${i}`, logitsOf(vectors[i]!), all.subarray(-ODD.vocabSize), LOGITS);
      }
    });

    it("that are means equal the means of the last tokens of all beginnings", async () => {
      await using model = byteModel(backend);
      const text = TEXTS[9]!;
      const beginnings = text.map((_, i) => text.slice(0, i + 1));
      const ends = await model.embed(beginnings, { pooling: "last", ...raw });
      const mean = ends[0]!.map((_, c) => ends.reduce((sum, end) => sum + end[c]!, 0) / ends.length);
      const [, , got] = await model.embed([TEXTS[1]!, TEXTS[2]!, text], raw);
      assertClose("mean", got!, mean, LOGITS);
    });
  });
}

describe("embeddings", () => {
  it("have length 1 unless switched off", async () => {
    await using model = byteModel((await backends())[0]!);
    const [a, b] = [(await model.embed(["Hello"]))[0]!, (await model.embed(["Hello"], raw))[0]!];
    const length = Math.hypot(...b);
    assertClose(
      "direction",
      a,
      b.map((x) => x / length),
      { relative: 1e-6 },
    );
    assert.ok(Math.abs(Math.hypot(...a) - 1) < 1e-6 && Math.abs(length - 1) > 0.1);
    assert.deepEqual(await model.embed([]), []);
  });

  it("of adapters equal those of the merged model", async () => {
    const adapter = `${PEFT_FIXTURES}/all-linear`;
    await using model = await GPT2.load(PEFT_BASE, { adapters: adapter });
    await using merged = await GPT2.load(PEFT_BASE, { merge: adapter });
    const texts = [[1, 2, 3], [500, 7], Array.from({ length: 64 }, (_, i) => i)];
    const [with_, without] = [await model.embed(texts), await model.embed(texts, { adapter: null })];
    for (const [i, expected] of (await merged.embed(texts)).entries()) {
      assertClose(`text ${i}`, with_[i]!, expected, { relative: 1e-5 });
      assert.notDeepEqual(without[i], with_[i]);
    }
  });

  it("of overlapping calls do not mix; a call can be aborted; none after disposal", async () => {
    const model = byteModel((await backends()).at(-1)!);
    const one = await model.embed(TEXTS.slice(0, 30));
    const two = await model.embed(TEXTS.slice(30));
    const [a, b] = await Promise.all([model.embed(TEXTS.slice(0, 30)), model.embed(TEXTS.slice(30))]);
    assert.deepEqual([a, b], [one, two]);
    const stop = new AbortController();
    const broken = model.embed(TEXTS, { signal: stop.signal, onProgress: () => stop.abort(new Error("enough")) });
    await assert.rejects(broken, /enough/);
    assert.deepEqual(await model.embed(TEXTS.slice(0, 30)), one);
    await model.dispose();
    await assert.rejects(model.embed(["x"]), GPT2Error);
  });

  it("are refused for invalid or too long texts", async () => {
    await using model = byteModel((await backends())[0]!);
    const long = "x".repeat(ODD.nCtx + 1);
    await assert.rejects(model.embed(["a", long]), (error: Error) => {
      return error instanceof ContextLengthError && /text 2 of 2: expected at most 21 tokens/.test(error.message);
    });
    assert.deepEqual(await model.embed([long], { truncate: true }), await model.embed([long.slice(1)]));
    for (const bad of [[""], [[ODD.vocabSize]], [[-1]], [[0.5]]] as never[]) {
      await assert.rejects(model.embed(bad), UsageError);
    }
    assert.deepEqual([await model.embed("one")], await model.embed(["one"]));
    await assert.rejects(
      model.embed(["a"], { pooling: "max" as never }),
      /pooling: expected mean or first or last, got max/,
    );
  });
});
