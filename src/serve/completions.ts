import type { ServerResponse } from "node:http";
import { bestOf as likeliest } from "../generate/best-of.js";
import type { FinishReason, GeneratedToken } from "../generate/generate.js";
import { invalid } from "./api-error.js";
import { constraintOf } from "./constraint.js";
import type { completionFields } from "./fields.js";
import { MOST_CHOICES } from "./fields.js";
import { EventStream, sendJson } from "./http.js";
import { CompletionLogprobs, type ScoredToken } from "./logprobs.js";
import {
  addReport,
  beamTexts,
  finishReason,
  generateTexts,
  newUsage,
  type RunReport,
  samplingOptions,
  stopList,
  type Usage,
  usageOf,
} from "./run.js";
import type { Parsed } from "./schema.js";
import type { Caller, Service } from "./service.js";

type Body = Parsed<typeof completionFields>;

/** A prompt, and the text to echo for it. */
interface Prompt {
  readonly ids: number[];
  readonly text: string;
}

/** One text of the answer, as it grows. */
interface Choice {
  readonly index: number;
  text: string;
  readonly tokens: ScoredToken[];
  ids: number[];
  finish: FinishReason | undefined;
}

/** POST /v1/completions. */
export async function completions(
  service: Service,
  body: Body,
  caller: Caller,
  response: ServerResponse,
): Promise<void> {
  const { n, best_of: bestOf = n, max_tokens: maxTokens, stream, echo } = body;
  if (bestOf < n) throw invalid("best_of", `expected at least n, ${n}, got ${bestOf}`);
  if (stream && bestOf > n)
    throw invalid("best_of", "expected at most n with stream: the best texts are known only when all are complete");
  const prompts = promptsOf(service, body);
  if (body.use_beam_search) checkBeams(body, bestOf);
  if (constraintOf(service, body) && body.use_beam_search) {
    throw invalid("use_beam_search", "not with constrained output");
  }
  if (prompts.length * bestOf > MOST_CHOICES)
    throw invalid("n", `expected at most ${MOST_CHOICES} texts for all prompts together`);
  if (maxTokens === 0 && !echo) throw invalid("max_tokens", "expected at least 1; 0 is allowed with echo only");
  service.adapterOf(body.model);
  const tokens = prompts.reduce((sum, { ids }) => sum + ids.length, 0);
  service.admit(prompts.length * bestOf, tokens);
  const answer = new Answer(service, body, stream ? response : undefined);
  const usage = newUsage(tokens);
  const runs = prompts.map((prompt, i) => runPrompt({ service, body, caller, answer, usage }, prompt, i, bestOf));
  const choices = (await Promise.all(runs)).flat();
  if (stream) await answer.end(usage);
  else
    sendJson(response, 200, {
      ...answer.head,
      choices: choices.map((choice) => answer.whole(choice)),
      usage: usageOf(usage),
    });
}

function promptsOf(service: Service, { prompt, truncate_prompt: truncate }: Body): Prompt[] {
  const many = Array.isArray(prompt) && typeof prompt[0] !== "number";
  const list = (many ? prompt : [prompt]) as (string | number[])[];
  return list.map((each, i) => {
    const ids = service.promptIds(each, many ? `prompt[${i}]` : "prompt", truncate);
    const { tokenizer } = service.model;
    const text =
      typeof each === "string" ? each : (tokenizer?.decode(ids.filter((id) => id < tokenizer.vocabSize)) ?? "");
    return { ids, text };
  });
}

interface Request {
  readonly service: Service;
  readonly body: Body;
  readonly caller: Caller;
  readonly answer: Answer;
  readonly usage: Usage;
}

/** The continuations of one prompt: of `best_of`, the n with the highest log-probability per token. */
async function runPrompt(request: Request, prompt: Prompt, index: number, bestOf: number): Promise<Choice[]> {
  const { service, body, caller, answer, usage } = request;
  const { n, echo, logprobs } = body;
  const choices = Array.from({ length: bestOf }, (_, sample): Choice => {
    return { index: index * n + sample, text: "", tokens: [], ids: [], finish: undefined };
  });
  if (body.use_beam_search) return searchBeams(request, prompt, index, bestOf);
  let report: RunReport | undefined;
  const echoed = (): void => {
    if (!echo) return;
    const tokens = logprobs === undefined ? [] : echoTokens(prompt.ids, report!, logprobs);
    for (const choice of choices) {
      choice.text = prompt.text;
      choice.ids.push(...prompt.ids);
      choice.tokens.push(...tokens);
    }
  };
  const run = {
    prompt: prompt.ids,
    model: body.model,
    options: samplingOptions(service, body),
    maxTokens: body.max_tokens,
    samples: bestOf,
    stop: stopList(body.stop),
    alternatives: logprobs ?? 0,
    salt: body.cache_salt,
    draftTokens: body.draft_tokens,
    promptAlternatives: echo && logprobs !== undefined ? logprobs : undefined,
  };
  let first = true;
  for await (const token of generateTexts(service, caller, run, (r) => (report = r))) {
    if (first) {
      echoed();
      if (echo) for (const choice of choices) await answer.sendEcho(choice);
    }
    first = false;
    usage.completion++;
    const choice = choices[token.sample]!;
    add(choice, token);
    await answer.send(choice, token);
  }
  if (first) echoed();
  if (first && echo) for (const choice of choices) await answer.sendEcho(choice);
  addReport(usage, report);
  if (bestOf === n) return choices;
  const best = likeliest(choices, n, ({ tokens }) => {
    const own = tokens.slice(echo && tokens.length > prompt.ids.length ? prompt.ids.length : 0);
    return own.map(({ logprob }) => logprob);
  });
  return best.map((choice, i) => ({ ...choice, index: index * n + i }));
}

