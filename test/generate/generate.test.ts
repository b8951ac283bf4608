import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { ContextLengthError, GPT2Error, TokenizerError, UsageError } from "../../src/errors.js";
import { Engine } from "../../src/generate/engine.js";
import { type GeneratedToken, generateTokens } from "../../src/generate/generate.js";
import { type GenerateOptions, generateSettings } from "../../src/generate/options.js";
import { Scheduler } from "../../src/generate/scheduler.js";
import { GPT2 } from "../../src/gpt2.js";
import type { TextOrIds } from "../../src/model/options.js";
import { fullForward, logSoftmax } from "./full-forward.js";
import {
  backends,
  byteModel,
  byteTokenizer,
  END_OF_TEXT_ID,
  fastestBackend,
  ODD,
  recitingModel,
  seededWeights,
} from "./models.js";

async function all(model: GPT2, prompt: TextOrIds, options: GenerateOptions): Promise<GeneratedToken[]> {
  const tokens: GeneratedToken[] = [];
  for await (const token of model.generate(prompt, options)) tokens.push(token);
  return tokens;
}

const ids = (tokens: readonly GeneratedToken[]) => tokens.map(({ token }) => token);
const GREEDY = { temperature: 0, stopAtEndOfText: false } as const;

for (const backend of await backends()) {
  describe(`generating on ${backend.name}`, () => {
    it("takes the likeliest token by the full forward at each step, past the context too", async () => {
      const model = byteModel(backend);
      const maxNewTokens = 40;
      const got = await model.complete([5, 6], { ...GREEDY, maxNewTokens });
      const { tokens, logprobs } = await slowGreedy([5, 6], maxNewTokens);
      assert.deepEqual(got.tokens, tokens);
      for (const [i, logprob] of logprobs.entries()) assert.ok(Math.abs(got.logprobs[i]! - logprob) < 1e-4);
    });

    it("gives log-probabilities of the model's own distribution, before penalty, temperature and filters", async () => {
      const model = byteModel(backend);
      for (const options of [{ temperature: 3 }, { topK: 2 }, { repetitionPenalty: 2 }, { topP: 0.1 }]) {
        const { tokens, logprobs } = await model.complete([5, 6], { ...options, seed: 1, maxNewTokens: 3 });
        const logits = await fullForward(ODD, 1, [5, 6, ...tokens]);
        for (const [i, token] of tokens.entries()) {
          const row = logSoftmax(logits.subarray((i + 1) * ODD.vocabSize, (i + 2) * ODD.vocabSize));
          assert.ok(Math.abs(logprobs[i]! - row[token]!) < 1e-4);
        }
      }
    });

    it("gives each of several samples the same as alone", async () => {
      const model = byteModel(backend);
      const options = { seed: 3, temperature: 1.5, topK: 0, maxNewTokens: 30 };
      const samples = await model.completions("Hi", { ...options, samples: 5 });
      assert.equal(new Set(samples.map(({ tokens }) => tokens.join())).size, 5, "all differ");
      const [alone] = await model.completions("Hi", options);
      assert.deepEqual(samples[0]!.tokens, alone!.tokens);
      assert.deepEqual(samples, await model.completions("Hi", { ...options, samples: 5 }));
    });

    it("keeps overlapping calls apart", async () => {
      const model = byteModel(backend);
      const run = (seed: number) => all(model, "The", { seed, maxNewTokens: 25, topK: 0 });
      const alone: GeneratedToken[][] = [];
      for (const seed of [1, 2, 3, 4]) alone.push(await run(seed));
      assert.deepEqual(await Promise.all([1, 2, 3, 4].map(run)), alone);
    });
  });
}

