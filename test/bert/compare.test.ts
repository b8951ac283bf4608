/** Pseudo-log-likelihoods against minicons, attention against transformers, and one text read by both models. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BERT } from "../../src/bert.js";
import { compare } from "../../src/compare/compare.js";
import { GPT2 } from "../../src/gpt2.js";
import { gpt2 } from "../cli/run.js";
import { BERT_EXPECTED, BERT_VALUES, bertFolder } from "../helpers/bert-fixtures.js";
import { assertClose } from "../helpers/compare.js";
import { PEFT_BASE } from "../helpers/peft-fixtures.js";

describe("pseudo-log-likelihoods", () => {
  for (const metric of ["original", "word-l2r"] as const) {
    it(`are minicons', ${metric}`, async () => {
      await using model = await BERT.load(bertFolder("masked"));
      const { texts, [metric]: want } = BERT_EXPECTED.likelihoods;
      const scores = await model.score(texts, { metric });
      const sums = scores.map(({ pseudoLogLikelihood }) => pseudoLogLikelihood);
      assertClose("sums", sums, want, { relative: 1e-5 });
      assert.deepEqual(await model.score(texts[0]!, { metric }), scores[0]);
    });
  }
});

describe("attention weights", () => {
  it("of a BERT are transformers'", async () => {
    await using model = await BERT.load(bertFolder("pretraining"));
    const { ids, lengths, types } = BERT_EXPECTED.pretraining;
    const T = ids[0]!.length;
    const want = BERT_VALUES.get("pretraining.attention")!;
    const b = lengths.indexOf(T);
    const [text, pair] = [0, 1].map((type) => {
      const own = ids[b]!.filter((_, n) => types[b]![n] === type && n > 0);
      return model.tokenizer!.decode(own.slice(0, -1));
    });
    const { heads, tokens, weights } = await model.attention({ text: text!, pair: pair! }, 1);
    assert.equal(tokens, T);
    assertClose("weights", weights, want.subarray(b * heads * T * T, (b + 1) * heads * T * T), { relative: 1e-5 });
  });

  it("of a GPT-2 sum to 1 over the tokens so far, and a layer beyond the last is refused", async () => {
    await using model = await GPT2.load(PEFT_BASE);
    const { heads, tokens: T, weights } = await model.attention([5, 7, 11, 2], 1);
    for (let row = 0; row < heads * T; row++) {
      const cells = weights.subarray(row * T, (row + 1) * T);
      assert.ok(Math.abs(cells.reduce((sum, x) => sum + x, 0) - 1) < 1e-6);
      assert.ok(cells.subarray((row % T) + 1).every((x) => x === 0));
    }
    await assert.rejects(model.attention([1, 2], 99), /expected a layer from 0 to \d+, got 99/);
  });
});

describe("one text read by both", () => {
  it("fills a blank with the same candidates, scores and writes", async () => {
    await using writer = await GPT2.load();
    await using reader = await BERT.load(bertFolder("masked"));
    const candidates = ["on", "in", "is"];
    const found = await compare(writer, reader, "Paris was [MASK] a mat.", { candidates, generate: 2 });
    assert.deepEqual(found.blank!.map(({ word }) => word).sort(), [...candidates].sort());
    for (const name of ["bert", "gpt2", "gpt2Left"] as const) {
      assert.ok(Math.abs(found.blank!.reduce((sum, candidate) => sum + candidate[name], 0) - 1) < 1e-9, name);
    }
    assert.equal(found.text, `Paris was ${found.blank![0]!.word} a mat.`);
    const { logprob } = await writer.score(found.text);
    assert.ok(Math.abs(found.gpt2.logprobs.reduce((a, b) => a + b, 0) - logprob) < 1e-9);
    assert.equal(found.bert.logprobs.length, found.bert.tokens.length);
    assert.ok(found.gpt2.continuation && found.bert.continuation);
    await assert.rejects(compare(writer, reader, "[MASK] and [MASK]"), /expected at most one \[MASK\], got 2/);
  });

  it("is a command", async () => {
    const options = ["--bert", bertFolder("masked"), "--generate", "1", "--attention", "0"];
    const { stdout, status } = await gpt2([
      "compare",
      "the cat sat [MASK] a mat.",
      "--candidates",
      "on",
      "in",
      ...options,
    ]);
    assert.equal(status, 0);
    assert.match(stdout, /in the blank +BERT +GPT-2 +left side of it alone\n/);
    assert.match(stdout, /GPT-2: log-likelihood -[\d.]+, each token after those before it\n/);
    assert.match(stdout, /BERT attends, with \[CLS\] and \[SEP\], to\n( {2}[ ·░▒▓█]{9}\n){9}/);
    const json = JSON.parse((await gpt2(["compare", "a cat", "--json", ...options])).stdout) as object;
    assert.deepEqual(Object.keys(json), ["text", "gpt2", "bert", "gpt2Attention", "bertAttention"]);
  });
});
