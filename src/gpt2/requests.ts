import type { GenerationModel } from "../generate/generate.js";
import { runGenerations } from "../generate/generate-until.js";
import { runLogLikelihoods } from "../generate/log-likelihood.js";
import type {
  GenerateUntilRequest,
  Generation,
  LogLikelihood,
  LogLikelihoodRequest,
  RunOptions,
} from "../generate/requests.js";
import { encodePair } from "../tokenizer/encode-pair.js";
import { checkOptionNames } from "../util/nearest.js";
import type { AdapterOption, TextOrIds } from "./options.js";
import type { TextIds } from "./text-ids.js";

type Options = RunOptions & AdapterOption;

const OPTIONS = { signal: true, onProgress: true, adapter: true } as const;

/** See `GPT2.logLikelihoods`. */
export async function logLikelihoods(
  { engine, vocabLimit, adapter }: GenerationModel,
  ids: TextIds,
  requests: readonly LogLikelihoodRequest<TextOrIds>[],
  options: Options,
): Promise<LogLikelihood[]> {
  checkOptionNames<Options>("log-likelihoods", options, OPTIONS);
  const encoded = requests.map((request) => ({ ...request, ...ids.encodePair(request, encodePair) }));
  return runLogLikelihoods(engine, encoded, { ...options, vocabLimit, adapter });
}

/** See `GPT2.generateUntil`. */
export async function generateUntil(
  { engine, vocabLimit, eosTokenIds, adapter }: GenerationModel,
  ids: TextIds,
  requests: readonly GenerateUntilRequest<TextOrIds>[],
  options: Options,
): Promise<Generation[]> {
  checkOptionNames<Options>("generating until a stop", options, OPTIONS);
  const tokenizer = ids.needTokenizer("generating until a stop");
  const encoded = requests.map((request) => ({ ...request, prompt: ids.encodePrompt(request.prompt) }));
  return runGenerations(engine, encoded, {
    ...options,
    vocabLimit,
    eosTokenIds,
    adapter,
    text: (stop) => tokenizer.textStream(stop),
  });
}
