import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { eventsOf, type Served, served } from "./client.js";

let api: Served;
before(async () => {
  api = await served();
});
after(() => api.close());

const complete = async (body: object) => {
  const answer = await api.post("/v1/completions", body);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
};
const TEXT = "The quick brown fox";

describe("POST /v1/completions", () => {
  it("responds like the library", async () => {
    const body = { prompt: TEXT, max_tokens: 12, seed: 3, temperature: 0.7, top_k: 20, logprobs: 3 };
    const { choices, usage, ...head } = await complete(body);
    const options = { maxNewTokens: 12, seed: 3, temperature: 0.7, topK: 20, overflow: "stop" } as const;
    const want = await api.model.complete(TEXT, options);
    assert.equal(choices[0].text, want.text);
    assert.deepEqual(choices[0].logprobs.token_logprobs, want.logprobs);
    assert.deepEqual([head.object, head.model], ["text_completion", "tiny"]);
    assert.match(head.id, /^cmpl-[0-9a-f]{24}$/);
    const completion = want.tokens.length;
    assert.equal(usage.prompt_tokens, TEXT.length);
    assert.deepEqual([usage.completion_tokens, usage.total_tokens], [completion, TEXT.length + completion]);
    for (const top of choices[0].logprobs.top_logprobs) assert.ok(Object.keys(top).length >= 3);
  });

  it("accepts text, ids, and lists of both, and responds in order", async () => {
    const ids = [...Buffer.from(TEXT)].map((byte) => api.model.tokenizer!.encode(String.fromCharCode(byte))[0]!);
    const base = { max_tokens: 5, temperature: 0, return_token_ids: true };
    const [one] = (await complete({ ...base, prompt: TEXT })).choices;
    assert.deepEqual((await complete({ ...base, prompt: ids })).choices[0].token_ids, one.token_ids);
    for (const prompt of [
      ["Hi", TEXT],
      [ids.slice(0, 2), ids],
    ]) {
      const { choices } = await complete({ ...base, prompt, n: 2 });
      assert.deepEqual(
        choices.map(({ index }: { index: number }) => index),
        [0, 1, 2, 3],
      );
      assert.deepEqual(choices[2].token_ids, one.token_ids);
    }
  });

  it("echoes and scores prompts like score, with the likeliest token's probability", async () => {
    const { choices } = await complete({ prompt: TEXT, max_tokens: 0, echo: true, logprobs: 1 });
    const { text, logprobs } = choices[0];
    assert.equal(text, TEXT);
    const want = await api.model.score(TEXT.slice(1), { context: TEXT[0]! });
    assert.deepEqual(logprobs.token_logprobs, [null, ...want.logprobs]);
    assert.equal(logprobs.top_logprobs[0], null);
    const again = (await complete({ prompt: TEXT, max_tokens: 1, echo: true, logprobs: 1, temperature: 0 })).choices[0];
    assert.deepEqual(again.logprobs.token_logprobs.slice(0, -1), logprobs.token_logprobs);
    assert.equal(again.logprobs.tokens.length, TEXT.length + 1);
    for (const [i, top] of logprobs.top_logprobs.entries()) {
      if (i === 0) continue;
      const best = Math.max(...(Object.values(top) as number[]));
      assert.ok(best >= logprobs.token_logprobs[i]);
      assert.equal(top[logprobs.tokens[i]], logprobs.token_logprobs[i]);
    }
    assert.deepEqual(
      logprobs.text_offset,
      [...TEXT].map((_, i) => i),
    );
  });

  it("recognizes the greedy token: its probability is numerically the largest", async () => {
    const { choices } = await complete({
      prompt: TEXT,
      max_tokens: 20,
      temperature: 0,
      return_token_ids: true,
      ignore_eos: true,
    });
    const prompt = [...api.model.tokenizer!.encode(TEXT), ...choices[0].token_ids];
    const scored = await complete({ prompt: [prompt], max_tokens: 1, echo: true, logprobs: 1, temperature: 0 });
    const { token_logprobs: own, top_logprobs: top } = scored.choices[0].logprobs;
    for (let i = TEXT.length; i < prompt.length; i++) {
      assert.equal(own[i], Math.max(...(Object.values(top[i]) as number[])), `token ${i}`);
    }
  });

  it("writes tokens that are not text as their bytes, so that none hides another", async () => {
    const { choices } = await complete({ prompt: "é", echo: true, max_tokens: 0, logprobs: 20 });
    assert.deepEqual(choices[0].logprobs.tokens, ["bytes:\\xc3", "bytes:\\xa9"]);
    assert.ok(Object.keys(choices[0].logprobs.top_logprobs[1]).length >= 20);
  });

  it("streams the same text, then the usage if asked, then [DONE]", async () => {
    const body = { prompt: TEXT, max_tokens: 15, seed: 5, n: 2, stop: ["\u0000\u0000"], logprobs: 1 };
    const whole = await complete(body);
    const answer = await api.post("/v1/completions", {
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    assert.match(answer.headers.get("content-type")!, /^text\/event-stream/);
    const events = eventsOf(answer.text);
    assert.equal(events.pop(), "[DONE]");
    const last = events.pop();
    assert.deepEqual([last.choices, last.usage.completion_tokens], [[], whole.usage.completion_tokens]);
    for (const choice of whole.choices) {
      const own = events.map((event) => event.choices[0]).filter(({ index }) => index === choice.index);
      assert.equal(own.map(({ text }) => text).join(""), choice.text);
      assert.deepEqual(
        own.flatMap(({ logprobs }) => logprobs.token_logprobs),
        choice.logprobs.token_logprobs,
      );
      assert.deepEqual(
        own.flatMap(({ logprobs }) => logprobs.text_offset),
        choice.logprobs.text_offset,
      );
      assert.deepEqual(own.map(({ finish_reason }) => finish_reason).filter(Boolean), [choice.finish_reason]);
    }
    const plain = eventsOf((await api.post("/v1/completions", { ...body, stream: true })).text);
    assert.ok(plain.every((event) => event === "[DONE]" || event.usage === undefined));
  });

  it("searches with beams, as the library does", async () => {
    const body = { prompt: TEXT, max_tokens: 6, n: 2, best_of: 4, logprobs: 0, return_token_ids: true };
    const fields = { length_penalty: 0.5, early_stopping: "never", beam_groups: 2, diversity_penalty: 1 };
    const { choices, usage } = await complete({ ...body, ...fields, use_beam_search: true });
    const options = { lengthPenalty: 0.5, earlyStopping: "never", groups: 2, diversityPenalty: 1 } as const;
    const want = await api.model.beamSearch(TEXT, { ...options, beams: 4, nBest: 2, maxNewTokens: 6 });
    assert.deepEqual(
      choices.map((c: { text: string; token_ids: number[] }) => [c.text, c.token_ids]),
      want.map(({ text, tokens }) => [text, tokens]),
    );
    assert.deepEqual(choices[1].logprobs.token_logprobs, want[1]!.logprobs);
    assert.equal(
      usage.completion_tokens,
      want.reduce((sum, { tokens }) => sum + tokens.length, 0),
    );
  });

  it("uses a draft model, and reports accepted tokens in the usage", async () => {
    const drafting = await served({ draft: api.model });
    try {
      const body = { prompt: TEXT, max_tokens: 12, temperature: 0 };
      const plain = await complete(body);
      const { json } = await drafting.post("/v1/completions", body);
      assert.equal(json.choices[0].text, plain.choices[0].text);
      const { accepted_prediction_tokens: accepted, rejected_prediction_tokens: rejected } =
        json.usage.completion_tokens_details;
      assert.ok(accepted > 4 && rejected === 0, `${accepted}, ${rejected}`);
      const without = await drafting.post("/v1/completions", { ...body, draft_tokens: 0 });
      assert.equal(without.json.usage.completion_tokens_details, undefined);
      assert.match((await drafting.get("/metrics")).text, /gpt2_accepted_draft_tokens_total [1-9]/);
    } finally {
      await drafting.close();
    }
  });

  it("chooses the likeliest of best_of, and stops at strings and ids", async () => {
    const base = { prompt: TEXT, max_tokens: 8, seed: 1, logprobs: 0, temperature: 1.5 };
    const mean = (choice: { logprobs: { token_logprobs: number[] } }) =>
      choice.logprobs.token_logprobs.reduce((a, b) => a + b) / choice.logprobs.token_logprobs.length;
    const all = (await complete({ ...base, n: 5 })).choices.map(mean) as number[];
    const best = (await complete({ ...base, n: 2, best_of: 5 })).choices.map(mean);
    assert.deepEqual(best, all.sort((a, b) => b - a).slice(0, 2));
    const greedy = (await complete({ prompt: TEXT, max_tokens: 20, temperature: 0, return_token_ids: true }))
      .choices[0];
    const third = greedy.token_ids[2];
    const stopped = (await complete({ prompt: TEXT, max_tokens: 20, temperature: 0, stop_token_ids: [third] }))
      .choices[0];
    assert.deepEqual([stopped.finish_reason, stopped.stop_reason], ["stop", "endoftext"]);
    const biased = await complete({
      prompt: TEXT,
      max_tokens: 3,
      temperature: 0,
      logit_bias: { 65: 100 },
      return_token_ids: true,
    });
    assert.deepEqual(biased.choices[0].token_ids, [65, 65, 65]);
  });

  it("ends at the context's end, and refuses longer prompts with OpenAI's code", async () => {
    const prompt = "x".repeat(90);
    const { choices } = await complete({ prompt, max_tokens: 50, ignore_eos: true, return_token_ids: true });
    assert.deepEqual([choices[0].token_ids.length, choices[0].finish_reason], [7, "length"]);
    const { status, json } = await api.post("/v1/completions", { prompt: "x".repeat(97) });
    assert.deepEqual([status, json.error.code, json.error.param], [400, "context_length_exceeded", "prompt"]);
    await complete({ prompt: "x".repeat(97), truncate_prompt: true, max_tokens: 1 });
  });

  it("gives the same response alone and among others", { skip: LIKE_OTHERS }, async () => {
    const requests = Array.from({ length: 24 }, (_, i) => {
      return {
        prompt: `${TEXT} ${"jumps ".repeat(i % 5)}${i}`,
        max_tokens: 10,
        seed: i,
        temperature: i % 2,
        logprobs: 2,
      };
    });
    const together = await Promise.all(requests.map(complete));
    for (const [i, request] of requests.entries()) {
      if (i % 6 === 0) assert.deepEqual((await complete(request)).choices, together[i].choices);
    }
  });
});

describe("errors", () => {
  const cases: [string, object, string, number?][] = [
    ["a number out of range", { temperature: -1 }, "temperature"],
    ["n beyond the bound", { n: 1e9 }, "n"],
    ["logprobs beyond the bound", { logprobs: 21 }, "logprobs"],
    ["a fraction for an integer", { max_tokens: 1.5 }, "max_tokens"],
    ["a text for a number", { top_p: "1" }, "top_p"],
    ["an id that is none", { prompt: [1, 257] }, "prompt[1]"],
    ["ids in lists, one of them wrong", { prompt: [[1], [2, -1]] }, "prompt[1][1]"],
    ["a suffix", { suffix: "end" }, "suffix"],
    ["an empty stop", { stop: "" }, "stop"],
    ["best_of below n", { n: 3, best_of: 2 }, "best_of"],
    ["beams in a stream", { use_beam_search: true, n: 2, stream: true }, "stream"],
    ["uneven groups of beams", { use_beam_search: true, n: 3, beam_groups: 2 }, "beam_groups"],
    ["a bias for no id", { logit_bias: { x: 1 } }, "logit_bias.x"],
    ["a bias too large", { logit_bias: { 5: 101 } }, "logit_bias.5"],
    ["an unknown model", { model: "gpt-5" }, "model", 404],
    ["too many texts", { prompt: Array(100).fill("a"), n: 2 }, "n"],
  ];
  for (const [name, body, param, status = 400] of cases) {
    it(`name the field: ${name}`, async () => {
      const answer = await api.post("/v1/completions", { prompt: "a", max_tokens: 1, ...body });
      assert.deepEqual([answer.status, answer.json.error.param], [status, param]);
      assert.equal(typeof answer.json.error.message, "string");
      assert.deepEqual(Object.keys(answer.json.error), ["message", "type", "param", "code"]);
    });
  }

  it("are not raised for fields of other servers, or for harmless values", async () => {
    await complete({
      prompt: "a",
      max_tokens: 1,
      suffix: null,
      use_beam_search: false,
      something: { else: [1] },
      user: "me",
    });
  });
});

describe("a server with a watermark", () => {
  it("marks what it generates where there is a choice, and the mark is found", async () => {
    const watermark = { scheme: "gumbel", key: "a secret of the server's" } as const;
    const marking = await served({ watermark });
    // Letters only: bytes that are not text could not be verified.
    const letters = [...marking.model.tokenizer!.encode("abcdefghijklmnopqrstuvwxyz .,")];
    const common = { ignore_eos: true, allowed_token_ids: letters };
    const text = async (body: object): Promise<string> => {
      const answer = await marking.post("/v1/completions", { prompt: TEXT, max_tokens: 70, ...common, ...body });
      assert.equal(answer.status, 200, answer.text);
      return answer.json.choices[0].text;
    };
    const found = async (written: string): Promise<number> =>
      (await marking.model.verifyWatermark(written, watermark)).pValue;
    assert.ok((await found(await text({ temperature: 1 }))) < 1e-4);
    const chat = { messages: [{ role: "user", content: "Hi" }], max_tokens: 60, ...common };
    const reply = (await marking.post("/v1/chat/completions", chat)).json.choices[0].message.content;
    assert.ok((await found(reply)) < 1e-3);
    const plain = (await complete({ prompt: TEXT, max_tokens: 70, ...common, temperature: 0 })).choices[0].text;
    assert.equal(await text({ temperature: 0 }), plain, "at temperature 0 there is nothing to choose");
    await marking.close();
  });
});
