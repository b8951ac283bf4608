/**
 * A minimal encoder, as different from GPT-2 as possible: bidirectional, with layer norms after the sums, token types
 * and the exact GELU. It shows that an architecture needs only its own folder and its lines in the registries.
 */
import { type AdaptedLinear, adaptedBackward, adaptedForward } from "../../src/architectures/adapted-linear.js";
import type { Activations, Architecture, Backward } from "../../src/architectures/architecture.js";
import {
  type Mlp,
  mlpBackward,
  mlpForward,
  type Projection,
  projectBackward,
  projectForward,
} from "../../src/architectures/blocks.js";
import { checkedConfig, type ModelConfig } from "../../src/architectures/config.js";
import {
  type Attention,
  attentionBackward,
  attentionForward,
  type Layernorm,
  layernormBackward,
  layernormForward,
  NO_DROPOUT,
  packedQkv,
} from "../../src/architectures/layers.js";
import { affine, type Leaves, linear } from "../../src/architectures/params.js";
import { ARCHITECTURES } from "../../src/architectures/registry.js";
import { normSpecs, type TensorSpec, vectorSpec } from "../../src/architectures/tensor-spec.js";
import { BACKWARDS } from "../../src/architectures/training.js";

export interface ToyConfig extends ModelConfig {
  readonly architecture: "toy-encoder";
  readonly tokenTypes: number;
}

interface ToyActivations extends Activations {
  readonly embedding: Layernorm;
  readonly h: readonly {
    readonly qkv: AdaptedLinear;
    readonly attn: Attention;
    readonly proj: Projection;
    readonly norm1: Layernorm;
    readonly mlp: Mlp;
    readonly norm2: Layernorm;
  }[];
}

const matrix = (name: string, out: number, width: number, layer: number): TensorSpec => {
  return { name: `${name}.weight`, shape: [out, width], conv1d: false, init: "normal", decay: true, layer };
};

const params = <T, L>(leaves: Leaves<T, L>, { nLayer }: ToyConfig) => ({
  words: leaves.tensor("words.weight"),
  positions: leaves.tensor("positions.weight"),
  types: leaves.tensor("types.weight"),
  norm: affine(leaves, "norm"),
  h: Array.from({ length: nLayer }, (_, i) => ({
    qkv: linear(leaves, `layer.${i}.qkv`),
    proj: linear(leaves, `layer.${i}.proj`),
    norm1: affine(leaves, `layer.${i}.norm1`),
    mlp: { cFc: linear(leaves, `layer.${i}.up`), cProj: linear(leaves, `layer.${i}.down`) },
    norm2: affine(leaves, `layer.${i}.norm2`),
  })),
});

const attentionOf = ({ nHead, nEmbd }: ToyConfig) => {
  return { nHead, width: nEmbd, scale: 1 / Math.sqrt(nEmbd / nHead), drop: NO_DROPOUT };
};

