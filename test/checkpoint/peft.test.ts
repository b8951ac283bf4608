/** LoRA adapters in PEFT's layout: those made by PEFT compute the same here; refused adapters, and their errors. */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { loraA, loraB, loraRanks, loraTable, loraTargets } from "../../src/architectures/lora.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import { memorySource } from "../../src/checkpoint/byte-source.js";
import { encodeSafetensors, type SafetensorsInput } from "../../src/checkpoint/safetensors-writer.js";
import { CheckpointError, type UsageError } from "../../src/errors.js";
import { GPT2 } from "../../src/gpt2.js";
import { openAdapter, openCheckpoint, saveAdapter, saveCheckpoint } from "../../src/pretrained/node.js";
import { loadAdapter } from "../../src/pretrained/peft/load.js";
import { RandomStream } from "../../src/util/random.js";
import { assertClose } from "../helpers/compare.js";
import { PEFT_BASE, PEFT_BATCH, PEFT_FIXTURES, readTensors } from "../helpers/peft-fixtures.js";
import { attempt, bounded, fuzz, timeout } from "./mutator.js";

const LORA_TARGETS = loraTargets({ architecture: "gpt2" });

const dir = mkdtempSync(join(tmpdir(), "gpt2-peft-"));
after(() => rmSync(dir, { recursive: true }));

const CONFIG = gpt2Config({ vocabSize: 512, nCtx: 64, nEmbd: 64, nHead: 4, nLayer: 2 });
const fixture = (name: string): string => join(PEFT_FIXTURES, name);
/** Single precision through two layers: three times the largest difference. */
const LOGITS = { relative: 3e-6 };

async function logitsOf(model: GPT2, adapter?: string | null): Promise<Float32Array> {
  const { B, T } = PEFT_BATCH;
  const tokens = readTensors("batch.safetensors").get("tokens")!;
  const all = new Float32Array(B * T * CONFIG.vocabSize);
  for (let b = 0; b < B; b++) {
    all.set(await model.logits(tokens.subarray(b * T, (b + 1) * T), { adapter }), b * T * CONFIG.vocabSize);
  }
  return all;
}

const expectedLogits = (name: string): ArrayLike<number> => readTensors(name, "expected.safetensors").get("logits")!;

describe("adapters by PEFT", () => {
  it("loaded side by side, each gives PEFT's logits; without one the model is unchanged", async () => {
    const adapters = { all: fixture("all-linear"), patterns: join(fixture("patterns"), "adapter_model.safetensors") };
    const model = await GPT2.load(PEFT_BASE, { adapters });
    assert.deepEqual(model.adapters, ["all", "patterns"]);
    const plain = await GPT2.load(PEFT_BASE);
    assertClose("all-linear", await logitsOf(model, "all"), expectedLogits("all-linear"), LOGITS);
    assertClose("patterns", await logitsOf(model, "patterns"), expectedLogits("patterns"), LOGITS);
    assert.deepEqual(await logitsOf(model), await logitsOf(plain));
    await assert.rejects(logitsOf(model, "other"), /adapter: expected all or patterns, got other/);
    assert.equal(model.unloadAdapter("all"), true);
    await assert.rejects(logitsOf(model, "all"), /adapter: expected patterns, got all/);
    await model.loadAdapter("all", fixture("all-linear"));
    assertClose("loaded again", await logitsOf(model, "all"), expectedLogits("all-linear"), LOGITS);
  });

  it("a single one is used by all requests, unless they choose none", async () => {
    const model = await GPT2.load(PEFT_BASE, { adapters: fixture("all-linear") });
    assertClose("default", await logitsOf(model), expectedLogits("all-linear"), LOGITS);
    assert.deepEqual(await logitsOf(model, null), await logitsOf(await GPT2.load(PEFT_BASE)));
  });

  it("merged into the weights, also with layer norms and biases of their own", async () => {
    for (const name of ["all-linear", "patterns", "extras"]) {
      const model = await GPT2.load(PEFT_BASE, { merge: fixture(name) });
      assertClose(name, await logitsOf(model), expectedLogits(name), LOGITS);
    }
  });

  it("with layer norms of their own can't be chosen per request", async () => {
    const want = /of linear layers only.*got another h\.0\.ln_1\.weight.*gpt2 merge/;
    await assert.rejects(GPT2.load(PEFT_BASE, { adapters: fixture("extras") }), (error: UsageError) => {
      assert.equal(error.code, "ERR_USAGE");
      assert.match(error.message, want);
      return true;
    });
  });

  it("name their base model, which is loaded if no other is named", async () => {
    const adapter = join(dir, "named");
    cpSync(fixture("all-linear"), adapter, { recursive: true });
    const config = JSON.parse(readFileSync(join(adapter, "adapter_config.json"), "utf8")) as object;
    const named = { ...config, base_model_name_or_path: PEFT_BASE };
    writeFileSync(join(adapter, "adapter_config.json"), JSON.stringify(named));
    assertClose(
      "adapters",
      await logitsOf(await GPT2.load(undefined, { adapters: adapter })),
      expectedLogits("all-linear"),
      LOGITS,
    );
    assertClose(
      "merge",
      await logitsOf(await GPT2.load(undefined, { merge: adapter })),
      expectedLogits("all-linear"),
      LOGITS,
    );
  });
});

