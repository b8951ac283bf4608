import { normSpecs, type TensorSpec, vectorSpec } from "../tensor-spec.js";
import type { GPT2Config } from "./config.js";

/**
 * Every tensor of a GPT-2, in checkpoint order: wte, wpe, each layer from bottom to top, the final layer norm, the output
 * head if it is not wte.
 */
export function gpt2Tensors(config: GPT2Config): TensorSpec[] {
  const { vocabSize: V, nCtx, nEmbd: C, nInner: F, nLayer } = config;
  const matrix = { conv1d: true, init: "normal", decay: true } as const;
  const table: TensorSpec[] = [
    { name: "wte.weight", shape: [V, C], conv1d: false, init: "normal", decay: true, layer: -1 },
    { name: "wpe.weight", shape: [nCtx, C], conv1d: false, init: "position", decay: true, layer: -1, f32: true },
  ];
  for (let layer = 0; layer < nLayer; layer++) {
    const h = `h.${layer}`;
    table.push(
      ...normSpecs(`${h}.ln_1`, C, layer),
      { name: `${h}.attn.c_attn.weight`, shape: [3 * C, C], ...matrix, stacked: 3, layer },
      vectorSpec(`${h}.attn.c_attn.bias`, 3 * C, layer),
      { name: `${h}.attn.c_proj.weight`, shape: [C, C], ...matrix, init: "residual", layer },
      vectorSpec(`${h}.attn.c_proj.bias`, C, layer),
      ...normSpecs(`${h}.ln_2`, C, layer),
      { name: `${h}.mlp.c_fc.weight`, shape: [F, C], ...matrix, layer },
      vectorSpec(`${h}.mlp.c_fc.bias`, F, layer),
      { name: `${h}.mlp.c_proj.weight`, shape: [C, F], ...matrix, init: "residual", layer },
      vectorSpec(`${h}.mlp.c_proj.bias`, C, layer),
    );
  }
  table.push(...normSpecs("ln_f", C, -1));
  if (!config.tieWordEmbeddings) {
    table.push({ name: "lm_head.weight", shape: [V, C], conv1d: false, init: "normal", decay: true, layer: -1 });
  }
  return table;
}
