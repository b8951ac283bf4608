import { ConfigError } from "../../errors.js";
import { checkedConfig, type ModelConfig } from "../config.js";

/** The hyperparameters of a BERT, and which pre-training parts it has. Immutable; {@link bertConfig} makes one. */
export interface BertConfig extends ModelConfig {
  readonly architecture: "bert";
  /** Rows of the token-type embedding: how many texts one input can hold. 0 for none, as in DistilBERT. */
  readonly tokenTypes: number;
  /** Has a pooler: a dense layer and an activation on the first token's hidden state. */
  readonly pooler: boolean;
  /** Activation of the pooler: tanh; ReLU in DistilBERT's classifier. */
  readonly poolerActivation: "tanh" | "relu";
  /** Has a head for masked tokens. Its decoder is the token embedding if `tieWordEmbeddings` is set. */
  readonly maskedTokens: boolean;
  /** Has a next-sentence head: does the second text follow the first? */
  readonly nextSentence: boolean;
}

const BERT_COMMON = {
  architecture: "bert",
  vocabSize: 30522,
  nCtx: 512,
  layerNormEpsilon: 1e-12,
  activation: "gelu",
  tieWordEmbeddings: true,
  tokenTypes: 2,
  pooler: true,
  poolerActivation: "tanh",
  maskedTokens: true,
  nextSentence: true,
} as const;

/** The published sizes (Devlin et al. 2019, section 3; Turc et al. 2019, table 1), uncased. */
export const BERT_PRESETS = {
  "bert-tiny": { nLayer: 2, nEmbd: 128, nHead: 2 },
  "bert-mini": { nLayer: 4, nEmbd: 256, nHead: 4 },
  "bert-small": { nLayer: 4, nEmbd: 512, nHead: 8 },
  "bert-medium": { nLayer: 8, nEmbd: 512, nHead: 8 },
  "bert-base": { nLayer: 12, nEmbd: 768, nHead: 12 },
  "bert-large": { nLayer: 24, nEmbd: 1024, nHead: 16 },
} as const;

/**
 * A complete, checked configuration from the fields that differ from BERT base's.
 *
 * @throws {ConfigError} a size is impossible, or the pooler that a head reads is missing.
 */
export function bertConfig(fields: Partial<BertConfig> = {}): BertConfig {
  const merged = { ...BERT_COMMON, ...BERT_PRESETS["bert-base"], ...fields };
  const config = checkedConfig({ ...merged, nInner: fields.nInner ?? 4 * merged.nEmbd }, "BERT");
  const { tokenTypes, nextSentence, pooler } = config;
  if (!Number.isInteger(tokenTypes) || tokenTypes < 0 || tokenTypes > 127) {
    const op = "BERT configuration: tokenTypes";
    throw new ConfigError({ op, expected: "an integer from 0 to 127", got: String(tokenTypes) });
  }
  if (!nextSentence || pooler) return config;
  throw new ConfigError({ op: "BERT configuration: nextSentence", expected: "a pooler with it", got: "none" });
}
