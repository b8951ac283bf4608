/**
 * Damaged models that the readers accept, through the kernels: logits, generation, scoring and embedding must end or
 * throw a typed error, whatever the files say. scripts/check-sanitizers.ts does it with sanitized kernels.
 */
import { readFileSync } from "node:fs";
import type { BertConfig } from "../../src/architectures/bert/config.js";
import { TOKEN_TYPES } from "../../src/architectures/bert/forward.js";
import { bertOutputs } from "../../src/architectures/bert/outputs.js";
import type { ModelConfig } from "../../src/architectures/config.js";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { architectureOf } from "../../src/architectures/registry.js";
import type { Backend } from "../../src/backend/backend.js";
import { encodeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { Encoder, POOLINGS } from "../../src/generate/encoder.js";
import { GPT2 } from "../../src/gpt2.js";
import { openGguf } from "../../src/pretrained/formats/gguf/read.js";
import { openHuggingFace } from "../../src/pretrained/formats/huggingface.js";
import { openLlmc } from "../../src/pretrained/formats/llmc.js";
import { openTensorFlow } from "../../src/pretrained/formats/tensorflow.js";
import { openTorch } from "../../src/pretrained/formats/torch.js";
import { type Checkpoint, memoryFiles } from "../../src/pretrained/index.js";
import { loadParts, type ModelParts } from "../../src/pretrained/model-parts.js";
import { packageFile } from "../../src/util/package-root.js";
import type { Mutator } from "./mutator.js";
import { configJson, huggingFaceTensors, jsonBytes, llmcFile, randomTensors, rawSafetensors } from "./small-model.js";

const fixture = (path: string): Uint8Array => new Uint8Array(readFileSync(packageFile(`test/fixtures/${path}`)));

const CONFIG = gpt2Config({ vocabSize: 5, nCtx: 6, nEmbd: 4, nHead: 2, nLayer: 2 });
const TENSORS = randomTensors(CONFIG, 1);
const WEIGHTS = encodeSafetensors(huggingFaceTensors(CONFIG, TENSORS, "f16"), { format: "pt" });
const HEADER_LENGTH = Number(new DataView(WEIGHTS.buffer).getBigUint64(0, true));
const HEADER = new TextDecoder().decode(WEIGHTS.subarray(8, 8 + HEADER_LENGTH)).trim();
const CONFIG_TEXT = JSON.stringify(configJson(CONFIG));

type Files = Readonly<Record<string, Uint8Array>>;

/** Files of a small model that transformers saved. */
function saved(folder: string): { readonly config: string; readonly weights: Uint8Array } {
  const config = JSON.stringify(JSON.parse(new TextDecoder().decode(fixture(`${folder}/config.json`))));
  return { config, weights: fixture(`${folder}/model.safetensors`) };
}

/** Damage in config.json, or in the weights' header. */
function folder(name: string): DamagedModels {
  const { config, weights } = saved(name);
  const header = 8 + Number(new DataView(weights.buffer).getBigUint64(0, true));
  return {
    name,
    open: (m) => {
      if (m.below(3) > 0) return huggingFace({ "config.json": jsonBytes(m.json(config)), weights });
      return huggingFace({ "config.json": jsonBytes(config), weights: m.bytes(weights, header) });
    },
  };
}

/** One kind of model: its damaged files, and the function that opens them. */
export interface DamagedModels {
  readonly name: string;
  open(mutator: Mutator): Checkpoint;
}

const huggingFace = (files: Files): Checkpoint => openHuggingFace("weights", memoryFiles("fuzz", files));

/** Damage to the first bytes of a file, which hold its meaning; most of it changes numbers. */
function binary(name: string, file: Uint8Array, head: number, open: (bytes: Uint8Array) => Checkpoint): DamagedModels {
  return { name, open: (m) => open(m.below(2) > 0 ? m.overwrite(file, 0, head) : m.bytes(file, head)) };
}

export const DAMAGED_MODELS: readonly DamagedModels[] = [
  {
    name: "config.json",
    open: (m) => huggingFace({ "config.json": jsonBytes(m.json(CONFIG_TEXT)), weights: WEIGHTS }),
  },
  {
    name: "safetensors",
    open: (m) => {
      const weights = m.below(2) > 0 ? rawSafetensors(m.json(HEADER), WEIGHTS.subarray(8 + HEADER_LENGTH)) : undefined;
      const changed = weights ?? m.bytes(WEIGHTS, WEIGHTS.length);
      return huggingFace({ "config.json": jsonBytes(CONFIG_TEXT), weights: changed });
    },
  },
  binary("llm.c", llmcFile(CONFIG, TENSORS), 32, (bytes) => openLlmc("m.bin", memoryFiles("fuzz", { "m.bin": bytes }))),
  ...["unusual", "converted-q8_0", "converted-f16"].map((name) => {
    const file = fixture(`gguf/${name}.gguf`);
    const open = (bytes: Uint8Array) => openGguf("m.gguf", memoryFiles("fuzz", { "m.gguf": bytes }));
    return binary(`GGUF, ${name}`, file, Math.min(6000, file.length), open);
  }),
  ...["torch/hf", "torch/hf-legacy"].map((folder) => {
    const [weights, config] = [fixture(`${folder}/pytorch_model.bin`), fixture(`${folder}/config.json`)];
    const open = (bytes: Uint8Array) =>
      openTorch("weights", memoryFiles("fuzz", { weights: bytes, "config.json": config }));
    return binary(folder, weights, 4000, open);
  }),
  {
    name: "TensorFlow",
    open: (m) => {
      const [hparams, data] = [fixture("tensorflow/openai/hparams.json"), "m.data-00000-of-00001"];
      const files: Record<string, Uint8Array> = {
        "hparams.json": hparams,
        "m.index": fixture("tensorflow/openai/model.ckpt.index"),
        [data]: fixture("tensorflow/openai/model.ckpt.data-00000-of-00001"),
      };
      // In the data, most damage is refused by a checksum.
      if (m.below(4) > 0) files["hparams.json"] = jsonBytes(m.json(new TextDecoder().decode(hparams)));
      else files[data] = m.overwrite(files[data]!, 0, files[data]!.length);
      return openTensorFlow("m.index", memoryFiles("fuzz", files));
    },
  },
  ...["gpt-neo/saved", "bert/pretraining", "bert/sequence", "bert/tokens", "bert/spans", "bert/distilled"].map(folder),
  ...["roberta/masked", "roberta/sequence"].map(folder),
];

/** Opens a damaged model and runs it once. @throws {GPT2Error} it is refused. */
export async function runDamaged(backend: Backend, models: DamagedModels, mutator: Mutator): Promise<void> {
  const parts = await loadParts(models.open(mutator), { backend }, async () => undefined, {});
  if (architectureOf(parts.config).attention === "bidirectional") return runEncoder(parts, mutator);
  const model = new GPT2({ ...parts, owned: parts.weights.values() });
  try {
    await runModel(model, mutator);
  } finally {
    await model.dispose();
  }
}

/** A BERT without its tokenizer: hidden states, and logits of the head for masked tokens if it has one. */
async function runEncoder(parts: ModelParts, mutator: Mutator): Promise<void> {
  const config = parts.config as BertConfig;
  const { backend, weights } = parts;
  const encoder = new Encoder(backend, config, weights);
  try {
    const text = randomIds(config, mutator);
    const encoded = {
      tokens: text,
      extra: { [TOKEN_TYPES]: text.map(() => mutator.below(Math.max(1, config.tokenTypes))) },
    };
    await encoder.encode([encoded, encoded], { pooling: mutator.pick(POOLINGS) });
    for (const output of ["pooled", "maskedTokens", "nextSentence"] as const) {
      if (bertOutputs[output].present(config)) await encoder.rows([{ ...encoded, rows: [0] }], { output });
    }
  } finally {
    await encoder.dispose();
    for (const array of weights.values()) await array.dispose();
  }
}

const randomIds = ({ vocabSize, nCtx }: ModelConfig, mutator: Mutator): number[] =>
  Array.from({ length: 1 + mutator.below(Math.min(nCtx, 40)) }, () =>
    mutator.pick([0, vocabSize - 1, mutator.below(vocabSize)]),
  );

/** Ids at both ends of the vocabulary and up to the end of the context. */
async function runModel(model: GPT2, mutator: Mutator): Promise<void> {
  const { nCtx } = model.config;
  const ids = randomIds(model.config, mutator);
  await model.logits(ids);
  await model.completions(ids.slice(0, 1), { maxNewTokens: Math.min(3, nCtx - 1), samples: 2, seed: 1 });
  await model.score(ids, { context: ids.slice(0, 1) });
  await model.embed([ids]);
}
