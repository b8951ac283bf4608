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

/** What tasks ask of a model; {@link GPT2} is one. */
export interface PromptedModel {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer | undefined;
  /** Id of the token that starts every text. */
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

/** Of tasks whose result the model writes. */
export interface WritingOptions extends TaskOptions {
  /** Tokens that it writes at most; the prompt has the rest of the context. By default as the task has it. */
  readonly maxNewTokens?: number | undefined;
}

/** What came of a task. */
export interface TaskOutput {
  /** The result: of what the model wrote the part that counts. */
  readonly text: string;
  /** All that the model read. */
  readonly prompt: string;
  /** All that the model wrote, without the stop string. */
  readonly written: string;
  /** Natural logarithm of the probability of what it wrote, its end included. */
  readonly logprob: number;
  /** How many tokens that were. */
  readonly tokens: number;
  /** What had no room in the prompt. */
  readonly omitted: Omitted;
  /** Of what was drawn; undefined where the likeliest token was taken each time. */
  readonly seed: number | undefined;
}

/** How a task's result is written. */
export interface Writing {
  readonly maxNewTokens: number;
  /** Where it ends. */
  readonly until?: readonly string[];
  /** Drawn from so many of the likeliest tokens; without, the likeliest is taken. */
  readonly topK?: number;
}

export interface WriteOptions extends WritingOptions {
  readonly seed?: number | undefined;
  /** Of a document that does not fit, read the beginning. */
  readonly truncate?: boolean | undefined;
}

/**
 * Writes after a prompt.
 *
 * @param task for messages.
 * @param read the part that counts of what was written.
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
    reason: `the model's context of ${nCtx} less ${maxNewTokens} to be written`,
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

/** @throws {UsageError} there is nothing in it. */
export function needText(text: string, task: string, what: string): string {
  if (text.trim() !== "") return text;
  throw new UsageError({ op: task, expected: what, got: "none" });
}
