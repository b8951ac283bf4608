import type { ModelConfig } from "../architectures/config.js";
import { decodeProgram, type LossProgramOptions } from "../architectures/programs.js";
import { UsageError } from "../errors.js";
import { Engine } from "../generate/engine.js";
import { generateTokens } from "../generate/generate.js";
import { generateSettings } from "../generate/options.js";
import { Scheduler } from "../generate/scheduler.js";
import { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import { planMemory } from "../program/plan.js";
import { gpt2Tokenizer } from "../tokenizer/gpt2.js";
import { Tokenizer } from "../tokenizer/tokenizer.js";
import { readTokenizerJson } from "../tokenizer/tokenizer-json.js";
import { deriveKey } from "../util/random.js";
import type { ModelTrainer } from "./model-trainer.js";
import type { TrainingData } from "./training-data.js";

/** Capacity of a run: a sample is generated token by token, and prompts are short. */
const MAX_TOKENS = 16;
const SAMPLE_LABEL = 0x73616d70;

/** Memory of sampling in bytes: keys and values of one sequence, activations and logits of a run. */
export function samplerMemory(config: ModelConfig, { types, ranks }: LossProgramOptions = {}): number {
  const { nCtx, nEmbd: C, nLayer, vocabSize: V } = config;
  const shape = { maxTokens: MAX_TOKENS, maxLogits: MAX_TOKENS, cacheRows: nCtx };
  const program = decodeProgram(config, shape, { types, adapters: ranks ? [ranks] : [] });
  return 4 * (nLayer * nCtx * 2 * C + MAX_TOKENS * V) + planMemory(program).bytes;
}

/**
 * Writes samples with a model during training. It reads the model's parameters in place, and has its own random numbers, so
 * training is not affected.
 */
export class TextSampler {
  readonly #tokenizer: Tokenizer;
  readonly #prompt: (step: number) => readonly number[];
  #scheduler: Scheduler | undefined;
  #adapter: LoadedAdapter | undefined;

  /** @param prompt the prompt of a step's sample; none for a new text */
  constructor(tokenizer: Tokenizer, prompt: (step: number) => readonly number[]) {
    this.#tokenizer = tokenizer;
    this.#prompt = prompt;
  }

  /**
   * Returns the prompt and the model's continuation. The same step and seed give the same random numbers.
   *
   * @param step optimizer steps done
   * @throws the signal's reason, if it is aborted.
   */
  async sample(model: ModelTrainer, step: number, signal?: AbortSignal): Promise<string> {
    const { backend, config, settings, weights, lora, trained } = model;
    this.#scheduler ??= new Scheduler(new Engine(backend, config, weights, { maxTokens: MAX_TOKENS }), {
      prefixCache: false, // the weights change
    });
    this.#adapter ??= lora && new LoadedAdapter(backend, lora.ranks, trained, () => lora.scale);
    const tokenizer = this.#tokenizer;
    const from = {
      scheduler: this.#scheduler,
      adapter: this.#adapter,
      vocabLimit: Math.min(tokenizer.vocabSize, config.vocabSize),
      endOfText: tokenizer.endOfText,
      eosTokenIds: tokenizer.endOfText === undefined ? [] : [tokenizer.endOfText],
      text: () => tokenizer.textStream(),
    };
    const options = generateSettings({
      maxNewTokens: settings.sampleTokens,
      seed: deriveKey(settings.seed, SAMPLE_LABEL, step),
      truncatePrompt: true,
      signal,
    });
    const prompt = this.#prompt(step);
    let text = tokenizer.decode(prompt);
    for await (const piece of generateTokens(from, prompt, options)) text += piece.text;
    return text;
  }

  /** Waits for the current sample, then releases the cache. The parameters belong to the trainer. */
  async dispose(): Promise<void> {
    await this.#scheduler?.dispose();
    this.#adapter?.gains.dispose();
    this.#scheduler = undefined;
    this.#adapter = undefined;
  }
}

/** The size of GPT-2's vocabulary. Some models pad it up to the next multiple of 128. */
const GPT2_VOCABULARY = 50257;
const GPT2_VOCABULARY_PADDED = 50304;

/** GPT-2's tokenizer, if the vocabulary has its size. */
export async function gpt2TokenizerFor({ vocabSize }: ModelConfig): Promise<Tokenizer | undefined> {
  return vocabSize >= GPT2_VOCABULARY && vocabSize <= GPT2_VOCABULARY_PADDED ? gpt2Tokenizer() : undefined;
}

export interface SamplerOptions {
  /** Prompt of samples. Default: the data's, or none. */
  readonly prompt: string | undefined;
  /** Whether samples were requested explicitly. */
  readonly wanted: boolean;
}

/**
 * The sampler of a run, with the data's own tokenizer or GPT-2's; undefined if there is none and no samples were requested.
 *
 * @throws {UsageError} samples were requested, and there is no tokenizer.
 */
export async function samplerFor(
  config: ModelConfig,
  { path, tokenizer: json, promptOf }: TrainingData,
  { prompt, wanted }: SamplerOptions,
): Promise<TextSampler | undefined> {
  const own = json === undefined ? undefined : new Tokenizer(readTokenizerJson(json, path));
  const tokenizer = own ?? (await gpt2TokenizerFor(config));
  if (tokenizer && prompt === undefined && promptOf) return new TextSampler(tokenizer, promptOf);
  if (tokenizer) return new TextSampler(tokenizer, () => Array.from(tokenizer.encode(prompt ?? "")));
  if (!wanted) return undefined;
  throw new UsageError({
    op: "training: sampleEvery",
    expected: "a tokenizer.json beside the data, to write samples with",
    got: `none, and a vocabulary of ${config.vocabSize}, which is not GPT-2's`,
    hint: "Set it to 0, or make the data with `gpt2 data`",
  });
}
