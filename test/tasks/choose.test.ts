/** `model.choose` and labels by prompt: scores are those of `model.logLikelihoods` and `model.score`. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { ContextLengthError, UsageError } from "../../src/errors.js";
import type { GPT2 } from "../../src/gpt2.js";
import type { Choice } from "../../src/tasks/choose.js";
import { encodePair } from "../../src/tokenizer/encode-pair.js";
import { gpt2Tokenizer } from "../../src/tokenizer/gpt2.js";
import { seededModel, smallTokenizer } from "../evaluate/support.js";

const CONFIG = gpt2Config({ vocabSize: 600, nCtx: 64, nEmbd: 24, nLayer: 2, nHead: 2 });
const CONTEXT = "The cat sat on the";
const CANDIDATES = [" mat", " roof of the house", " Königsstuhl", " a"];

let model: GPT2;
before(async () => {
  model = await seededModel(CONFIG, 5, await smallTokenizer(CONFIG.vocabSize));
});
after(() => model.dispose());

const near = (got: number, want: number, what: string) =>
  assert.ok(Math.abs(got - want) < 1e-5 * Math.max(1, Math.abs(want)), `${what}: ${got}, want ${want}`);

const largestOf = ({ candidates }: Choice, score: "logprob" | "perToken" | "perByte") =>
  candidates.reduce((best, candidate, i) => (candidate[score] > candidates[best]![score] ? i : best), 0);

describe("model.choose", () => {
  it("scores every candidate as the model does", async () => {
    const choice = await model.choose(CONTEXT, CANDIDATES);
    assert.equal(choice.prompt, CONTEXT);
    const asked = CANDIDATES.map((continuation) => ({ context: CONTEXT, continuation }));
    const likelihoods = await model.logLikelihoods(asked);
    const sum = likelihoods.reduce((all, { logprob }) => all + Math.exp(logprob), 0);
    for (const [i, { text, logprob, perToken, perByte, tokens, bytes, share }] of choice.candidates.entries()) {
      assert.equal(text, CANDIDATES[i]);
      assert.equal(logprob, likelihoods[i]!.logprob);
      near(logprob, (await model.score(text, { context: CONTEXT })).logprob, text);
      assert.equal(tokens, model.tokenizer!.encode(text).length);
      assert.equal(bytes, Buffer.byteLength(text));
      assert.equal(perToken, logprob / tokens);
      assert.equal(perByte, logprob / bytes);
      near(share, Math.exp(logprob) / sum, "share");
    }
  });

  it("takes the best by the requested score", async () => {
    const winners = new Set<number>();
    for (const [normalization, score] of [
      ["total", "logprob"],
      ["token", "perToken"],
      ["byte", "perByte"],
    ] as const) {
      const choice = await model.choose(CONTEXT, CANDIDATES, { normalization });
      assert.equal(choice.normalization, normalization);
      assert.equal(choice.index, largestOf(choice, score));
      assert.equal(choice.text, CANDIDATES[choice.index]);
      winners.add(choice.index);
    }
    assert.ok(winners.size > 1, "of these candidates not the same is the best by every score");
    assert.equal((await model.choose(CONTEXT, [" b", " b"])).index, 0, "of equals the first");
  });

  it("takes spaces at the end of the context, and no context", async () => {
    const spaced = await model.choose("The cat ", ["sat"]);
    near(spaced.candidates[0]!.logprob, (await model.score(" sat", { context: "The cat" })).logprob, "space");
    const none = await model.choose("", ["The"]);
    near(none.candidates[0]!.logprob, (await model.score("The")).logprob, "no context");
  });

  it("refuses what can't be compared", async () => {
    await assert.rejects(model.choose(CONTEXT, []), /expected candidates, none of them empty, got none/);
    await assert.rejects(model.choose(CONTEXT, ["a", ""]), UsageError);
    const normalization = "word" as "token";
    await assert.rejects(model.choose(CONTEXT, ["a"], { normalization }), /total, token, byte, got word/);
    await assert.rejects(model.choose("x ".repeat(100), [" a"]), ContextLengthError);
    const ids = model.tokenizer!.encode("The cat sat on the mat. ".repeat(20));
    const [most, more] = [0, 1].map((extra) => model.tokenizer!.decode(ids.slice(0, CONFIG.nCtx + extra)).trim());
    const tokens = (text: string) => model.tokenizer!.encode(`${text} a`).length;
    const candidate = (text: string) => model.choose(text, [" a"]);
    assert.deepEqual([most!, more!].map(tokens), [CONFIG.nCtx + 1, CONFIG.nCtx + 2]);
    await candidate(most!); // The last token is not read.
    await assert.rejects(candidate(more!), ContextLengthError);
  });
});

describe("model.task.classify", () => {
  const labels = ["sport", "the weather"];

  it("scores labels after the text and examples", async () => {
    const examples = [["It rained.", "the weather"]] as const;
    const choice = await model.task.classify(" It snowed\nall day. ", { labels, examples, kind: "Topic" });
    assert.equal(choice.prompt, "Text: It rained.\nTopic: the weather\n\nText: It snowed\nall day.\nTopic:");
    const same = await model.choose(
      choice.prompt,
      labels.map((label) => ` ${label}`),
    );
    assert.equal(choice.text, labels[same.index]);
    for (const [i, { text, ...scores }] of choice.candidates.entries()) {
      assert.equal(text, labels[i]);
      assert.deepEqual({ text: ` ${text}`, ...scores }, same.candidates[i]);
    }
    assert.deepEqual(choice.omitted, { examples: 0, tokens: 0 });
    const plain = await model.task.classify("It snowed.", { labels, normalization: "byte" });
    assert.equal(plain.prompt, "Text: It snowed.\nLabel:");
    assert.equal(plain.index, largestOf(plain, "perByte"));
  });

  it("cuts a text that is too long, unless truncate is false", async () => {
    const text = "It snowed all day. ".repeat(50);
    const choice = await model.task.classify(text, { labels, examples: [["x", "sport"]] });
    assert.equal(choice.omitted.examples, 1);
    assert.ok(choice.omitted.tokens > 0);
    assert.ok(choice.prompt.startsWith("Text: It snowed") && choice.prompt.endsWith("\nLabel:"));
    const tokens = choice.candidates.map((candidate) => candidate.tokens);
    const { length } = model.tokenizer!.encode(choice.prompt);
    assert.ok(length + Math.max(...tokens) <= CONFIG.nCtx + 1);
    await assert.rejects(model.task.classify(text, { labels, truncate: false }), ContextLengthError);
  });
});

describe("pairs of texts that make one token", () => {
  it("are encoded apart, so that something is left to score", async () => {
    const tokenizer = await gpt2Tokenizer();
    const ids = (text: string) => [...tokenizer.encode(text)];
    assert.ok(ids("unlik").length >= ids("unlikely").length, "together no more tokens than the context alone");
    const pair = encodePair(tokenizer, 50256, "unlik", "ely");
    assert.deepEqual(pair, { context: ids("unlik"), continuation: ids("ely") });
  });
});
