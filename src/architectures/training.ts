import type { Backward } from "./architecture.js";
import type { ModelConfig } from "./config.js";
import { backward as gptNeo } from "./gpt-neo/backward.js";
import { backward as gpt2 } from "./gpt2/backward.js";

/** Backward passes, apart from the forward ones because only training loads them. */
export const BACKWARDS: ReadonlyMap<string, Backward> = new Map(
  Object.entries({ gpt2, "gpt-neo": gptNeo } as unknown as Record<string, Backward>),
);

export const backwardOf = ({ architecture }: ModelConfig): Backward => BACKWARDS.get(architecture)!;
