import { beamSettings } from "../generate/beam/options.js";
import { type BeamResult, beamSearch } from "../generate/beam/run.js";
import { type FinishReason, type GeneratedToken, generateTokens } from "../generate/generate.js";
import { type GenerateOptions, type GenerateSettings, generateSettings } from "../generate/options.js";
import { type PromptScore, promptScoring } from "../generate/prompt-scores.js";
import { invalid } from "./api-error.js";
import { constraintOf } from "./constraint.js";
import type { completionFields, samplingFields } from "./fields.js";
import type { Parsed } from "./schema.js";
import type { Caller, Service } from "./service.js";

/** The sampling fields of a request, the same in all endpoints that generate. */
export type SamplingBody = Parsed<typeof samplingFields>;

/** Texts across which DRY finds no repetition: line breaks and field separators. */
const DRY_BREAKERS = ["\n", ":", '"', "*"];

/** The library's options for a request's sampling fields. @throws {UsageError} */
export function samplingOptions(service: Service, body: SamplingBody): GenerateOptions {
  const { tokenizer } = service.model;
  const breakers = body.dry_multiplier > 0 ? DRY_BREAKERS.flatMap((text) => [...(tokenizer?.encode(text) ?? [])]) : [];
  return {
    temperature: body.temperature,
    topK: Math.max(0, body.top_k),
    topP: body.top_p,
    minP: body.min_p,
    typicalP: body.typical_p,
    topNSigma: Math.max(0, body.top_n_sigma),
    repetitionPenalty: body.repetition_penalty,
    presencePenalty: body.presence_penalty,
    frequencyPenalty: body.frequency_penalty,
    logitBias: body.logit_bias,
    badWords: body.bad_words_ids,
    allowedIds: body.allowed_token_ids,
    minNewTokens: body.min_tokens,
    stopTokens: body.stop_token_ids,
    stopAtEndOfText: !body.ignore_eos,
    dryMultiplier: body.dry_multiplier,
    dryBase: body.dry_base,
    dryAllowedLength: body.dry_allowed_length,
    dryBreakers: breakers,
    xtcProbability: body.xtc_probability,
    xtcThreshold: body.xtc_threshold,
    temperatureRange: body.dynatemp_range,
    temperatureExponent: body.dynatemp_exponent,
    mirostatTau: body.mirostat_tau,
    mirostatEta: body.mirostat_eta,
    samplerOrder: body.sampler_order,
    promptLookup: body.prompt_lookup,
    priority: body.priority,
    constraint: constraintOf(service, body),
    overflow: "stop",
    watermark: service.watermarkAt(body.temperature),
    ...(body.seed !== undefined && { seed: Math.abs(body.seed) }),
  };
}

export interface TextRun {
  readonly prompt: readonly number[];
  readonly model: string | undefined;
  readonly options: GenerateOptions;
  readonly maxTokens: number;
  readonly samples: number;
  readonly stop: readonly string[];
  readonly alternatives: number;
  /** The cache is shared only within a scope. */
  readonly salt: string;
  /** Most tokens that the draft model proposes at once. */
  readonly draftTokens: number;
  /** Number of alternatives of the prompt's tokens; undefined if they are not scored. */
  readonly promptAlternatives?: number | undefined;
}

/** The results of a run besides its tokens. */
export interface RunReport {
  cached: number;
  /** Tokens drafted, and accepted of them. */
  readonly drafts: { proposed: number; accepted: number };
  /** One for each prompt token from the second on. */
  readonly promptScores: readonly PromptScore[];
}

