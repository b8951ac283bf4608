import type { GPT2Config } from "./config.js";

/**
 * The one table of GPT-2's tensors. Allocation, checkpoint reading and writing, optimizer groups, initialisation and
 * tests all walk it. Names are Hugging Face's without their `transformer.` prefix; matrices are stored [out, in]
 * (llm.c's and GGUF's layout), which a Hugging Face Conv1D file holds transposed: `conv1d` marks those.
 */
export interface TensorSpec {
  /** `wte.weight`, `h.0.attn.c_attn.bias`, … */
  readonly name: string;
  readonly shape: readonly number[];
  /** A matrix that Hugging Face and OpenAI files hold as [in, out]. */
  readonly conv1d: boolean;
  /**
   * How it is initialised: the paper's ways, of which `residual` is `normal` scaled by 1/sqrt(2 nLayer); and `uniform`
   * within ±1/sqrt(in), for adapters.
   */
  readonly init: "normal" | "position" | "residual" | "zero" | "one" | "uniform";
  /** Whether AdamW decays it: matrices only. */
  readonly decay: boolean;
  /** The layer it belongs to, or -1. */
  readonly layer: number;
}

/**
 * Every tensor of a GPT-2, in checkpoint order: wte, wpe, each layer from bottom to top, the final layer norm, the output
 * head if it is not wte.
 */
export function tensorTable(config: GPT2Config): TensorSpec[] {
  const { vocabSize: V, nCtx, nEmbd: C, nInner: F, nLayer } = config;
  const matrix = { conv1d: true, init: "normal", decay: true } as const;
  const vector = { conv1d: false, init: "zero", decay: false } as const;
  const table: TensorSpec[] = [
    { name: "wte.weight", shape: [V, C], conv1d: false, init: "normal", decay: true, layer: -1 },
    { name: "wpe.weight", shape: [nCtx, C], conv1d: false, init: "position", decay: true, layer: -1 },
  ];
  for (let layer = 0; layer < nLayer; layer++) {
    const h = `h.${layer}`;
    table.push(
      { name: `${h}.ln_1.weight`, shape: [C], ...vector, init: "one", layer },
      { name: `${h}.ln_1.bias`, shape: [C], ...vector, layer },
      { name: `${h}.attn.c_attn.weight`, shape: [3 * C, C], ...matrix, layer },
      { name: `${h}.attn.c_attn.bias`, shape: [3 * C], ...vector, layer },
      { name: `${h}.attn.c_proj.weight`, shape: [C, C], ...matrix, init: "residual", layer },
      { name: `${h}.attn.c_proj.bias`, shape: [C], ...vector, layer },
      { name: `${h}.ln_2.weight`, shape: [C], ...vector, init: "one", layer },
      { name: `${h}.ln_2.bias`, shape: [C], ...vector, layer },
      { name: `${h}.mlp.c_fc.weight`, shape: [F, C], ...matrix, layer },
      { name: `${h}.mlp.c_fc.bias`, shape: [F], ...vector, layer },
      { name: `${h}.mlp.c_proj.weight`, shape: [C, F], ...matrix, init: "residual", layer },
      { name: `${h}.mlp.c_proj.bias`, shape: [C], ...vector, layer },
    );
  }
  table.push(
    { name: "ln_f.weight", shape: [C], ...vector, init: "one", layer: -1 },
    { name: "ln_f.bias", shape: [C], ...vector, layer: -1 },
  );
  if (!config.tieWordEmbeddings) {
    table.push({ name: "lm_head.weight", shape: [V, C], conv1d: false, init: "normal", decay: true, layer: -1 });
  }
  return table;
}

export function numel(shape: readonly number[]): number {
  return shape.reduce((n, d) => n * d, 1);
}

/** Parameters of a GPT-2 with this configuration; a head tied to wte is counted once. */
export function parameterCount(config: GPT2Config): number {
  return tensorTable(config).reduce((n, t) => n + numel(t.shape), 0);
}
