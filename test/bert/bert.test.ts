/** BERT's calls against the pipelines of Hugging Face transformers (test/fixtures/bert), on every backend. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { BackendChoice } from "../../src/backend/choose.js";
import type { Aggregation } from "../../src/bert/options.js";
import { BERT } from "../../src/bert.js";
import { ContextLengthError, UsageError } from "../../src/errors.js";
import { GPT2 } from "../../src/gpt2.js";
import { convertModel } from "../../src/pretrained/convert.js";
import { testedBackends } from "../generate/models.js";
import { BERT_EXPECTED, BERT_VALUES, bertFolder } from "../helpers/bert-fixtures.js";
import { assertClose } from "../helpers/compare.js";

/** Single precision through two layers; weights are large, so that results differ. */
const CLOSE = { relative: 2e-5 };

const load = (name: string, backend: BackendChoice): Promise<BERT> => BERT.load(bertFolder(name), { backend });

/** Equal but for scores, which are close. */
function assertResults(got: readonly object[], want: readonly object[]): void {
  const apart = (results: readonly object[]) =>
    results.map((result) => Object.fromEntries(Object.entries(result).filter(([key]) => key !== "score")));
  const scores = (results: readonly object[]) => results.map((result) => (result as { score: number }).score);
  assert.deepEqual(apart(got), apart(want));
  assertClose("scores", scores(got), scores(want), CLOSE);
}

for (const { name } of await testedBackends()) {
  const backend = name as BackendChoice;
  describe(`BERT on ${backend}`, () => {
    it("fills masks", async () => {
      await using model = await load("masked", backend);
      const { one, targets, two } = BERT_EXPECTED.masks;
      assertResults(await model.fillMask(one.text), one.filled);
      assertResults(await model.fillMask(targets.text, { targets: targets.targets }), targets.filled);
      const upper = targets.targets.map((target) => target.toUpperCase());
      assertResults(await model.fillMask(targets.text, { targets: upper }), targets.filled);
      const filled = await model.fillMasks(two.text, { topK: 3 });
      assert.equal(filled.length, 2);
      for (const [i, mask] of filled.entries()) assertResults(mask, two.filled[i]!);
    });

    it("labels texts and pairs", async () => {
      await using model = await load("sequence", backend);
      const { text, labels, pair, pairLabels } = BERT_EXPECTED.sequence;
      assertResults(await model.classify(text), labels);
      assertResults(await model.classify({ text: pair[0], pair: pair[1] }, { topK: 3 }), pairLabels);
      assert.deepEqual(await model.classify([text, text], { topK: 1 }), [
        (await model.classify(text)).slice(0, 1),
        (await model.classify(text)).slice(0, 1),
      ]);
    });

    it("labels tokens, words and entities", async () => {
      await using model = await load("tokens", backend);
      const { text, labelled } = BERT_EXPECTED.tokens;
      for (const [aggregation, want] of Object.entries(labelled)) {
        assertResults(await model.tokens(text, { aggregation: aggregation as Aggregation }), want);
      }
    });

    it("answers questions by spans of a context longer than a window", async () => {
      await using model = await load("spans", backend);
      const { question, context, answers } = BERT_EXPECTED.spans;
      for (const { top_k, max_answer, max_length, stride, none, answers: want } of answers) {
        const options = {
          topK: top_k,
          maxAnswerLength: max_answer,
          maxLength: max_length,
          stride,
          allowNoAnswer: none,
        };
        assertResults(await model.answer({ question, context }, options), want);
      }
    });

    it("embeds texts according to sentence-transformers' modules, whatever is computed beside them", async () => {
      await using model = await load("sentence", backend);
      const texts = [...BERT_EXPECTED.pairs.map(([text]) => text), BERT_EXPECTED.tokens.text];
      const vectors = await model.embed(texts);
      assertClose(
        "vectors",
        vectors.flatMap((vector) => [...vector]),
        BERT_VALUES.get("sentence.vectors")!,
        CLOSE,
      );
      const [[cosine]] = (await model.similarity(texts.slice(0, 1), texts.slice(1, 2))) as [[number]];
      assert.ok(Math.abs(cosine - (await model.similarity(texts[0]!, texts[1]!))) < 1e-6);
    });

    it("has the hidden states and the outputs of every pre-training head", async () => {
      const { ids, types, lengths } = BERT_EXPECTED.pretraining;
      for (const folder of ["pretraining", "old"]) {
        await using model = await load(folder, backend);
        const T = ids[0]!.length;
        const V = model.config.vocabSize;
        const texts = ids.map((row, b) => ({
          ids: Uint32Array.from(row.slice(0, lengths[b])),
          typeIds: Uint8Array.from(types[b]!.slice(0, lengths[b])),
          rows: Array.from({ length: lengths[b]! }, (_, n) => n),
        }));
        const logits = await model.maskedLogits(texts);
        for (const [b, length] of lengths.entries()) {
          const want = BERT_VALUES.get("pretraining.masked")!.subarray(b * T * V, (b * T + length) * V);
          assertClose(`logits of text ${b}`, logits[b]!, want, CLOSE, [length, V]);
        }
      }
    });
  });
}

