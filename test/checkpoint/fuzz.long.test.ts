import { describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { encodeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { openHuggingFace } from "../../src/pretrained/formats/huggingface.js";
import { openLlmc } from "../../src/pretrained/formats/llmc.js";
import { attempt, boundedFiles, fuzz, timeout } from "./mutator.js";
import { configJson, huggingFaceTensors, jsonBytes, llmcFile, randomTensors, rawSafetensors } from "./small-model.js";

const CONFIG = gpt2Config({ vocabSize: 3, nCtx: 2, nEmbd: 2, nHead: 1, nLayer: 1 });
const TENSORS = randomTensors(CONFIG, 1);
const WEIGHTS = encodeSafetensors(huggingFaceTensors(CONFIG, TENSORS, "f16"), { format: "pt" });
const CONFIG_JSON = jsonBytes(configJson(CONFIG));
const LLMC = llmcFile(CONFIG, TENSORS);

function attemptHuggingFace(what: string, config: Uint8Array, weights: Uint8Array): void {
  attempt(what, () => openHuggingFace("weights", boundedFiles({ "config.json": config, weights })));
}

describe("damaged files give typed errors or finite values", () => {
  const headerLength = Number(new DataView(WEIGHTS.buffer).getBigUint64(0, true));
  const header = new TextDecoder().decode(WEIGHTS.subarray(8, 8 + headerLength)).trim();
  const data = WEIGHTS.subarray(8 + headerLength);

  it("safetensors, as bytes", { timeout }, () => {
    fuzz(4000, (mutator, what) => attemptHuggingFace(what, CONFIG_JSON, mutator.bytes(WEIGHTS, 8 + headerLength)));
  });

  it("safetensors, in the header's JSON", { timeout }, () => {
    fuzz(4000, (mutator, what) => attemptHuggingFace(what, CONFIG_JSON, rawSafetensors(mutator.json(header), data)));
  });

  it("config.json", { timeout }, () => {
    const text = new TextDecoder().decode(CONFIG_JSON);
    fuzz(4000, (mutator, what) => {
      const damaged =
        mutator.below(4) > 0 ? jsonBytes(mutator.json(text)) : mutator.bytes(CONFIG_JSON, CONFIG_JSON.length);
      attemptHuggingFace(what, damaged, WEIGHTS);
    });
  });

  it("a classifier's config.json and weights", { timeout }, () => {
    const score = { name: "score.weight", dtype: "F32", shape: [3, 2], data: new Float32Array(6).fill(0.5) } as const;
    const weights = encodeSafetensors([...huggingFaceTensors(CONFIG, TENSORS, "f32"), score]);
    const labels = { id2label: { 0: "a", 1: "b", 2: "c" }, problem_type: "single_label_classification" };
    const text = JSON.stringify({ ...configJson(CONFIG), ...labels });
    fuzz(3000, (mutator, what) => {
      if (mutator.below(3) > 0) attemptHuggingFace(what, jsonBytes(mutator.json(text)), weights);
      else attemptHuggingFace(what, jsonBytes(text), mutator.bytes(weights, weights.length));
    });
  });

  it("the index of shards", { timeout }, () => {
    const tensors = huggingFaceTensors(CONFIG, TENSORS);
    const shards = [encodeSafetensors(tensors.slice(0, 7)), encodeSafetensors(tensors.slice(7))];
    const map = tensors.map(({ name }, i) => [name, i < 7 ? "a.safetensors" : "b.safetensors"]);
    const text = JSON.stringify({ metadata: { total_size: 1 }, weight_map: Object.fromEntries(map) });
    fuzz(3000, (mutator, what) =>
      attempt(what, () =>
        openHuggingFace(
          "m.index.json",
          boundedFiles({
            "config.json": CONFIG_JSON,
            "m.index.json": mutator.below(4) > 0 ? jsonBytes(mutator.json(text)) : mutator.bytes(jsonBytes(text), 1e9),
            "a.safetensors": shards[0]!,
            "b.safetensors": shards[1]!,
          }),
        ),
      ),
    );
  });

  it("llm.c", { timeout }, () => {
    fuzz(3000, (mutator, what) =>
      attempt(what, () => openLlmc("m.bin", boundedFiles({ "m.bin": mutator.bytes(LLMC, 32) }))),
    );
  });
});