/** Greedy decoding that recomputes the whole context at each step, with the documented rule for a full context. */
async function slowGreedy(prompt: readonly number[], count: number) {
  const { nCtx, vocabSize: V } = ODD;
  const tokens = [...prompt];
  const logprobs: number[] = [];
  let start = 0;
  while (logprobs.length < count) {
    if (tokens.length - start > nCtx) start = tokens.length - (nCtx >> 1);
    const row = logSoftmax((await fullForward(ODD, 1, tokens.slice(start))).subarray(-V));
    const best = row.indexOf(Math.max(...row));
    logprobs.push(row[best]!);
    tokens.push(best);
  }
  return { tokens: tokens.slice(prompt.length), logprobs };
}

const fast = await fastestBackend();

describe("generated tokens", () => {
  it("come with text that concatenates to the whole, with unbroken characters", async () => {
    const text = "naïve café: €5 😀 ok";
    const script = [...byteTokenizer().encode(text)];
    const tokens = await all(recitingModel(fast, script), [65], { ...GREEDY, maxNewTokens: script.length });
    assert.deepEqual(ids(tokens), script);
    assert.equal(tokens.map((t) => t.text).join(""), text);
    for (const t of tokens) assert.ok(!t.text.includes("\ufffd"));
    assert.deepEqual(
      tokens.slice(2, 4).map((t) => t.text),
      ["", "ï"],
    );
    assert.ok(tokens.every(({ sample, logprob }) => sample === 0 && logprob < 0 && logprob > -0.01));
  });

  it("give the rest of a character with the last of them", async () => {
    const tokens = await all(recitingModel(fast, "a€"), [65], { ...GREEDY, maxNewTokens: 3 });
    assert.deepEqual(
      tokens.map((t) => t.text),
      ["a", "", "\ufffd"],
    );
  });

  it("report why they end: maxNewTokens reached", async () => {
    const tokens = await all(recitingModel(fast, "abcdef"), [65], { ...GREEDY, maxNewTokens: 4 });
    assert.deepEqual(
      tokens.map((t) => t.finishReason),
      [undefined, undefined, undefined, "length"],
    );
    assert.deepEqual(await all(recitingModel(fast, "abc"), [65], { maxNewTokens: 0 }), []);
  });

  it("report why they end: a stop string, across tokens, which is not part of the text", async () => {
    const model = recitingModel(fast, "one\n\ntwo\n\nthree");
    const tokens = await all(model, [65], { ...GREEDY, stop: "\n\n" });
    assert.deepEqual(
      tokens.map((t) => t.text),
      ["o", "n", "e", "", ""],
    );
    assert.equal(tokens.at(-1)!.finishReason, "stop");
    const { text, finishReason } = await model.complete([65], { ...GREEDY, stop: ["xyz", "hr"] });
    assert.deepEqual([text, finishReason], ["one\n\ntwo\n\nt", "stop"]);
    const held = await model.complete([65], { ...GREEDY, stop: "two!", maxNewTokens: 8 });
    assert.deepEqual([held.text, held.finishReason], ["one\n\ntwo", "length"], "the start of a stop string is text");
  });

  it("report why they end: the end of the text, a token without text", async () => {
    const script = [...byteTokenizer().encode("ab<"), END_OF_TEXT_ID, ...byteTokenizer().encode("cd")];
    const model = recitingModel(fast, script);
    const tokens = await all(model, [65], { temperature: 0, stop: "<|" });
    assert.deepEqual(
      tokens.map((t) => t.text),
      ["a", "b", "", "<"],
    );
    assert.deepEqual(ids(tokens), script.slice(0, 4));
    assert.equal(tokens.at(-1)!.finishReason, "endoftext");
    const on = await model.complete([65], { ...GREEDY, maxNewTokens: 6 });
    assert.deepEqual([on.text, on.finishReason], ["ab<<|endoftext|>cd", "length"]);
  });

  it("are the same for the same seed, and different for another", async () => {
    const model = byteModel(fast);
    const run = async (seed?: number) =>
      ids(await all(model, "x", { seed, temperature: 1, topK: 0, maxNewTokens: 15 }));
    assert.deepEqual(await run(9), await run(9));
    assert.notDeepEqual(await run(9), await run(10));
    assert.notDeepEqual(await run(), await run());
  });

  it("of samples that end at different times alternate and stop independently", async () => {
    // At this temperature the recited token is chosen about half the time, the end of the text now and then.
    const model = recitingModel(fast, Array<number>(40).fill(END_OF_TEXT_ID));
    const tokens = await all(model, [65], { samples: 6, temperature: 3.2, topK: 0, seed: 1, maxNewTokens: 12 });
    const lengths = [0, 1, 2, 3, 4, 5].map((sample) => {
      const own = tokens.filter((t) => t.sample === sample);
      const last = own.at(-1)!;
      assert.equal(last.finishReason, last.token === END_OF_TEXT_ID ? "endoftext" : "length");
      assert.ok(own.slice(0, -1).every((t) => t.finishReason === undefined && t.token !== END_OF_TEXT_ID));
      return own.length;
    });
    assert.ok(new Set(lengths).size > 2, `lengths ${lengths}`);
    assert.ok(lengths.includes(1), "one ends with its first token");
  });
});