/** @throws {ApiError} an option that cannot be combined with a beam search. */
function checkBeams(
  { stream, echo, logprobs, beam_groups: groups, diversity_penalty: penalty }: Body,
  beams: number,
): void {
  if (stream) throw invalid("stream", "the texts of a beam search are known when it ends: no stream");
  if (echo) throw invalid("echo", "not with use_beam_search");
  if (logprobs !== undefined && logprobs > 1) throw invalid("logprobs", "at most 1 with use_beam_search");
  if (beams % groups !== 0)
    throw invalid("beam_groups", `expected a number that divides the ${beams} beams, got ${groups}`);
  if (penalty > 0 && groups === 1) throw invalid("diversity_penalty", "only with two or more beam_groups");
}

/** The n likeliest texts of as many beams as `best_of`. */
async function searchBeams(
  { service, body, caller, usage }: Request,
  prompt: Prompt,
  index: number,
  beams: number,
): Promise<Choice[]> {
  const { n } = body;
  const run = {
    prompt: prompt.ids,
    model: body.model,
    salt: body.cache_salt,
    nBest: n,
    beams,
    maxTokens: body.max_tokens,
  };
  const { results, cached } = await beamTexts(service, caller, run, body);
  usage.cached += cached;
  return results.map(({ text, tokens, logprobs, finishReason: finish }, i) => {
    usage.completion += tokens.length;
    const scored = tokens.map((token, t) => ({ token, logprob: logprobs[t]!, alternatives: [] }));
    return { index: index * n + i, text, tokens: scored, ids: [...tokens], finish };
  });
}

function add(choice: Choice, { token, text, logprob, alternatives = [], finishReason: finish }: GeneratedToken): void {
  choice.text += text;
  choice.ids.push(token);
  choice.tokens.push({ token, logprob, alternatives });
  choice.finish = finish;
}

function echoTokens(ids: readonly number[], { promptScores }: RunReport, count: number): ScoredToken[] {
  return ids.map((token, i) => {
    if (i === 0) return { token, logprob: null, alternatives: [] };
    const { logprob, alternatives } = promptScores[i - 1]!;
    return { token, logprob, alternatives: alternatives.slice(0, count) };
  });
}

/** Writes the answer, whole or in chunks. */
class Answer {
  readonly head;
  readonly #service: Service;
  readonly #body: Body;
  readonly #stream: EventStream | undefined;
  /** Characters of each text so far, for text_offset. */
  readonly #offsets = new Map<number, number>();

  constructor(service: Service, body: Body, response: ServerResponse | undefined) {
    this.#service = service;
    this.#body = body;
    const created = Math.floor(Date.now() / 1000);
    this.head = { id: service.newId("cmpl"), object: "text_completion", created, model: body.model ?? service.name };
    this.#stream = response && new EventStream(response, service.limits.stall);
  }

  whole({ index, text, tokens, ids, finish }: Choice) {
    const { logprobs, return_token_ids: withIds } = this.#body;
    return {
      index,
      text,
      logprobs:
        logprobs === undefined
          ? null
          : CompletionLogprobs.of(this.#service.model.tokenizer, tokens, 0, withIds).logprobs,
      finish_reason: finish ? finishReason(finish) : "length",
      stop_reason: finish ?? "length",
      ...(withIds && { token_ids: ids }),
    };
  }

  async sendEcho({ index, text, tokens, ids }: Choice): Promise<void> {
    await this.#sendChunk(index, text, tokens, ids, undefined);
  }

  async send({ index }: Choice, { token, text, logprob, alternatives = [], finishReason: finish }: GeneratedToken) {
    const { logprobs, return_token_ids: withIds } = this.#body;
    if (text === "" && finish === undefined && logprobs === undefined && !withIds) return;
    await this.#sendChunk(index, text, [{ token, logprob, alternatives }], [token], finish);
  }

  async #sendChunk(
    index: number,
    text: string,
    tokens: readonly ScoredToken[],
    ids: readonly number[],
    finish: FinishReason | undefined,
  ): Promise<void> {
    if (!this.#stream) return;
    const { logprobs, return_token_ids: withIds } = this.#body;
    const scored =
      logprobs === undefined
        ? undefined
        : CompletionLogprobs.of(this.#service.model.tokenizer, tokens, this.#offsets.get(index) ?? 0, withIds);
    if (scored) this.#offsets.set(index, scored.offset);
    const choice = {
      index,
      text,
      logprobs: scored?.logprobs ?? null,
      finish_reason: finish ? finishReason(finish) : null,
      ...(finish && { stop_reason: finish }),
      ...(withIds && { token_ids: ids }),
    };
    await this.#stream.send({ ...this.head, choices: [choice] });
  }

  async end(usage: Usage): Promise<void> {
    const { stream_options: options } = this.#body;
    if (options?.include_usage) await this.#stream!.send({ ...this.head, choices: [], usage: usageOf(usage) });
    await this.#stream!.end();
  }
}
