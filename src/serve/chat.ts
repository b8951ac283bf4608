import type { ServerResponse } from "node:http";
import { promptParts } from "../data/examples/template.js";
import type { FinishReason } from "../generate/generate.js";
import { invalid } from "./api-error.js";
import { constraintOf } from "./constraint.js";
import { type chatFields, type responseFields, samplingFields } from "./fields.js";
import { EventStream, sendJson } from "./http.js";
import { chatLogprobs, type ScoredToken } from "./logprobs.js";
import {
  addReport,
  finishReason,
  generateTexts,
  newUsage,
  type RunReport,
  samplingOptions,
  stopList,
  type Usage,
  usageOf,
} from "./run.js";
import { object, type Parsed } from "./schema.js";
import type { Caller, Service } from "./service.js";

type Body = Parsed<typeof chatFields>;
export type Message = Body["messages"][number];

/** Token ids of a chat, formatted by the model's template or the built-in one: the prompt for the assistant's next message. */
export function chatIds(service: Service, messages: readonly Message[], param: string): number[] {
  const roles = "chat" in service.template ? Object.keys(service.template.chat) : [];
  const plain = messages.map(({ role, content }, i) => {
    const text = typeof content === "string" ? content : content.map((part) => part.text).join("");
    const known = role === "developer" ? "system" : role;
    if (roles.length > 0 && !roles.includes(known))
      throw invalid(`${param}[${i}].role`, `the model's template has ${roles.join(", ")}`);
    return { role: known, content: text };
  });
  const record = roles.length > 0 ? { messages: plain } : { prompt: plain.at(-1)!.content };
  return service.checkFits(service.partIds(promptParts(service.template, record)), param);
}

/** Stop strings. A model that was not trained with the built-in template would continue with the user's next turn. */
const stopsOf = (service: Service, stop: Body["stop"]): string[] => [
  ...stopList(stop),
  ...(service.ownTemplate ? [] : ["\nUser:"]),
];

interface Reply {
  readonly index: number;
  text: string;
  readonly tokens: ScoredToken[];
  finish: FinishReason | undefined;
}

/** POST /v1/chat/completions. */
export async function chatCompletions(
  service: Service,
  body: Body,
  caller: Caller,
  response: ServerResponse,
): Promise<void> {
  const { n, stream, logprobs, top_logprobs: top, return_token_ids: withIds, reply_token_ids: begun = [] } = body;
  if (top > 0 && !logprobs) throw invalid("top_logprobs", "expected logprobs: true with it");
  const chat = chatIds(service, body.messages, "messages");
  // Ids of the reply are checked like those of a prompt.
  if (begun.length > 0) service.promptIds(begun, "reply_token_ids", false);
  const prompt = service.checkFits([...chat, ...begun], "reply_token_ids");
  if (begun.length > 0 && constraintOf(service, body)) {
    throw invalid("reply_token_ids", "not with constrained output, which is about the whole reply");
  }
  const run = chatRun(service, body, prompt, body.max_completion_tokens ?? body.max_tokens, top);
  service.admit(n, prompt.length);
  const head = {
    id: service.newId("chatcmpl"),
    object: stream ? "chat.completion.chunk" : "chat.completion",
    created: Math.floor(Date.now() / 1000),
    model: body.model ?? service.name,
  };
  const events = stream ? new EventStream(response, service.limits.stall) : undefined;
  const chunk = (index: number, delta: object, finish: FinishReason | undefined, tokens?: readonly ScoredToken[]) => {
    const content = logprobs && tokens ? { content: chatLogprobs(service.tokenizer, tokens, withIds) } : null;
    const finished = finish ? finishReason(finish) : null;
    const ids = withIds ? { token_ids: tokens?.map(({ token }) => token) ?? [] } : {};
    return events?.send({ ...head, choices: [{ index, delta, logprobs: content, finish_reason: finished, ...ids }] });
  };
  for (let i = 0; i < n; i++) await chunk(i, { role: "assistant", content: "" }, undefined);
  const { replies, usage } = await collect(service, caller, run, async (index, text, finish, token) => {
    if (text !== "" || logprobs || withIds) await chunk(index, { content: text }, undefined, [token]);
    if (finish) await chunk(index, {}, finish);
  });
  if (events) {
    if (body.stream_options?.include_usage) await events.send({ ...head, choices: [], usage: usageOf(usage) });
    return events.end();
  }
  const choices = replies.map(({ index, text, tokens, finish }) => ({
    index,
    message: { role: "assistant", content: text, refusal: null },
    logprobs: logprobs ? { content: chatLogprobs(service.tokenizer, tokens, withIds), refusal: null } : null,
    finish_reason: finishReason(finish ?? "length"),
    ...(withIds && { token_ids: tokens.map(({ token }) => token) }),
  }));
  sendJson(response, 200, { ...head, choices, usage: usageOf(usage) });
}