describe("prompts", () => {
  it("that are empty start a new text", async () => {
    const model = byteModel(fast);
    const tokens = await all(model, "", { ...GREEDY, maxNewTokens: 3 });
    assert.deepEqual(tokens, await all(model, [END_OF_TEXT_ID], { ...GREEDY, maxNewTokens: 3 }));
  });

  it("as text are encoded without special tokens", async () => {
    const model = byteModel(fast);
    const text = "<|endoftext|>";
    const tokens = await all(model, text, { ...GREEDY, maxNewTokens: 3 });
    assert.deepEqual(tokens, await all(model, byteTokenizer().encode(text), { ...GREEDY, maxNewTokens: 3 }));
  });

  it("may fill the context, but not exceed it", async () => {
    const model = byteModel(fast);
    const prompt = Array.from({ length: ODD.nCtx + 1 }, (_, i) => i);
    await assert.rejects(all(model, prompt, {}), (error: Error) => {
      assert.ok(error instanceof ContextLengthError);
      assert.match(error.message, /prompt: expected at most 21 tokens, the model's context, got 22/);
      return true;
    });
    const full = await all(model, prompt.slice(0, -1), { ...GREEDY, maxNewTokens: 3 });
    assert.equal(full.length, 3);
    const cut = await all(model, prompt, { ...GREEDY, maxNewTokens: 3, truncatePrompt: true });
    assert.deepEqual(ids(cut), ids(await all(model, prompt.slice(-10), { ...GREEDY, maxNewTokens: 3 })));
  });

  it("of ids outside the vocabulary are refused", async () => {
    await assert.rejects(all(byteModel(fast), [1, 257], {}), /tokens\[1\]: expected a token id from 0 to 256/);
  });
});

describe("a full context", () => {
  it("with overflow stop ends generation when the model could no longer see the whole text", async () => {
    const model = byteModel(fast);
    for (const length of [1, 20, 21]) {
      const prompt = Array.from({ length }, (_, i) => i);
      const tokens = await all(model, prompt, { ...GREEDY, overflow: "stop", maxNewTokens: 100 });
      assert.equal(tokens.length, 22 - length);
      assert.equal(tokens.at(-1)!.finishReason, "context");
    }
    const exact = await all(model, [1], { ...GREEDY, overflow: "stop", maxNewTokens: 21 });
    assert.equal(exact.at(-1)!.finishReason, "length");
  });

  it("of one token keeps sliding", async () => {
    const config = gpt2Config({ vocabSize: 257, nCtx: 1, nEmbd: 5, nHead: 1, nLayer: 1 });
    const weights = seededWeights(fast, config);
    const model = new GPT2({ backend: fast, config, weights, tokenizer: byteTokenizer() });
    assert.equal((await all(model, [7], { ...GREEDY, maxNewTokens: 5 })).length, 5);
    assert.equal((await all(model, [7], { ...GREEDY, overflow: "stop" })).length, 1);
  });
});

describe("stopping", () => {
  it("by an abort throws its reason, promptly, and leaves the model usable", async () => {
    const model = byteModel(fast);
    const controller = new AbortController();
    const options = { signal: controller.signal, maxNewTokens: 1e6, stopAtEndOfText: false };
    let seen = 0;
    await assert.rejects(
      async () => {
        for await (const _ of model.generate("a", options)) if (++seen === 4) controller.abort();
      },
      { name: "AbortError" },
    );
    assert.equal(seen, 4);
    await assert.rejects(all(model, "a", options), { name: "AbortError" });
    const reason = new Error("enough");
    await assert.rejects(all(model, "a", { signal: AbortSignal.abort(reason) }), reason);
    assert.equal((await all(model, "a", { ...GREEDY, maxNewTokens: 2 })).length, 2);
  });

  it("by leaving the loop frees the slots", async () => {
    const scheduler = new Scheduler(new Engine(fast, ODD, seededWeights(fast, ODD)));
    const model = {
      scheduler,
      vocabLimit: 257,
      endOfText: END_OF_TEXT_ID,
      eosTokenIds: [END_OF_TEXT_ID],
      text: undefined,
    };
    const settings = generateSettings({ samples: 3, stopAtEndOfText: false });
    let seen = 0;
    for await (const _ of generateTokens(model, [1, 2], settings)) if (++seen === 5) break;
    await scheduler.idle();
    assert.deepEqual([scheduler.status.running, scheduler.status.waiting], [0, 0]);
  });

  it("permanently: a disposed model does nothing more", async () => {
    const model = byteModel(fast);
    await model.dispose();
    await assert.rejects(all(model, "a", {}), GPT2Error);
  });
});

describe("a model without a tokenizer", () => {
  const model = new GPT2({ backend: fast, config: ODD, weights: seededWeights(fast, ODD) });

  it("accepts and returns ids", async () => {
    const tokens = await all(model, [1, 2, 3], { ...GREEDY, maxNewTokens: 5 });
    const withText = await all(byteModel(fast), [1, 2, 3], { ...GREEDY, maxNewTokens: 5 });
    assert.deepEqual(ids(tokens), ids(withText));
    assert.ok(tokens.every(({ text }) => text === ""));
  });

  it("says so when given text, a stop string, or nothing to start from", async () => {
    for (const run of [() => all(model, "text", {}), () => all(model, [1], { stop: "x" })]) {
      await assert.rejects(run, (error: Error) => error instanceof TokenizerError && /token ids/.test(error.message));
    }
    await assert.rejects(all(model, [], {}), /no token that starts a text/);
    await assert.rejects(model.score([1, 2]), /give a context/);
    assert.equal((await model.score([2], { context: [1] })).bitsPerByte, undefined);
  });
});

it("options out of range are refused by name", async () => {
  const bad: GenerateOptions[] = [
    { maxNewTokens: -1 },
    { maxNewTokens: 1.5 },
    { samples: 0 },
    { samples: 1e9 },
    { seed: -1 },
    { seed: 0.5 },
    { stop: "" },
    { stop: ["a", ""] },
    { overflow: "bend" as "slide" },
    { topP: 2 },
  ];
  const model = byteModel(fast);
  for (const options of bad) {
    await assert.rejects(all(model, "a", options), (error: Error) => {
      return error instanceof UsageError && error.message.startsWith(`${Object.keys(options)[0]}: expected`);
    });
  }
  await assert.rejects(
    model.completions("a", { samples: 1e9 }),
    /^UsageError: samples: expected an integer from 1 to 10000/,
  );
  await assert.rejects(
    model.completions("a", { samples: 2, bestOf: 1e9 }),
    /^UsageError: bestOf: expected .* 2, .* to 10000/,
  );
});
