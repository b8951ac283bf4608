import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConstraintError, GPT2Error, UsageError } from "../../src/errors.js";
import type { GeneratedToken } from "../../src/generate/generate.js";
import type { GenerateOptions } from "../../src/generate/options.js";
import { GPT2 } from "../../src/gpt2.js";
import { byteModel, fastestBackend, ODD, seededWeights } from "./models.js";

const backend = await fastestBackend();
const DATE = { regex: "\\d{4}-\\d\\d?" };

async function all(model: GPT2, prompt: string, options: GenerateOptions): Promise<GeneratedToken[]> {
  const tokens: GeneratedToken[] = [];
  for await (const token of model.generate(prompt, options)) tokens.push(token);
  return tokens;
}

const textOf = (tokens: readonly GeneratedToken[]): string => tokens.map(({ text }) => text).join("");

describe("generation under a constraint", () => {
  const model = byteModel(backend);

  it("writes texts that satisfy it, by every way of sampling", async () => {
    for (const [seed, options] of (
      [
        {},
        { temperature: 0 },
        { topK: 3, topP: 0.5 },
        { minP: 0.3, repetitionPenalty: 1.3 },
        { typicalP: 0.5, xtcProbability: 0.5, presencePenalty: 1 },
        { mirostatTau: 3 },
        { topK: 0, logitBias: { 48: 20 } },
        { watermark: { scheme: "gumbel", key: 7 } as const },
      ] satisfies GenerateOptions[]
    ).entries()) {
      const tokens = await all(model, "on ", { ...options, seed, constraint: DATE });
      assert.match(textOf(tokens), /^\d{4}-\d\d?$/, JSON.stringify(options));
      assert.match(tokens.at(-1)!.finishReason!, /^(stop|endoftext)$/);
    }
  });

  it("ends with stop if nothing can follow, and by the end of the text if something could", async () => {
    const whole = await all(model, "", { constraint: { choices: ["yes", "no"] }, seed: 1 });
    assert.match(textOf(whole), /^(yes|no)$/);
    assert.equal(whole.at(-1)!.finishReason, "stop");
    const open = await all(model, "", { constraint: { regex: "a*" }, logitBias: { 256: 100 }, seed: 1 });
    assert.deepEqual([textOf(open), open.at(-1)!.finishReason], ["", "endoftext"]);
    const kept = await all(model, "", { constraint: { regex: "a*" }, stopAtEndOfText: false, maxNewTokens: 9 });
    assert.deepEqual([textOf(kept), kept.at(-1)!.finishReason], ["aaaaaaaaa", "length"]);
    const stopped = await all(model, "", { constraint: { regex: "a*b" }, stop: "aaa", logitBias: { 65: -100 } });
    assert.deepEqual([textOf(stopped), stopped.at(-1)!.finishReason], ["", "stop"]);
  });

  it("gives the same bits alone, among others, and with drafts", async () => {
    const options = { constraint: DATE, seed: 5, maxNewTokens: 12, alternatives: 2 };
    const alone = await all(model, "the date is ", options);
    const others = Array.from({ length: 6 }, (_, seed) => all(model, "the ", { seed, stopAtEndOfText: false }));
    const [among] = await Promise.all([all(model, "the date is ", options), ...others]);
    assert.deepEqual(among, alone);
    const drafted = await all(model, "the date is ", { ...options, promptLookup: 7 });
    assert.deepEqual(textOf(drafted), textOf(alone));
    const samples = await all(model, "the date is ", { ...options, samples: 2 });
    assert.deepEqual(
      samples.filter(({ sample }) => sample === 0),
      alone,
    );
  });

  it("computes forced tokens in fewer runs, with their probabilities", async () => {
    const constraint = { regex: "The date is (?:today|tomorrow)\\." };
    const counted = new GPT2({
      backend,
      config: ODD,
      weights: seededWeights(backend, ODD),
      tokenizer: model.tokenizer!,
    });
    const forced = await all(counted, "x", { constraint, seed: 1 });
    assert.match(textOf(forced), /^The date is (today|tomorrow)\.$/);
    const { scheduler } = counted.generation();
    assert.ok(scheduler.status.steps <= 5, `${scheduler.status.steps} steps for ${forced.length} tokens`);
    const { logprobs } = await counted.score(textOf(forced), { context: "x" });
    for (const [i, { logprob }] of forced.entries()) assert.ok(Math.abs(logprob - logprobs[i]!) < 1e-5, `token ${i}`);
  });

  it("a minimum number of tokens delays the end, and other limits that leave nothing are an error", async () => {
    const long = await all(model, "", { constraint: { regex: "a*" }, minNewTokens: 5, logitBias: { 256: 100 } });
    assert.equal(textOf(long), "aaaaa");
    await assert.rejects(
      all(model, "", { constraint: { regex: "abc|xyz" }, allowedIds: [98] }),
      (error: Error) => error instanceof GPT2Error && /a token that may follow, got none/.test(error.message),
    );
    const after = await all(model, "", { constraint: DATE, seed: 2 });
    assert.match(textOf(after), /^\d{4}-\d\d?$/);
  });

  it("is refused if it is malformed, impossible or without a tokenizer", async () => {
    await assert.rejects(all(model, "", { constraint: { regex: "(" } }), ConstraintError);
    await assert.rejects(all(model, "", { constraint: { regex: "" } }), /empty/);
    await assert.rejects(all(model, "", { constraint: { regex: "[^\\s\\S]" } }), /some text satisfies/);
    const bare = new GPT2({ backend, config: ODD, weights: seededWeights(backend, ODD) });
    await assert.rejects(
      async () => {
        for await (const _ of bare.generate([1], { constraint: DATE }));
      },
      (error: Error) => error instanceof UsageError && /tokenizer/.test(error.message),
    );
  });
});