describe("refusals", () => {
  const tensors = (): SafetensorsInput[] => adapterTensors(loraRanks(CONFIG, ["attn.c_attn"], 2));
  const config = { peft_type: "LORA", r: 2, lora_alpha: 4, target_modules: ["c_attn"], fan_in_fan_out: true };
  const load = (json: object, inputs = tensors(), model = CONFIG) =>
    loadAdapter(
      {
        path: "test",
        config: memorySource("adapter_config.json", new TextEncoder().encode(JSON.stringify(json))),
        weights: memorySource("adapter_model.safetensors", encodeSafetensors(inputs)),
      },
      model,
    );
  const refused = (message: RegExp, json: object, inputs = tensors(), model = CONFIG): void => {
    assert.throws(
      () => load(json, inputs, model),
      (error: Error) => {
        assert.ok(error instanceof CheckpointError, String(error));
        assert.match(error.message, message);
        return true;
      },
    );
  };

  it("none for a plain adapter", () => {
    assert.equal(load(config).ranks.size, 2);
  });

  it("every variant of LoRA in PEFT, by name", () => {
    const variants = JSON.parse(readFileSync(fixture("refused.json"), "utf8")) as Record<string, object>;
    const names = {
      dora: /use_dora/,
      "lora-bias": /lora_bias/,
      pissa: /init_lora_weights.*"pissa"/,
      replication: /layer_replication/,
      tokens: /trainable_token_indices/,
    };
    assert.deepEqual(Object.keys(variants).sort(), Object.keys(names).sort());
    for (const [name, pattern] of Object.entries(names)) refused(pattern, { ...variants[name], r: 2 });
    refused(/"new_variant"/, { ...config, new_variant: { on: true } });
    refused(/peft_type: expected "LORA", got "IA3"/, { ...config, peft_type: "IA3" });
  });

  it("impossible numbers, and patterns that are regular expressions", () => {
    refused(/: r: expected an integer/, { ...config, r: 1.5 });
    refused(/lora_alpha: expected a number, got "x"/, { ...config, lora_alpha: "x" });
    refused(/use_rslora: expected true or false/, { ...config, use_rslora: 1 });
    refused(/alpha_pattern: expected names of layers/, { ...config, alpha_pattern: { "(a+)+$": 1 } });
    refused(/rank_pattern: c_attn: expected an integer/, { ...config, rank_pattern: { c_attn: 0 } });
  });

  it("tensors of other shapes or layers, or without their counterpart", () => {
    refused(/lora_A.weight": expected shape \[3, 64\], got \[2, 64\].*another rank/, {
      ...config,
      rank_pattern: { c_attn: 3 },
    });
    refused(/shape \[2, 32\], got \[2, 64\]/, config, tensors(), gpt2Config({ ...CONFIG, nEmbd: 32 }));
    refused(/h\.1\..*a GPT-2 of 1 layers/, config, tensors(), gpt2Config({ ...CONFIG, nLayer: 1 }));
    refused(/both lora_A and lora_B/, config, tensors().slice(1));
    refused(/lora_A and lora_B of some layer, got none/, config, []);
    const [first, ...rest] = tensors();
    const again = (data: Float32Array) => ({ ...first!, data, name: first!.name.replace("transformer.", "") });
    refused(/each tensor once/, config, [first!, again(new Float32Array(128)), ...rest]);
    assert.equal(load(config, [first!, again(first!.data as Float32Array), ...rest]).ranks.size, 2);
  });

  it("tensors beyond LoRA, by their kind", () => {
    const extra = (name: string): SafetensorsInput => ({
      name: `base_model.model.${name}`,
      dtype: "F32",
      shape: [1],
      data: new Float32Array(1),
    });
    const names = {
      "transformer.wte.lora_embedding_A": /an adapter of the embeddings/,
      "transformer.h.0.attn.c_attn.lora_magnitude_vector": /DoRA/,
      "lm_head.lora_A.weight": /an adapter of the output head/,
      "transformer.wte.modules_to_save.weight": /embeddings trained as a whole/,
      "qa_outputs.weight": /the head of another task/,
      "transformer.h.0.attn.c_attn.lora_B.bias": /lora_bias/,
      something: /an unknown tensor, F32 \[1\]/,
    };
    for (const [name, pattern] of Object.entries(names)) refused(pattern, config, [...tensors(), extra(name)]);
  });

  it("folders without the files", async () => {
    assert.throws(() => openAdapter(PEFT_BASE, CONFIG), /adapter_config.json, got no such file/);
    const old = join(dir, "old");
    cpSync(fixture("all-linear"), old, { recursive: true });
    rmSync(join(old, "adapter_model.safetensors"));
    writeFileSync(join(old, "adapter_model.bin"), "");
    assert.throws(() => openAdapter(old, CONFIG), /adapter_model.bin can't be read/);
    await assert.rejects(openCheckpoint(fixture("all-linear")), /a LoRA adapter, which is not a whole model/);
  });
});