/** Generates the texts that follow one prompt; the report is complete with the first token. */
export async function* generateTexts(
  service: Service,
  caller: Caller,
  run: TextRun,
  report: (report: RunReport) => void,
): AsyncGenerator<GeneratedToken, void, undefined> {
  const { metrics } = service;
  const { prompt, options, samples, maxTokens, stop, alternatives } = run;
  const model = service.generation(run.model);
  if (stop.length > 0 && !model.text) throw invalid("stop", "the model has no tokenizer for stop strings");
  const scope = service.scope(caller.key, run.salt);
  const limits = { maxNewTokens: maxTokens, samples, stop, alternatives, scope, signal: caller.signal };
  const scored =
    run.promptAlternatives === undefined ? undefined : promptScoring(prompt, run.promptAlternatives, model.vocabLimit);
  const result: RunReport = { cached: 0, drafts: { proposed: 0, accepted: 0 }, promptScores: scored?.scores ?? [] };
  let begun = false;
  const started = (cached: number): void => {
    if (begun) return;
    begun = true;
    result.cached = cached;
    metrics.queue.observe((performance.now() - caller.start) / 1000);
    metrics.promptTokens.add(prompt.length);
    metrics.cachedTokens.add(cached);
  };
  const plain = generateSettings({ ...options, ...limits });
  const { draft } = service;
  const drafting = draft && run.draftTokens > 0 && plain.promptLookup === 0;
  const settings: GenerateSettings = {
    ...plain,
    draft: drafting ? await service.model.drafting(draft, run.draftTokens, plain) : undefined,
    scoring: scored?.scoring,
    started,
  };
  report(result);
  if (maxTokens === 0) {
    const job = {
      tokens: prompt,
      scoring: scored?.scoring,
      started,
      scope,
      adapter: model.adapter,
      signal: caller.signal,
    };
    if (scored) await model.scheduler.submit(job);
    return;
  }
  const last = new Map<number, number>();
  for await (const token of generateTokens(model, prompt, settings)) {
    const now = performance.now();
    const before = last.get(token.sample);
    if (before !== undefined) metrics.between.observe((now - before) / 1000);
    else metrics.firstToken.observe((now - caller.start) / 1000);
    last.set(token.sample, now);
    metrics.generatedTokens.add();
    if (token.drafts) {
      result.drafts.proposed += token.drafts.proposed;
      result.drafts.accepted += token.drafts.accepted;
      metrics.draftedTokens.add(token.drafts.proposed);
      metrics.acceptedTokens.add(token.drafts.accepted);
    }
    yield token;
  }
}

export interface BeamRun extends Pick<TextRun, "prompt" | "model" | "salt" | "maxTokens"> {
  readonly beams: number;
  readonly nBest: number;
}

/** The likeliest texts that follow one prompt, by beam search. */
export async function beamTexts(
  service: Service,
  caller: Caller,
  { prompt, model: name, salt, maxTokens, beams, nBest }: BeamRun,
  body: Parsed<typeof completionFields>,
): Promise<{ readonly results: BeamResult[]; readonly cached: number }> {
  const { metrics } = service;
  const model = service.generation(name);
  const stop = stopList(body.stop);
  if (stop.length > 0 && !model.text) throw invalid("stop", "the model has no tokenizer for stop strings");
  const { presencePenalty, frequencyPenalty, logitBias, badWords, allowedIds, minNewTokens, ...rest } = samplingOptions(
    service,
    body,
  );
  const { dryMultiplier, dryBase, dryAllowedLength, dryBreakers, repetitionPenalty, stopTokens } = rest;
  let cached = 0;
  const started = (tokens: number): void => {
    cached = tokens;
    metrics.queue.observe((performance.now() - caller.start) / 1000);
    metrics.promptTokens.add(prompt.length);
    metrics.cachedTokens.add(tokens);
  };
  const settings = beamSettings({
    ...{ presencePenalty, frequencyPenalty, logitBias, badWords, allowedIds, minNewTokens },
    ...{ dryMultiplier, dryBase, dryAllowedLength, dryBreakers, repetitionPenalty, stopTokens, stop, beams, nBest },
    lengthPenalty: body.length_penalty,
    earlyStopping: body.early_stopping,
    groups: body.beam_groups,
    diversityPenalty: body.diversity_penalty,
    maxNewTokens: maxTokens,
    stopAtEndOfText: !body.ignore_eos,
    priority: body.priority,
    scope: `${caller.key} ${salt}`,
    signal: caller.signal,
  });
  const results = await beamSearch(model, prompt, { ...settings, started });
  metrics.generatedTokens.add(results.reduce((sum, { tokens }) => sum + tokens.length, 0));
  return { results, cached };
}

/** Why a text ended, in OpenAI's terms. */
export const finishReason = (reason: FinishReason): "stop" | "length" =>
  reason === "stop" || reason === "endoftext" ? "stop" : "length";

export const stopList = (stop: string | readonly string[] | undefined): readonly string[] =>
  stop === undefined ? [] : typeof stop === "string" ? [stop] : stop;

export interface Usage {
  prompt: number;
  completion: number;
  cached: number;
  /** Tokens drafted, and accepted of them. */
  readonly drafts: { proposed: number; accepted: number };
}

export const newUsage = (prompt: number): Usage => {
  return { prompt, completion: 0, cached: 0, drafts: { proposed: 0, accepted: 0 } };
};

/** Adds what a run reported, once it is complete. */
export function addReport(usage: Usage, report: RunReport | undefined): void {
  usage.cached += report?.cached ?? 0;
  usage.drafts.proposed += report?.drafts.proposed ?? 0;
  usage.drafts.accepted += report?.drafts.accepted ?? 0;
}

export function usageOf({ prompt, completion, cached, drafts: { proposed, accepted } }: Usage) {
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached },
    ...(proposed > 0 && {
      completion_tokens_details: {
        accepted_prediction_tokens: accepted,
        rejected_prediction_tokens: proposed - accepted,
      },
    }),
  };
}