function chatRun(service: Service, body: Body, prompt: readonly number[], maxTokens: number | undefined, top: number) {
  const room = service.model.config.nCtx - prompt.length + 1;
  return {
    prompt,
    model: body.model,
    options: samplingOptions(service, body),
    maxTokens: Math.min(maxTokens ?? room, room),
    samples: body.n,
    stop: stopsOf(service, body.stop),
    alternatives: top,
    salt: body.cache_salt,
    begun: (body.reply_token_ids ?? []).length > 0,
    draftTokens: body.draft_tokens,
  };
}

type OnToken = (index: number, text: string, finish: FinishReason | undefined, token: ScoredToken) => Promise<unknown>;

/** Generates the replies to a chat, without the leading space that the built-in template leaves to the model. */
async function collect(service: Service, caller: Caller, run: ReturnType<typeof chatRun>, onToken: OnToken) {
  const replies = Array.from({ length: run.samples }, (_, index): Reply => {
    return { index, text: "", tokens: [], finish: undefined };
  });
  const usage = newUsage(run.prompt.length);
  let report: RunReport | undefined;
  const tokens = generateTexts(service, caller, run, (r) => {
    report = r;
  });
  for await (const { token, text, logprob, alternatives = [], sample, finishReason: finish } of tokens) {
    const reply = replies[sample]!;
    const piece = reply.text === "" && !run.begun ? text.trimStart() : text;
    const scored = { token, logprob, alternatives };
    reply.text += piece;
    reply.tokens.push(scored);
    reply.finish = finish;
    usage.completion++;
    await onToken(sample, piece, finish, scored);
  }
  addReport(usage, report);
  return { replies, usage };
}

/** POST /v1/responses: stateless, one message of text. */
export async function responses(
  service: Service,
  body: Parsed<typeof responseFields>,
  caller: Caller,
  response: ServerResponse,
): Promise<void> {
  const { input, instructions, stream, model, temperature, top_p, seed, max_output_tokens: most } = body;
  const messages: Message[] = [
    ...(instructions === undefined ? [] : [{ role: "system" as const, content: instructions }]),
    ...(typeof input === "string" ? [{ role: "user" as const, content: input }] : input),
  ];
  const prompt = chatIds(service, messages, "input");
  const sampling = {
    ...object(samplingFields).parse({}, ""),
    ...{ temperature, top_p, seed, stream, response_format: body.text?.format },
  };
  const run = chatRun(service, { ...sampling, model } as Body, prompt, most, 0);
  service.admit(1, prompt.length);
  const form = new ResponseForm(service, body);
  const events = stream ? new EventStream(response, service.limits.stall) : undefined;
  const send = async (type: string, data: object) =>
    events?.send({ type, sequence_number: form.next(), ...data }, type);
  await send("response.created", { response: form.response("in_progress") });
  await send("response.output_item.added", { output_index: 0, item: form.item("in_progress", "") });
  const place = { item_id: form.itemId, output_index: 0, content_index: 0 };
  await send("response.content_part.added", { ...place, part: form.part("") });
  const { replies, usage } = await collect(service, caller, run, async (_, delta) => {
    if (delta !== "") await send("response.output_text.delta", { ...place, delta, logprobs: [] });
  });
  const { text, finish } = replies[0]!;
  const complete = finishReason(finish ?? "length") === "stop" ? "completed" : "incomplete";
  const whole = form.response(complete, text, usage);
  await send("response.output_text.done", { ...place, text, logprobs: [] });
  await send("response.content_part.done", { ...place, part: form.part(text) });
  await send("response.output_item.done", { output_index: 0, item: form.item("completed", text) });
  await send(`response.${complete}`, { response: whole });
  if (events) response.end();
  else sendJson(response, 200, whole);
}

class ResponseForm {
  readonly itemId: string;
  readonly #id: string;
  readonly #created = Math.floor(Date.now() / 1000);
  readonly #service: Service;
  readonly #body: Parsed<typeof responseFields>;
  #sequence = 0;

  constructor(service: Service, body: Parsed<typeof responseFields>) {
    this.#service = service;
    this.#body = body;
    this.#id = service.newId("resp");
    this.itemId = service.newId("msg");
  }

  next(): number {
    return this.#sequence++;
  }

  part(text: string) {
    return { type: "output_text", text, annotations: [], logprobs: [] };
  }

  item(status: string, text: string) {
    const content = status === "in_progress" ? [] : [this.part(text)];
    return { id: this.itemId, type: "message", role: "assistant", status, content };
  }

  response(status: string, text?: string, usage?: Usage) {
    const { temperature, top_p, instructions = null, max_output_tokens: most = null, model } = this.#body;
    return {
      id: this.#id,
      object: "response",
      created_at: this.#created,
      status,
      error: null,
      incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
      instructions,
      max_output_tokens: most,
      model: model ?? this.#service.name,
      output: text === undefined ? [] : [this.item("completed", text)],
      parallel_tool_calls: false,
      tool_choice: "none",
      tools: [],
      temperature,
      top_p,
      store: false,
      metadata: {},
      usage: usage
        ? {
            input_tokens: usage.prompt,
            input_tokens_details: { cached_tokens: usage.cached },
            output_tokens: usage.completion,
            output_tokens_details: { reasoning_tokens: 0 },
            total_tokens: usage.prompt + usage.completion,
          }
        : null,
    };
  }
}
