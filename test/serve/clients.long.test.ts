/** Real clients against the server: OpenAI's JavaScript SDK, Vercel's AI SDK and LangChain.js. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Served, served } from "./client.js";
import { tool } from "./tools.js";

const openai = await tool("openai");
const [ai, compatible] = [await tool("ai"), await tool("@ai-sdk/openai-compatible")];
const langchain = await tool("@langchain/openai");
const MISSING = "npm run test:all installs it";
const TEXT = "The quick brown fox";

describe("OpenAI's SDK", { skip: openai ? false : MISSING }, () => {
  let api: Served;
  // biome-ignore lint/suspicious/noExplicitAny: the SDK's own type
  let client: any;
  before(async () => {
    api = await served({ keys: ["a-key-for-tests"] }, { slots: 4 });
    client = new openai.default({ baseURL: `${api.server.url}/v1`, apiKey: "a-key-for-tests" });
  });
  after(() => api.close());

  it("completes, streams, chats, embeds and lists models", async () => {
    const body = { model: "tiny", prompt: TEXT, max_tokens: 10, seed: 4 };
    const whole = await client.completions.create(body);
    let streamed = "";
    let usage: unknown;
    const stream = await client.completions.create({ ...body, stream: true, stream_options: { include_usage: true } });
    for await (const chunk of stream) {
      streamed += chunk.choices[0]?.text ?? "";
      usage = chunk.usage ?? usage;
    }
    assert.equal(streamed, whole.choices[0].text);
    assert.deepEqual(usage, {
      ...whole.usage,
      prompt_tokens_details: (usage as typeof whole.usage).prompt_tokens_details,
    });
    const chat = { model: "tiny", messages: [{ role: "user", content: "Hi" }], max_tokens: 8, seed: 1 };
    const message = (await client.chat.completions.create(chat)).choices[0].message.content;
    const runner = client.chat.completions.stream(chat);
    assert.equal((await runner.finalChatCompletion()).choices[0].message.content, message);
    const { data } = await client.embeddings.create({ model: "tiny", input: ["a", "b"] });
    assert.equal(data[1].embedding.length, 24);
    assert.deepEqual(
      (await client.models.list()).data.map(({ id }: { id: string }) => id),
      ["tiny"],
    );
    const response = await client.responses.create({ model: "tiny", input: "Hi", max_output_tokens: 5, seed: 1 });
    const events = await client.responses.create({
      model: "tiny",
      input: "Hi",
      max_output_tokens: 5,
      seed: 1,
      stream: true,
    });
    let text = "";
    for await (const event of events) if (event.type === "response.output_text.delta") text += event.delta;
    assert.equal(text, response.output_text);
  });

  it("stops when its reader leaves the loop", async () => {
    const { scheduler } = api.model.generation();
    const stream = await client.completions.create({
      model: "tiny",
      prompt: "a",
      max_tokens: 90,
      n: 4,
      stream: true,
      ignore_eos: true,
    });
    let seen = 0;
    for await (const _ of stream) if (++seen === 3) break;
    while (scheduler.status.running + scheduler.status.waiting > 0)
      await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it("throws its own errors, with the field and the request's id", async () => {
    const fails = async (work: Promise<unknown>, status: number, param: string | null) => {
      const error = await work.then(
        () => assert.fail("no error"),
        // biome-ignore lint/suspicious/noExplicitAny: the SDK's own type
        (e): any => e,
      );
      assert.ok(error instanceof openai.APIError, String(error));
      assert.deepEqual([error.status, error.param], [status, param]);
      assert.match(error.requestID, /^req-/);
    };
    await fails(client.completions.create({ model: "tiny", prompt: "a", temperature: -1 }), 400, "temperature");
    await fails(client.completions.create({ model: "other", prompt: "a" }), 404, "model");
    const stranger = new openai.default({ baseURL: `${api.server.url}/v1`, apiKey: "another-key" });
    await fails(stranger.models.list(), 401, null);
  });

  it("retries when the queue is full, after the requested wait", async () => {
    const busy = await served({ queue: 1 }, { slots: 1 });
    const patient = new openai.default({ baseURL: `${busy.server.url}/v1`, apiKey: "none", maxRetries: 20 });
    const body = { model: "tiny", prompt: "a", max_tokens: 60, ignore_eos: true };
    const answers = await Promise.all(Array.from({ length: 5 }, () => patient.completions.create(body)));
    assert.equal(answers.length, 5);
    assert.match((await busy.get("/metrics")).text, /^gpt2_requests_refused_total [1-9]/m);
    await busy.close();
  });
});

describe("Vercel's AI SDK", { skip: ai && compatible ? false : MISSING }, () => {
  it("generates and streams text", async () => {
    const api = await served();
    const provider = compatible.createOpenAICompatible({ name: "gpt2", baseURL: `${api.server.url}/v1` });
    const options = { maxOutputTokens: 8, seed: 3 };
    const { text } = await ai.generateText({ model: provider.completionModel("tiny"), prompt: TEXT, ...options });
    assert.ok(text.length > 0);
    const chat = { model: provider.chatModel("tiny"), prompt: "Hi", ...options };
    const whole = await ai.generateText(chat);
    let streamed = "";
    for await (const piece of ai.streamText(chat).textStream) streamed += piece;
    assert.equal(streamed, whole.text);
    const { embedding } = await ai.embed({ model: provider.textEmbeddingModel("tiny"), value: TEXT });
    assert.equal(embedding.length, 24);
    await api.close();
  });
});

describe("LangChain.js", { skip: langchain ? false : MISSING }, () => {
  const settings = (api: Served, more: object = {}) => {
    return {
      model: "tiny",
      apiKey: "none",
      configuration: { baseURL: `${api.server.url}/v1` },
      maxRetries: 0,
      ...more,
    };
  };

  it("completes, chats, streams and embeds", async () => {
    const api = await served();
    const model = new langchain.OpenAI(settings(api, { maxTokens: 10, temperature: 0 }));
    const whole = await model.invoke(TEXT);
    let streamed = "";
    for await (const piece of await model.stream(TEXT)) streamed += piece;
    assert.ok(whole.length > 0);
    assert.equal(streamed, whole);
    const chat = new langchain.ChatOpenAI(settings(api, { maxTokens: 8, temperature: 0 }));
    const { content, usage_metadata: usage } = await chat.invoke("Hi");
    let reply = "";
    for await (const piece of await chat.stream("Hi")) reply += piece.content;
    assert.equal(reply, content);
    assert.equal(usage.output_tokens, 8);
    const embeddings = new langchain.OpenAIEmbeddings(settings(api));
    const vectors = await embeddings.embedDocuments(["a", "b"]);
    assert.deepEqual([vectors.length, vectors[1].length], [2, 24]);
    const want = await api.model.embed("b");
    assert.ok(vectors[1].every((x: number, i: number) => Math.abs(x - want[i]!) < 1e-6));
    await api.close();
  });

  it("stops when its reader leaves, or aborts", async () => {
    const api = await served({}, { slots: 4 });
    const { scheduler } = api.model.generation();
    const idle = async () => {
      while (scheduler.status.running + scheduler.status.waiting > 0) await new Promise((r) => setTimeout(r, 5));
    };
    const options = settings(api, { maxTokens: 90, modelKwargs: { ignore_eos: true } });
    const chat = new langchain.ChatOpenAI(options);
    let seen = 0;
    for await (const _ of await chat.stream("Hi")) if (++seen === 3) break;
    await idle();
    const controller = new AbortController();
    const running = chat.invoke("Hi", { signal: controller.signal });
    while (scheduler.status.running === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    controller.abort();
    await assert.rejects(running);
    await idle();
    await api.close();
  });

  it("throws the server's error, and retries when its queue is full", async () => {
    const api = await served({ queue: 1 }, { slots: 1 });
    const wrong = new langchain.ChatOpenAI(settings(api, { temperature: -1 }));
    await assert.rejects(wrong.invoke("Hi"), (error: { status?: number; param?: string }) => {
      assert.deepEqual([error.status, error.param], [400, "temperature"]);
      return true;
    });
    const more = { maxTokens: 60, maxRetries: 10, modelKwargs: { ignore_eos: true } };
    const patient = new langchain.OpenAI(settings(api, more));
    const answers = await Promise.all(Array.from({ length: 4 }, () => patient.invoke("a")));
    assert.ok(answers.every((text) => text.length > 0));
    assert.match((await api.get("/metrics")).text, /^gpt2_requests_refused_total [1-9]/m);
    await api.close();
  });
});
