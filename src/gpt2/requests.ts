import type { GenerationModel } from "../generate/generate.js";
import { runGenerations } from "../generate/generate-until.js";
import { runLogLikelihoods } from "../generate/log-likelihood.js";
import type { GenerateUntilRequest, Generation, LogLikelihood, LogLikelihoodRequest } from "../generate/requests.js";
import type { TextOrIds } from "../model/options.js";
import type { TextIds } from "../model/text-ids.js";
import { encodePair } from "../tokenizer/encode-pair.js";
import { checkOptionNames } from "../util/nearest.js";
import type { RequestOptions } from "./options.js";

const OPTIONS = { scope: true, signal: true, onProgress: true, adapter: true } as const;

/**
 * See `GPT2.logLikelihoods`. A context and a continuation that are both text are cut into tokens together, as the LM
 * evaluation harness does; an empty context is `<|endoftext|>`. Only the end of a context that is too long is read.
 */
export async function logLikelihoods(
  { scheduler, vocabLimit, adapter }: GenerationModel,
  ids: TextIds,
  requests: readonly LogLikelihoodRequest<TextOrIds>[],
  options: RequestOptions,
): Promise<LogLikelihood[]> {
  checkOptionNames<RequestOptions>("log-likelihoods", options, OPTIONS);
  const encoded = requests.map((request) => ({ ...request, ...ids.encodePair(request, encodePair) }));
  return runLogLikelihoods(scheduler, encoded, { ...options, vocabLimit, adapter });
}

/** See `GPT2.generateUntil`. Only the end of a prompt that leaves no room is read. */
export async function generateUntil(
  { scheduler, vocabLimit, eosTokenIds, adapter }: GenerationModel,
  ids: TextIds,
  requests: readonly GenerateUntilRequest<TextOrIds>[],
  options: RequestOptions,
): Promise<Generation[]> {
  checkOptionNames<RequestOptions>("generating until a stop", options, OPTIONS);
  const tokenizer = ids.needTokenizer("generating until a stop");
  const encoded = requests.map((request) => ({ ...request, prompt: ids.encodePrompt(request.prompt) }));
  return runGenerations(scheduler, encoded, {
    ...options,
    vocabLimit,
    eosTokenIds,
    adapter,
    text: (stop) => tokenizer.textStream(stop),
  });
}