/** Random values under PEFT's names. */
function adapterTensors(ranks: ReadonlyMap<string, number>, model = CONFIG): SafetensorsInput[] {
  const random = new RandomStream(3);
  return loraTable(model, ranks).map(({ name, shape }) => ({
    name: `base_model.model.transformer.${name}`,
    dtype: "F32",
    shape,
    data: Float32Array.from({ length: numel(shape) }, () => random.normal()),
  }));
}

describe("saved adapters", () => {
  const ranks = loraRanks(CONFIG, LORA_TARGETS, 3);
  const random = new RandomStream(9);
  const values = (n: number) => Float32Array.from({ length: n }, () => random.normal());
  const tensors = new Map(loraTable(CONFIG, ranks).map(({ name, shape }) => [name, values(numel(shape))]));
  const common = {
    config: CONFIG,
    rank: 3,
    alpha: 5,
    dropout: 0.1,
    rankStabilized: true,
    targets: LORA_TARGETS,
    ranks,
  };

  it("are read back unchanged", async () => {
    const path = join(dir, "saved");
    const extras = new Map([...tensors, ["ln_f.bias", values(64)], ["h.0.attn.c_attn.bias", values(192)]]);
    await saveAdapter(path, { ...common, tensors: extras, baseModel: "gpt2" });
    const adapter = openAdapter(path, CONFIG);
    assert.deepEqual(adapter.ranks, ranks);
    assert.ok([...adapter.scales.values()].every((scale) => scale === 5 / Math.sqrt(3)));
    assert.equal(adapter.settings.baseModel, "gpt2");
    assert.deepEqual([...adapter.replaced.keys()], ["h.0.attn.c_attn.bias", "ln_f.bias"]);
    for (const [name, tensor] of [...adapter.tensors, ...adapter.replaced]) {
      const got = new Float32Array(numel(tensor.shape));
      tensor.readInto(got);
      assert.deepEqual(got, extras.get(name), name);
    }
    adapter.close();
    const json = JSON.parse(readFileSync(join(path, "adapter_config.json"), "utf8")) as Record<string, unknown>;
    assert.deepEqual(json.target_modules, ["c_attn", "c_proj", "c_fc"]);
    assert.deepEqual([json.bias, json.modules_to_save, json.fan_in_fan_out], ["all", null, true]);
  });

  it("name c_proj in full if only one of the two is adapted", async () => {
    const path = join(dir, "one-proj");
    const targets = ["attn.c_proj"] as const;
    const some = loraRanks(CONFIG, targets, 3);
    const kept = new Map([...tensors].filter(([name]) => [...some.keys()].some((layer) => name.startsWith(layer))));
    await saveAdapter(path, { ...common, targets, ranks: some, tensors: kept, baseModel: undefined });
    const json = JSON.parse(readFileSync(join(path, "adapter_config.json"), "utf8")) as Record<string, unknown>;
    assert.deepEqual([json.target_modules, json.base_model_name_or_path], [["attn.c_proj"], null]);
  });

  it("are refused with tensors missing or unknown", async () => {
    const save = (map: Map<string, Float32Array>) =>
      saveAdapter(join(dir, "no"), { ...common, tensors: map, baseModel: undefined });
    const [name] = tensors.keys();
    const fewer = new Map(tensors);
    fewer.delete(name!);
    await assert.rejects(save(fewer), /h\.0\.attn\.c_attn\.lora_A\.weight: expected its values, got none/);
    await assert.rejects(save(new Map([...tensors, ["x", values(1)]])), /tensor x: expected a tensor of the adapter/);
    await assert.rejects(save(new Map([...tensors, [name!, values(1)]])), /expected shape \[3, 64\], got 1 values/);
  });
});

