import type { Backward } from "./architecture.js";
import { backward as bert } from "./bert/backward.js";
import type { ModelConfig } from "./config.js";
import { GPT_NEO_ATTENTION } from "./gpt-neo/attention.js";
import { GPT2_ATTENTION } from "./gpt2/attention.js";
import { preNormBackward } from "./pre-norm/backward.js";

/** Backward passes, apart from the forward ones because only training loads them. */
export const BACKWARDS: ReadonlyMap<string, Backward> = new Map(
  Object.entries({
    gpt2: preNormBackward(GPT2_ATTENTION),
    "gpt-neo": preNormBackward(GPT_NEO_ATTENTION),
    bert,
  } as unknown as Record<string, Backward>),
);

export const backwardOf = ({ architecture }: ModelConfig): Backward => BACKWARDS.get(architecture)!;