describe("a DistilBERT", () => {
  it("fills masks and labels texts, also after saving", async () => {
    const { text, filled, labels } = BERT_EXPECTED.distilled;
    const folder = mkdtempSync(join(tmpdir(), "distilbert-"));
    for (const name of ["distilled", "distilled-sequence"]) {
      await convertModel(bertFolder(name), join(folder, name));
      for (const path of [bertFolder(name), join(folder, name)]) {
        await using model = await BERT.load(path);
        if (name === "distilled") assertResults(await model.fillMask(text), filled);
        else assertResults(await model.classify(BERT_EXPECTED.tokens.text), labels);
      }
    }
    rmSync(folder, { recursive: true });
  });
});

describe("a BERT", () => {
  it("has no text for rows beyond its tokenizer's vocabulary, like transformers", async () => {
    await using model = await BERT.load(bertFolder("masked"));
    const { vocabSize } = model.config;
    assert.ok(model.tokenizer!.vocabSize < vocabSize);
    const filled = await model.fillMask("the [MASK]", { topK: vocabSize });
    const beyond = filled.filter(({ token }) => token >= model.tokenizer!.vocabSize);
    // By the pipeline of transformers 5.24.
    const texts = beyond.map(({ token, token_str, sequence }) => [token, token_str, sequence]);
    assert.deepEqual(texts, [
      [80, "", "the"],
      [79, "", "the"],
    ]);
    assert.ok(Math.abs(beyond[0]!.score - 0.004711105) < 1e-6);
  });

  it("tells whether a sentence follows another", async () => {
    await using model = await BERT.load(bertFolder("pretraining"));
    const [a, b] = BERT_EXPECTED.pairs[0]!;
    const p = await model.nextSentence(a, b);
    assert.ok(p > 0 && p < 1);
  });

  it("with quantized weights computes nearly the same", async () => {
    for (const dtype of ["f16", "bf16"] as const) {
      await using model = await BERT.load(bertFolder("sentence"), { dtype });
      const [vector] = await model.embed([BERT_EXPECTED.pairs[0]![0]]);
      const want = BERT_VALUES.get("sentence.vectors")!.subarray(0, 8);
      assertClose(dtype, vector!, want, { relative: 0.05 });
      assert.equal(model.dtype, dtype);
    }
  });

  it("names what it lacks", async () => {
    await using model = await BERT.load(bertFolder("sequence"));
    await assert.rejects(model.fillMask("a [MASK]"), { name: "UsageError", message: /head for masked tokens/ });
    await assert.rejects(
      model.tokens("a cat"),
      /BERT\.tokens: expected a model fine-tuned for tokens, got one for classif/,
    );
    await assert.rejects(model.classify("a ".repeat(30), { truncate: false }), ContextLengthError);
    await using masked = await BERT.load(bertFolder("masked"));
    await assert.rejects(masked.fillMask("a cat"), /expected a text with one \[MASK\], got none/);
    await assert.rejects(masked.fillMask("[MASK] [MASK]"), /fillMasks fills each of several/);
    await assert.rejects(
      masked.fillMask("a [MASK]", { targets: ["zebra"] }),
      /got "zebra", which is z ##e ##b ##r ##a/,
    );
    await assert.rejects(masked.fillMask("a [MASK]", { topk: 1 } as object), UsageError);
  });

  it("and a GPT-2 are loaded by their own classes", async () => {
    await assert.rejects(BERT.load(bertFolder("../tiny")), /expected a BERT, which reads whole texts, got a GPT-2/);
    await assert.rejects(GPT2.load(bertFolder("masked")), /reads from left to right, got BERT/);
  });
});
