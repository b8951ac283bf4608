import {
  LLMC_HEADER_BYTES,
  type LlmcDims,
  type LlmcModel,
  type LlmcName,
  paddedVocabulary,
} from "../../../checkpoint/llmc.js";
import { FLOAT_BYTES } from "../../../dtype/floats.js";
import { ConfigError } from "../../../errors.js";
import { type LlmcMapping, namingFile } from "../../mapping.js";
import { numel, type TensorSpec } from "../../tensor-spec.js";
import { type GPT2Config, gpt2Config } from "../config.js";

/** GPT-2 in llm.c's model files. */

/** The epsilon built into llm.c's layer norms. Its feed-forward layers are 4C wide. */
const EPSILON = 1e-5;

/** The other settings that llm.c has built in. */
const BUILT_IN = [
  ["activation", "gelu_new"],
  ["tieWordEmbeddings", true],
  ["scaleAttnWeights", true],
  ["scaleAttnByInverseLayerIdx", false],
] as const satisfies readonly (readonly [keyof GPT2Config, unknown])[];

const NAMES: Readonly<Record<string, LlmcName>> = {
  "wte.weight": "wte",
  "wpe.weight": "wpe",
  "ln_1.weight": "ln1w",
  "ln_1.bias": "ln1b",
  "attn.c_attn.weight": "qkvw",
  "attn.c_attn.bias": "qkvb",
  "attn.c_proj.weight": "attprojw",
  "attn.c_proj.bias": "attprojb",
  "ln_2.weight": "ln2w",
  "ln_2.bias": "ln2b",
  "mlp.c_fc.weight": "fcw",
  "mlp.c_fc.bias": "fcb",
  "mlp.c_proj.weight": "fcprojw",
  "mlp.c_proj.bias": "fcprojb",
  "ln_f.weight": "lnfw",
  "ln_f.bias": "lnfb",
};

function offset({ name, layer }: TensorSpec, { tensors, dtype }: Pick<LlmcModel, "tensors" | "dtype">): number {
  const suffix = layer < 0 ? name : name.slice(`h.${layer}.`.length);
  const { offset, shape } = tensors.get(NAMES[suffix]!)!;
  return LLMC_HEADER_BYTES + FLOAT_BYTES[dtype] * (offset + Math.max(layer, 0) * numel(shape));
}

function readConfig({ dims, source }: LlmcModel): GPT2Config {
  const { V, maxT, C, L, NH } = dims;
  return namingFile(source.name, () =>
    gpt2Config({ vocabSize: V, nCtx: maxT, nEmbd: C, nLayer: L, nHead: NH, layerNormEpsilon: EPSILON }),
  );
}

function writeConfig(config: GPT2Config, file: string): LlmcDims {
  const op = `writing ${file}: llm.c format`;
  if (config.nInner !== 4 * config.nEmbd) {
    throw new ConfigError({ op, expected: `nInner = 4 nEmbd = ${4 * config.nEmbd}`, got: `${config.nInner}` });
  }
  for (const [key, value] of BUILT_IN) {
    if (config[key] !== value) throw new ConfigError({ op, expected: `${key} = ${value}`, got: `${config[key]}` });
  }
  // Compared as float32, because other programs may store it so.
  if (Math.fround(config.layerNormEpsilon) !== Math.fround(EPSILON)) {
    throw new ConfigError({ op, expected: "layerNormEpsilon = 1e-5", got: `${config.layerNormEpsilon}` });
  }
  const { vocabSize: V, nCtx: maxT, nLayer: L, nHead: NH, nEmbd: C } = config;
  return { maxT, V, L, NH, C, paddedV: paddedVocabulary(V) };
}

export const GPT2_LLMC: LlmcMapping = { architecture: "gpt2", readConfig, writeConfig, offset };
