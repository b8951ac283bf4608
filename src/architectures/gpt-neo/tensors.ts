import { normSpecs, type TensorSpec, vectorSpec } from "../tensor-spec.js";
import type { GPTNeoConfig } from "./config.js";

/**
 * Every tensor of a GPT-Neo, in checkpoint order. Unlike GPT-2's, its files hold matrices as [out, in]. All matrices are
 * initialized with N(0, 0.02), as in transformers.
 */
export function gptNeoTensors(config: GPTNeoConfig): TensorSpec[] {
  const { vocabSize: V, nCtx, nEmbd: C, nInner: F, nLayer } = config;
  const matrix = (name: string, out: number, width: number, layer: number): TensorSpec => {
    return { name, shape: [out, width], conv1d: false, init: "normal", decay: true, layer };
  };
  const table: TensorSpec[] = [matrix("wte.weight", V, C, -1), { ...matrix("wpe.weight", nCtx, C, -1), f32: true }];
  for (let layer = 0; layer < nLayer; layer++) {
    const h = `h.${layer}`;
    const attention = `${h}.attn.attention`;
    table.push(
      ...normSpecs(`${h}.ln_1`, C, layer),
      matrix(`${attention}.q_proj.weight`, C, C, layer),
      matrix(`${attention}.k_proj.weight`, C, C, layer),
      matrix(`${attention}.v_proj.weight`, C, C, layer),
      matrix(`${attention}.out_proj.weight`, C, C, layer),
      vectorSpec(`${attention}.out_proj.bias`, C, layer),
      ...normSpecs(`${h}.ln_2`, C, layer),
      matrix(`${h}.mlp.c_fc.weight`, F, C, layer),
      vectorSpec(`${h}.mlp.c_fc.bias`, F, layer),
      matrix(`${h}.mlp.c_proj.weight`, C, F, layer),
      vectorSpec(`${h}.mlp.c_proj.bias`, C, layer),
    );
  }
  table.push(...normSpecs("ln_f", C, -1));
  if (!config.tieWordEmbeddings) table.push(matrix("lm_head.weight", V, C, -1));
  return table;
}
