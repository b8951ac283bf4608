import type { Recorder, Tensor } from "../../program/program.js";
import type { Adapter } from "../adapted-linear.js";
import type { Output } from "../architecture.js";
import { type Layernorm, layernormForward, linearForward } from "../layers.js";
import type { Affine, Leaves } from "../params.js";
import type { BertConfig } from "./config.js";
import { headParams } from "./params.js";

/** BERT's heads, applied to M hidden states x [M, C]. The pooler, and heads on it, are meant for first tokens. */

type Params = Leaves<Tensor, Adapter>;

/** Computes act(x W + b) into `out` [M, C]. @returns the preactivation */
export function pooledForward(k: Recorder, config: BertConfig, p: Params, x: Tensor, out: Tensor): Tensor {
  const preactivation = linearForward(k, "pooler.preact", x, headParams(config, p).pooler);
  const dims = { N: x.shape[0]!, C: config.nEmbd };
  k.op("activation", "pooler", { out, x: preactivation }, dims, { act: config.poolerActivation });
  return preactivation;
}

export interface Transformed {
  readonly preactivation: Tensor; // [M, C]
  readonly norm: Layernorm; // [M, C]
}

/** The decoder's input: norm(gelu(x W + b)). */
export function transformForward(k: Recorder, config: BertConfig, p: Params, x: Tensor): Transformed {
  const [M, C] = [x.shape[0]!, config.nEmbd];
  const { transform, transformNorm } = headParams(config, p);
  const preactivation = linearForward(k, "predictions.preact", x, transform);
  const activated = k.temp("predictions.gelu", [M, C]);
  k.op("activation", "predictions.gelu", { out: activated, x: preactivation }, { N: M, C }, { act: config.activation });
  return {
    preactivation,
    norm: layernormForward(k, "predictions.norm", activated, transformNorm, config.layerNormEpsilon),
  };
}

/** out = x W + b. */
function linearInto(k: Recorder, name: string, x: Tensor, { weight, bias }: Affine<Tensor>, out: Tensor): void {
  const [OC, IC] = weight.shape as [number, number];
  k.op("linearForward", name, { out, x, weight, bias }, { N: x.shape[0]!, IC, OC }, { act: "none" });
}

export const bertOutputs: Readonly<Record<"pooled" | "maskedTokens" | "nextSentence", Output<BertConfig>>> = {
  pooled: {
    width: ({ nEmbd }) => nEmbd,
    present: ({ pooler }) => pooler,
    forward: (k, config, p, x, out) => {
      pooledForward(k, config, p, x, out);
    },
  },
  maskedTokens: {
    width: ({ vocabSize }) => vocabSize,
    present: ({ maskedTokens }) => maskedTokens,
    forward: (k, config, p, x, out) => {
      const { norm } = transformForward(k, config, p, x);
      linearInto(k, "predictions", norm.out, headParams(config, p).decoder, out);
    },
  },
  nextSentence: {
    width: () => 2,
    present: ({ nextSentence }) => nextSentence,
    forward: (k, config, p, x, out) => {
      const pooled = k.temp("pooler", x.shape);
      pooledForward(k, config, p, x, pooled);
      linearInto(k, "next_sentence", pooled, headParams(config, p).nextSentence, out);
    },
  },
};