it("a merged model is W + s B A, whatever it is read from and however it is saved", async () => {
  const { mergeAdapter } = await import("../../src/pretrained/merge-adapter.js");
  const base = await openCheckpoint(PEFT_BASE);
  const adapter = openAdapter(fixture("patterns"), CONFIG);
  const merged = mergeAdapter(base, adapter);
  const read = (tensor: { shape: readonly number[]; readInto(dst: Float32Array): void }): Float32Array => {
    const values = new Float32Array(numel(tensor.shape));
    tensor.readInto(values);
    return values;
  };
  for (const [name, tensor] of merged.tensors) {
    const want = read(base.tensors.get(name)!);
    const layer = name.replace(/\.weight$/, "");
    const rank = adapter.ranks.get(layer);
    if (rank !== undefined && name !== layer) {
      const [a, b] = [read(adapter.tensors.get(loraA(layer))!), read(adapter.tensors.get(loraB(layer))!)];
      const width = tensor.shape[1]!;
      for (let i = 0; i < want.length; i++) {
        let sum = 0;
        for (let r = 0; r < rank; r++) sum += b[Math.floor(i / width) * rank + r]! * a[r * width + (i % width)]!;
        want[i]! += adapter.scales.get(layer)! * sum;
      }
    }
    assertClose(name, read(tensor), want, { relative: 1e-7 });
    if (tensor.shape.length < 2) continue;
    const rows = new Float32Array(3 * tensor.shape[1]!);
    tensor.readRows(5, rows);
    assert.deepEqual(rows, read(tensor).slice(5 * tensor.shape[1]!, 8 * tensor.shape[1]!));
  }
  const path = join(dir, "merged");
  const tensors = [...merged.tensors.values()].map((tensor) => ({
    ...tensor,
    name: tensor.name,
    shape: tensor.shape,
    data: read(tensor),
  }));
  await saveCheckpoint(path, { config: CONFIG, tensors });
  merged.close();
  const model = await GPT2.load(path);
  assertClose("logits", await logitsOf(model), expectedLogits("patterns"), LOGITS);
});

describe("damaged adapters give typed errors or finite values", () => {
  const model = gpt2Config({ vocabSize: 3, nCtx: 2, nEmbd: 2, nHead: 1, nLayer: 1 });
  const weights = encodeSafetensors(adapterTensors(loraRanks(model, LORA_TARGETS, 1), model));
  const json = {
    peft_type: "LORA",
    r: 1,
    lora_alpha: 2,
    alpha_pattern: { c_attn: 3 },
    rank_pattern: { c_fc: 1 },
    bias: "none",
  };
  const text = JSON.stringify(json);
  const tryBoth = (what: string, config: Uint8Array, file: Uint8Array): void =>
    attempt(what, () => {
      const sources = { path: "fuzz", config: bounded("config", config), weights: bounded("weights", file) };
      const { tensors, replaced, scales } = loadAdapter(sources, model);
      assert.ok([...scales.values()].every(Number.isFinite));
      return { config: model, tensors: new Map([...tensors, ...replaced]) } as never;
    });
  const encode = (value: string): Uint8Array => new TextEncoder().encode(value);

  it("in the weights", { timeout }, () => {
    const header = 8 + Number(new DataView(weights.buffer).getBigUint64(0, true));
    fuzz(4000, (mutator, what) => tryBoth(what, encode(text), mutator.bytes(weights, header)));
  });

  it("in the configuration", { timeout }, () => {
    fuzz(4000, (mutator, what) => tryBoth(what, encode(mutator.json(text)), weights));
  });
});
