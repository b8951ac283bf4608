import type { ModelConfig } from "../architectures/config.js";
import { TokenizerError, UsageError } from "../errors.js";
import { generateSettings } from "../generate/options.js";
import type {
  GenerateUntilRequest,
  Generation,
  LogLikelihood,
  LogLikelihoodRequest,
  RunOptions,
} from "../generate/requests.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { fitPrompt, type Omitted, type PromptParts } from "./fit-prompt.js";

/** The methods of a model that tasks need; {@link GPT2} has them. */
export interface PromptedModel {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer | undefined;
  /** Id of the token before each text. */
  readonly endOfText: number | undefined;
  logLikelihoods(
    requests: readonly LogLikelihoodRequest[],
    options?: RunOptions & TaskOptions,
  ): Promise<LogLikelihood[]>;
  generateUntil(requests: readonly GenerateUntilRequest[], options?: RunOptions & TaskOptions): Promise<Generation[]>;
}

export interface TaskOptions {
  /** Name of a loaded LoRA adapter, or null for the model as it is; by default the adapter `default`, if there is one. */
  readonly adapter?: string | null | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Options of tasks whose result is generated. */
export interface WritingOptions extends TaskOptions {
  /** Most tokens to generate; the prompt has the rest of the context. Default: the task's. */
  readonly maxNewTokens?: number | undefined;
}

/** Result of a task. */
export interface TaskOutput {
  /** The result: the part of the generated text that counts. */
  readonly text: string;
  /** The prompt. */
  readonly prompt: string;
  /** All generated text, without the stop string. */
  readonly written: string;
  /** Natural logarithm of the probability of all generated tokens. */
  readonly logprob: number;
  /** Number of generated tokens. */
  readonly tokens: number;
  /** Parts of the prompt that did not fit. */
  readonly omitted: Omitted;
  /** Seed of the sampling; undefined for greedy decoding. */
  readonly seed: number | undefined;
}

/** How a task's result is generated. */
export interface Writing {
  readonly maxNewTokens: number;
  /** Stop strings. */
  readonly until?: readonly string[];
  /** Sample from so many of the likeliest tokens; without, greedy decoding. */
  readonly topK?: number;
}

export interface WriteOptions extends WritingOptions {
  readonly seed?: number | undefined;
  /** Cut a document that does not fit, instead of refusing it. */
  readonly truncate?: boolean | undefined;
}

/**
 * Generates text after a prompt.
 *
 * @param task for messages
 * @param read extracts the part of the generated text that counts
 * @throws {ContextLengthError} the prompt does not fit.
 * @throws {TokenizerError} the model has no tokenizer.
 */
export async function writeAfter(
  model: PromptedModel,
  task: string,
  parts: PromptParts,
  { topK = 1, until, ...writing }: Writing,
  { adapter, signal, truncate = false, ...options }: WriteOptions,
  read: (written: string) => string,
): Promise<TaskOutput> {
  const { maxNewTokens = writing.maxNewTokens } = options;
  const { seed } = generateSettings({ maxNewTokens, topK, seed: options.seed });
  const { nCtx } = model.config;
  const prompt = fitPrompt(needTokenizer(model, task), parts, {
    op: `${task}: prompt`,
    room: nCtx - maxNewTokens,
    reason: `the model's context of ${nCtx} less ${maxNewTokens} to generate`,
    truncate,
  });
  const request = { prompt: prompt.ids, maxNewTokens, topK, seed, ...(until && { until }) };
  const [generation] = await model.generateUntil([request], { adapter, signal });
  const { text: written, logprob, tokens } = generation!;
  const { text, omitted } = prompt;
  return { text: read(written), prompt: text, written, logprob, tokens, omitted, seed: topK === 1 ? undefined : seed };
}

/** @throws {TokenizerError} there is none. */
export function needTokenizer({ tokenizer }: PromptedModel, task: string): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new TokenizerError({ op: task, expected: "a model with a tokenizer", got: "none" });
}

/** @throws {UsageError} the text is empty. */
export function needText(text: string, task: string, what: string): string {
  if (text.trim() !== "") return text;
  throw new UsageError({ op: task, expected: what, got: "none" });
}
