import type { Dim, Recorder, Tensor } from "../../program/program.js";
import type { Adapter } from "../adapted-linear.js";
import type { Output } from "../architecture.js";
import { type Layernorm, layernormForward, linearForward } from "../layers.js";
import type { Leaves } from "../params.js";
import type { BertConfig } from "./config.js";
import { headParams } from "./params.js";

/** BERT's heads, applied to M hidden states; the pooled state and what reads it are meant for first tokens. */

type Params = Leaves<Tensor, Adapter>;
const size = (x: Tensor): { M: Dim; C: number } => ({ M: x.shape[0]!, C: x.shape[1] as number });

export interface Pooled {
  readonly preactivation: Tensor; // [M, C]
  readonly out: Tensor; // [M, C]
}

/** act(x W + b). */
export function pooledForward(k: Recorder, config: BertConfig, p: Params, x: Tensor): Pooled {
  const { M, C } = size(x);
  const preactivation = linearForward(k, "pooler.preact", x, headParams(config, p).pooler);
  const out = k.temp("pooler", [M, C]);
  k.op("activation", "pooler", { out, x: preactivation }, { N: M, C }, { act: config.poolerActivation });
  return { preactivation, out };
}

export interface Transformed {
  readonly preactivation: Tensor; // [M, C]
  readonly activated: Tensor; // [M, C]
  readonly norm: Layernorm; // [M, C]
}

/** The states that the decoder reads: norm(gelu(x W + b)). */
export function transformForward(k: Recorder, config: BertConfig, p: Params, x: Tensor): Transformed {
  const { M, C } = size(x);
  const { transform, transformNorm } = headParams(config, p);
  const preactivation = linearForward(k, "predictions.preact", x, transform);
  const activated = k.temp("predictions.gelu", [M, C]);
  k.op("activation", "predictions.gelu", { out: activated, x: preactivation }, { N: M, C }, { act: config.activation });
  const norm = layernormForward(k, "predictions.norm", activated, transformNorm, config.layerNormEpsilon);
  return { preactivation, activated, norm };
}

export const bertOutputs: Readonly<Record<string, Output<BertConfig>>> = {
  pooled: {
    width: ({ nEmbd }) => nEmbd,
    present: ({ pooler }) => pooler,
    forward: (k, config, p, x) => pooledForward(k, config, p, x).out,
  },
  maskedTokens: {
    width: ({ vocabSize }) => vocabSize,
    present: ({ maskedTokens }) => maskedTokens,
    forward: (k, config, p, x) => {
      const { norm } = transformForward(k, config, p, x);
      return linearForward(k, "predictions", norm.out, headParams(config, p).decoder);
    },
  },
  nextSentence: {
    width: () => 2,
    present: ({ nextSentence }) => nextSentence,
    forward: (k, config, p, x) => {
      return linearForward(k, "next_sentence", pooledForward(k, config, p, x).out, headParams(config, p).nextSentence);
    },
  },
};
