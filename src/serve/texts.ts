import { encodePair } from "../tokenizer/encode-pair.js";
import { invalid } from "./api-error.js";
import { chatIds } from "./chat.js";
import type { classifyFields, detokenizeFields, embeddingFields, scoreFields, tokenizeFields } from "./fields.js";
import { tokenName } from "./logprobs.js";
import type { Parsed } from "./schema.js";
import type { Caller, Service } from "./service.js";

/** Endpoints over whole texts: tokens, vectors, labels, scores. */

type Inputs = Parsed<typeof embeddingFields>["input"];

function inputIds(service: Service, input: Inputs, truncate: boolean): number[][] {
  const many = Array.isArray(input) && typeof input[0] !== "number";
  const list = (many ? input : [input]) as (string | number[])[];
  const { nCtx } = service.model.config;
  return list.map((each, i) => {
    const at = many ? `input[${i}]` : "input";
    const own = typeof each === "string" ? Array.from(service.tokenizer.encode(each)) : each;
    if (own.length === 0) throw invalid(at, "expected at least one token, got none");
    return service.promptIds(truncate ? own.slice(0, nCtx) : own, at, false);
  });
}

const tokensOf = (ids: readonly number[][]): number => ids.reduce((sum, { length }) => sum + length, 0);

const promptUsage = (ids: readonly number[][]) => ({ prompt_tokens: tokensOf(ids), total_tokens: tokensOf(ids) });

/** POST /v1/embeddings. */
export async function embeddings(service: Service, body: Parsed<typeof embeddingFields>, { signal }: Caller) {
  const adapter = service.adapterOf(body.model);
  const ids = inputIds(service, body.input, body.truncate_prompt);
  const vectors = await service.read(tokensOf(ids), () => service.model.embed(ids, { adapter, signal }));
  const data = vectors.map((vector, index) => ({
    object: "embedding",
    index,
    embedding:
      body.encoding_format === "base64"
        ? Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64")
        : Array.from(vector),
  }));
  return { object: "list", data, model: body.model ?? service.name, usage: promptUsage(ids) };
}

/** POST /v1/classify. */
export async function classify(service: Service, body: Parsed<typeof classifyFields>, { signal }: Caller) {
  const adapter = service.adapterOf(body.model);
  if (!service.model.labels({ adapter })) throw invalid("model", "this model was not fine-tuned for classification");
  const ids = inputIds(service, body.input, true);
  const results = await service.read(tokensOf(ids), () => service.model.classify(ids, { adapter, signal }));
  const data = results.map(({ label, scores }, index) => ({
    index,
    label,
    probs: scores.map(({ probability }) => probability),
    labels: scores.map((score) => score.label),
    num_classes: scores.length,
  }));
  return {
    id: service.newId("classify"),
    object: "list",
    created: Math.floor(Date.now() / 1000),
    model: body.model ?? service.name,
    data,
    usage: promptUsage(ids),
  };
}

/** POST /v1/score: for each pair the cosine of the embeddings, or the log-probability of the second text after the first. */
export async function score(service: Service, body: Parsed<typeof scoreFields>, { key, signal }: Caller) {
  const [first, second] = [body.text_1, body.text_2].map((text) => (typeof text === "string" ? [text] : text));
  if (first!.length !== 1 && first!.length !== second!.length) {
    throw invalid("text_1", `expected one text, or as many as text_2, ${second!.length}`);
  }
  const adapter = service.adapterOf(body.model);
  const pairs = second!.map((text, i) => [first![first!.length === 1 ? 0 : i]!, text] as const);
  const texts = inputIds(service, [...first!, ...second!], false);
  const scores = await service.read(tokensOf(texts), body.kind === "similarity" ? cosines : logLikelihoods);
  async function cosines(): Promise<number[]> {
    const vectors = await service.model.embed(texts, { adapter, signal });
    const [left, right] = [vectors.slice(0, first!.length), vectors.slice(first!.length)];
    return right.map((b, i) => left[left.length === 1 ? 0 : i]!.reduce((sum, x, c) => sum + x * b[c]!, 0));
  }
  async function logLikelihoods(): Promise<number[]> {
    const [start] = service.start();
    const requests = pairs.map(([context, continuation]) =>
      encodePair(service.tokenizer, start!, context, continuation),
    );
    const scope = service.scope(key, "");
    return (await service.model.logLikelihoods(requests, { adapter, scope, signal })).map(({ logprob }) => logprob);
  }
  return {
    id: service.newId("score"),
    object: "list",
    created: Math.floor(Date.now() / 1000),
    model: body.model ?? service.name,
    data: scores.map((value, index) => ({ index, object: "score", score: value })),
    usage: promptUsage(texts),
  };
}

/** POST /tokenize. Special tokens in a text are encoded as such: clients take them from /tokenizer_info. */
export function tokenize(service: Service, body: Parsed<typeof tokenizeFields>) {
  const { prompt, content, messages, return_token_strs: names } = body;
  const text = prompt ?? content;
  if (text === undefined && !messages) throw invalid("prompt", "expected a prompt or messages, got neither");
  const tokens = messages
    ? chatIds(service, messages, "messages")
    : Array.from(service.tokenizer.encode(text!, { allowedSpecial: "all", addSpecialTokens: body.add_special_tokens }));
  const strings = names ? { token_strs: tokens.map((id) => tokenName(service.tokenizer, id)) } : {};
  return { count: tokens.length, max_model_len: service.model.config.nCtx, tokens, ...strings };
}

/** POST /detokenize. */
export function detokenize(service: Service, { tokens }: Parsed<typeof detokenizeFields>) {
  const { vocabSize } = service.tokenizer;
  const bad = tokens.findIndex((id) => id >= vocabSize);
  if (bad >= 0) throw invalid(`tokens[${bad}]`, `expected a token id below ${vocabSize}, got ${tokens[bad]}`);
  const prompt = service.tokenizer.decode(tokens);
  return { prompt, content: prompt };
}

/** GET /tokenizer_info, as the LM evaluation harness reads it. */
export function tokenizerInfo(service: Service) {
  const [start] = service.start();
  const end = service.tokenizer.decode([start!]);
  return {
    tokenizer_class: "GPT2Tokenizer",
    model_max_length: service.model.config.nCtx,
    vocab_size: service.tokenizer.vocabSize,
    bos_token: end,
    eos_token: end,
    pad_token: end,
    unk_token: end,
    chat_template: null,
  };
}
