import type { Backward } from "./architecture.js";
import type { ModelConfig } from "./config.js";
import { backward as gptNeo } from "./gpt-neo/backward.js";
import { backward as gpt2 } from "./gpt2/backward.js";

/** Backward passes, apart from the forward ones because only training loads them. */
const BACKWARD: Readonly<Record<string, Backward<never, never>>> = { gpt2, "gpt-neo": gptNeo };

export const backwardOf = ({ architecture }: ModelConfig): Backward => BACKWARD[architecture] as Backward;
