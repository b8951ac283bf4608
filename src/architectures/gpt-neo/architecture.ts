import type { Architecture } from "../architecture.js";
import type { PreNormActivations } from "../pre-norm/activations.js";
import { preNormForward } from "../pre-norm/forward.js";
import { GPT_NEO_ATTENTION } from "./attention.js";
import { GPT_NEO_PRESETS, type GPTNeoConfig, gptNeoConfig } from "./config.js";
import { gptNeoTensors } from "./tensors.js";

/** GPT-Neo (Black et al. 2021, "GPT-Neo: Large Scale Autoregressive Language Modeling with Mesh-Tensorflow"). */
export const GPTNeo: Architecture<GPTNeoConfig, PreNormActivations> = {
  name: "gpt-neo",
  label: "GPT-Neo",
  attention: "causal",
  pooling: { embedding: "mean", task: "last" },
  extraInputs: [],
  prefix: "transformer.",
  presets: GPT_NEO_PRESETS,
  linear: [
    ...["q_proj", "k_proj", "v_proj", "out_proj"].map((name) => `attn.attention.${name}`),
    ...["mlp.c_fc", "mlp.c_proj"],
  ],
  complete: gptNeoConfig,
  tensors: gptNeoTensors,
  block: (layer) => `h.${layer}`,
  head: ({ tieWordEmbeddings }) => (tieWordEmbeddings ? "wte.weight" : "lm_head.weight"),
  window: ({ attentionLayers, windowSize }, layer) => (attentionLayers[layer] === "local" ? windowSize : undefined),
  differences: ({ activation, tieWordEmbeddings, attentionLayers, windowSize }) => [
    ...(activation === "gelu_new" ? [] : [`activation ${activation}`]),
    ...(tieWordEmbeddings ? [] : ["an untied output head"]),
    ...(attentionLayers.every((type, i) => type === (i % 2 === 0 ? "global" : "local"))
      ? []
      : [`attention ${attentionLayers.join(", ")}`]),
    ...(windowSize === 256 ? [] : [`a local window of ${windowSize}`]),
  ],
  forward: preNormForward(GPT_NEO_ATTENTION),
};
