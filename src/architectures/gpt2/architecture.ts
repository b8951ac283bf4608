import type { Architecture } from "../architecture.js";
import type { PreNormActivations } from "../pre-norm/activations.js";
import { preNormForward } from "../pre-norm/forward.js";
import { GPT2_ATTENTION } from "./attention.js";
import { GPT2_PRESETS, type GPT2Config, gpt2Config } from "./config.js";
import { gpt2Tensors } from "./tensors.js";

/** GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"). */
export const GPT2: Architecture<GPT2Config, PreNormActivations> = {
  name: "gpt2",
  label: "GPT-2",
  attention: "causal",
  pooling: { embedding: "mean", task: "last" },
  extraInputs: [],
  prefix: "transformer.",
  presets: GPT2_PRESETS,
  linear: ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"],
  complete: gpt2Config,
  tensors: gpt2Tensors,
  block: (layer) => `h.${layer}`,
  head: ({ tieWordEmbeddings }) => (tieWordEmbeddings ? "wte.weight" : "lm_head.weight"),
  window: () => undefined,
  differences: ({ activation, tieWordEmbeddings, scaleAttnWeights, scaleAttnByInverseLayerIdx }) => [
    ...(activation === "gelu_new" ? [] : [`activation ${activation}`]),
    ...(tieWordEmbeddings ? [] : ["an untied output head"]),
    ...(scaleAttnWeights ? [] : ["attention scores not divided by the root of the head size"]),
    ...(scaleAttnByInverseLayerIdx ? ["attention scores divided by the layer's number"] : []),
  ],
  forward: preNormForward(GPT2_ATTENTION),
};