const TOY: Architecture<ToyConfig, ToyActivations> = {
  name: "toy-encoder",
  label: "toy encoder",
  attention: "bidirectional",
  pooling: { embedding: "first", task: "first" },
  extraInputs: ["tokenTypes"],
  prefix: "toy.",
  presets: {},
  linear: ["qkv", "proj", "up", "down"],
  complete: (fields) => {
    const common = { architecture: "toy-encoder", tokenTypes: 2, layerNormEpsilon: 1e-12, activation: "gelu" } as const;
    const sizes = { vocabSize: 11, nCtx: 8, nEmbd: 6, nLayer: 2, nHead: 2, nInner: 9, tieWordEmbeddings: true };
    return checkedConfig({ ...common, ...sizes, ...fields }, "toy encoder");
  },
  tensors: ({ vocabSize, nCtx, nEmbd: C, nInner: F, nLayer, tokenTypes }) => [
    matrix("words", vocabSize, C, -1),
    { ...matrix("positions", nCtx, C, -1), f32: true },
    { ...matrix("types", tokenTypes, C, -1), f32: true },
    ...normSpecs("norm", C, -1),
    ...Array.from({ length: nLayer }, (_, i) => {
      const layers = { qkv: [3 * C, C], proj: [C, C], up: [F, C], down: [C, F] } as const;
      const linears = Object.entries(layers).flatMap(([name, [out, width]]) => [
        matrix(`layer.${i}.${name}`, out, width, i),
        vectorSpec(`layer.${i}.${name}.bias`, out, i),
      ]);
      return [...linears, ...normSpecs(`layer.${i}.norm1`, C, i), ...normSpecs(`layer.${i}.norm2`, C, i)];
    }).flat(),
  ],
  block: (layer) => `layer.${layer}`,
  head: () => "words.weight",
  window: () => undefined,
  differences: () => [],

  forward: (k, config, leaves, io) => {
    const { nEmbd: C, activation, layerNormEpsilon: eps } = config;
    const { tokens, positions } = io;
    const N = tokens.shape[0]!;
    const p = params(leaves, config);
    const [words, types, sum] = ["words", "types", "sum"].map((name) => k.temp(name, [N, C]));
    const tables = { wte: p.words, wpe: p.positions };
    k.op("embeddingForward", "words", { out: words!, tokens, positions, ...tables }, { N, C }, {});
    k.op("gatherRows", "types", { out: types!, x: p.types, index: io.extra("tokenTypes") }, { N, W: C }, {});
    k.op("add", "sum", { out: sum!, a: words!, b: types! }, { N, C }, {});
    const embedding = layernormForward(k, "norm", sum!, p.norm, eps);
    let x = embedding.out;
    const h = p.h.map((block, i) => {
      const name = `layer.${i}`;
      const qkv = adaptedForward(k, `${name}.qkv`, x, block.qkv);
      const attention = { ...attentionOf(config), see: io.visible(i) };
      const attn = attentionForward(k, `${name}.attn`, packedQkv(qkv.out, C), attention);
      const proj = projectForward(k, `${name}.proj`, attn.out, block.proj, x, NO_DROPOUT);
      const norm1 = layernormForward(k, `${name}.norm1`, proj.out, block.norm1, eps);
      const mlp = mlpForward(k, `${name}.mlp`, norm1.out, block.mlp, activation, norm1.out, NO_DROPOUT);
      const norm2 = layernormForward(k, `${name}.norm2`, mlp.proj.out, block.norm2, eps);
      x = norm2.out;
      return { qkv, attn, proj, norm1, mlp, norm2 };
    });
    return { hidden: x, embedding, h };
  },
};

const backward: Backward<ToyConfig, ToyActivations> = (k, config, leaves, gradients, io, a, dhidden) => {
  const { nEmbd: C, activation } = config;
  const [p, g] = [params(leaves, config), params(gradients, config)];
  const N = io.tokens.shape[0]!;
  let dout = dhidden;
  for (let i = config.nLayer - 1; i >= 0; i--) {
    const [name, act, block, grad] = [`layer.${i}`, a.h[i]!, p.h[i]!, g.h[i]!];
    // At each sum the gradient continues both to the residual and through the layer.
    const dsum2 = k.temp(`${name}.dsum2`, [N, C]);
    layernormBackward(k, `${name}.norm2`, act.norm2, dout, dsum2, block.norm2, grad.norm2, true);
    const dmlp = mlpBackward(k, `${name}.mlp`, act.mlp, dsum2, block.mlp, grad.mlp, activation, NO_DROPOUT);
    k.op("add", `${name}.dnorm1`, { out: dmlp, a: dmlp, b: dsum2 }, { N, C }, {});
    const dsum1 = k.temp(`${name}.dsum1`, [N, C]);
    layernormBackward(k, `${name}.norm1`, act.norm1, dmlp, dsum1, block.norm1, grad.norm1, true);
    const datt = projectBackward(k, `${name}.proj`, act.proj, dsum1, block.proj, grad.proj, NO_DROPOUT);
    const dqkv = k.temp(`${name}.dqkv`, [N, 3 * C]);
    const [qkv, d] = [packedQkv(act.qkv.out, C), packedQkv(dqkv, C)];
    const attention = { ...attentionOf(config), see: io.visible(i) };
    attentionBackward(k, `${name}.attn`, qkv, d, act.attn, datt, attention);
    adaptedBackward(k, `${name}.qkv`, act.qkv, dqkv, block.qkv, grad.qkv, { addTo: dsum1 });
    dout = dsum1;
  }
  const dx = k.temp("dembedding", [N, C]);
  layernormBackward(k, "norm", a.embedding, dout, dx, p.norm, g.norm, true);
  const { tokens, positions } = io;
  const tables = { dwte: g.words, dwpe: g.positions };
  k.op("embeddingBackward", "words", { ...tables, dout: dx, tokens, positions }, { N, C }, {});
  k.op(
    "embeddingBackward",
    "types",
    { dwte: g.types, dout: dx, tokens: io.extra("tokenTypes"), positions },
    { N, C },
    {},
  );
};

/** Adds it to the registries, as a line there would. */
export function registerToyEncoder(): Architecture<ToyConfig, ToyActivations> {
  (ARCHITECTURES as Map<string, unknown>).set(TOY.name, TOY);
  (BACKWARDS as Map<string, unknown>).set(TOY.name, backward);
  return TOY;
}
