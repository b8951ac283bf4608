import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GPT2Error } from "../../src/errors.js";
import { openHuggingFace } from "../../src/pretrained/formats/huggingface.js";
import { encodeSafetensors, memoryFiles, type SafetensorsInput } from "../../src/pretrained/index.js";
import {
  configJson,
  huggingFaceTensors,
  jsonBytes,
  llmcFile,
  loadSmall,
  loadSmallLlmc,
  randomTensors,
  readAll,
  SMALL,
} from "./small-model.js";

function assertRefused(run: () => unknown, name: "CheckpointError" | "ConfigError", message: RegExp): void {
  assert.throws(run, (error: Error) => {
    assert.ok(error instanceof GPT2Error, `${error.stack}`);
    assert.equal(error.name, name);
    assert.match(error.message, message);
    return true;
  });
}

const values = randomTensors(SMALL, 4);
const tensors = huggingFaceTensors(SMALL, values);
const weights = encodeSafetensors(tensors);
const replaced = (name: string, change: Partial<SafetensorsInput>): SafetensorsInput[] =>
  tensors.map((tensor) => (tensor.name === name ? { ...tensor, ...change } : tensor));
const f32 = (...shape: number[]) => ({ shape, data: new Float32Array(shape.reduce((n, d) => n * d, 1)) });

describe("config.json", () => {
  const cases: [name: string, config: unknown, error: "CheckpointError" | "ConfigError", message: RegExp][] = [
    ["an empty file", new Uint8Array(0), "CheckpointError", /config\.json: expected JSON, got an empty file/],
    ["no JSON", "vocab_size: 50257", "CheckpointError", /config\.json: expected JSON/],
    ["a list", [], "CheckpointError", /config\.json: expected a JSON object/],
    [
      "NaN where a number is used",
      '{"model_type":"gpt2","n_embd":NaN}',
      "ConfigError",
      /n_embd: expected a number, got "NaN"/,
    ],
    ["a size twice", '{"n_embd":6,"n_embd":7}', "CheckpointError", /"n_embd" twice/],
    [
      "the class of another model",
      { architectures: ["LlamaForCausalLM"] },
      "ConfigError",
      /model_type: expected "gpt2" or "gpt_neo" or "bert" or "distilbert" or "roberta", got "LlamaForCausalLM"/,
    ],
    [
      "another model",
      { model_type: "llama" },
      "ConfigError",
      /model_type: expected "gpt2" or "gpt_neo" or "bert" or "distilbert" or "roberta", got "llama"/,
    ],
    [
      "a size of text",
      configJson(SMALL, { n_embd: "6" }),
      "ConfigError",
      /config\.json: n_embd: expected a number, got "6"/,
    ],
    [
      "a size of 0",
      configJson(SMALL, { n_layer: 0 }),
      "ConfigError",
      /config\.json.*nLayer: expected a positive integer, got 0/,
    ],
    ["a negative size", configJson(SMALL, { n_head: -2 }), "ConfigError", /nHead.*got -2/],
    ["a fractional size", configJson(SMALL, { n_embd: 6.5 }), "ConfigError", /nEmbd.*got 6\.5/],
    ["a size of 2^31", configJson(SMALL, { vocab_size: 2 ** 31 }), "ConfigError", /vocabSize/],
    [
      "a hundred thousand layers",
      configJson(SMALL, { n_layer: 1e5 }),
      "ConfigError",
      /nLayer: expected at most 4096, got 100000/,
    ],
    ["a size of 1e308", configJson(SMALL, { n_positions: 1e308 }), "ConfigError", /nCtx/],
    [
      "heads that don't divide",
      configJson(SMALL, { n_head: 4 }),
      "ConfigError",
      /config\.json.*nHead.*divisor of nEmbd = 6, got 4/,
    ],
    ["an epsilon of 0", configJson(SMALL, { layer_norm_epsilon: 0 }), "ConfigError", /layerNormEpsilon/],
    [
      "an epsilon of text",
      configJson(SMALL, { layer_norm_epsilon: "1e-5" }),
      "ConfigError",
      /layer_norm_epsilon: expected a number/,
    ],
    [
      "an activation that is not known",
      configJson(SMALL, { activation_function: "mish" }),
      "ConfigError",
      /activation_function: expected gelu_new, .*quick_gelu, got "mish"/,
    ],
    ["ReLU in a list", configJson(SMALL, { activation_function: ["gelu_new"] }), "ConfigError", /activation_function/],
    [
      "a switch that is a number",
      configJson(SMALL, { scale_attn_by_inverse_layer_idx: 1 }),
      "ConfigError",
      /scale_attn_by_inverse_layer_idx: expected true or false, got 1/,
    ],
    [
      "padding of RoBERTa in lists, which may be deeper than the stack",
      { model_type: "roberta", pad_token_id: [[1]] },
      "ConfigError",
      /pad_token_id: expected 1, as RoBERTa has, got \[a list\]/,
    ],
    ["cross-attention", configJson(SMALL, { add_cross_attention: true }), "ConfigError", /add_cross_attention/],
  ];
  for (const [name, config, error, message] of cases) {
    it(`refuses ${name}`, () => assertRefused(() => loadSmall(config, weights), error, message));
  }
});

describe("tensors of a Hugging Face model", () => {
  const head = { ...tensors[0]!, name: "lm_head.weight" };
  const cases: [name: string, inputs: SafetensorsInput[], changes: Record<string, unknown>, message: RegExp][] = [
    ["none", [], {}, /model\.safetensors: tensor wte\.weight: expected shape \[11, 6\], got no such tensor/],
    [
      "one missing",
      tensors.filter(({ name }) => name !== "h.1.ln_2.bias"),
      {},
      /tensor h\.1\.ln_2\.bias: .*no such tensor/,
    ],
    ["a layer too few", tensors, { n_layer: 3 }, /tensor h\.2\.ln_1\.weight: expected shape \[6\], got no such tensor/],
    ["as many layers as there may be claimed", tensors, { n_layer: 4096 }, /tensor h\.2\.ln_1\.weight/],
    [
      "a layer too many",
      tensors,
      { n_layer: 1 },
      /tensor "h\.1\.[a-z0-9_.]+": expected only the tensors of a GPT-2 of 1 layers/,
    ],
    [
      "another vocabulary size",
      tensors,
      { vocab_size: 12 },
      /tensor "wte\.weight": expected shape \[12, 6\], got \[11, 6\]/,
    ],
    ["another context", tensors, { n_positions: 4 }, /"wpe\.weight": expected shape \[4, 6\], got \[5, 6\]/],
    [
      "another feed-forward width",
      tensors,
      { n_inner: 12 },
      /"h\.0\.mlp\.c_fc\.weight": expected shape \[6, 12\], got \[6, 24\]/,
    ],
    ["a wrong shape", replaced("h.0.ln_1.weight", f32(7)), {}, /"h\.0\.ln_1\.weight": expected shape \[6\], got \[7\]/],
    ["a bias as a matrix", replaced("ln_f.bias", f32(1, 6)), {}, /"ln_f\.bias": expected shape \[6\], got \[1, 6\]/],
    [
      "a transposed matrix",
      replaced("h.1.attn.c_attn.weight", f32(18, 6)),
      {},
      /"h\.1\.attn\.c_attn\.weight": expected shape \[6, 18\], got \[18, 6\]\. It is transposed/,
    ],
    [
      "integers",
      replaced("wpe.weight", { dtype: "I32", data: new Int32Array(30) }),
      {},
      /"wpe\.weight": expected F32, F16, BF16, F64, got I32/,
    ],
    [
      "an unknown one",
      [...tensors, { ...head, name: "classifier.weight" }],
      {},
      /tensor "classifier\.weight": .*unknown one, F32 \[11, 6\]/,
    ],
    [
      "mask buffers elsewhere",
      [...tensors, { ...head, name: "h.0.mlp.bias" }],
      {},
      /tensor "h\.0\.mlp\.bias".*unknown/,
    ],
    [
      "one with prefix and without",
      [...tensors, { ...tensors[1]!, name: "transformer.wpe.weight" }],
      {},
      /got both "(transformer\.)?wpe\.weight" and "(transformer\.)?wpe\.weight"/,
    ],
    [
      "a head of its own",
      [...tensors, { ...head, data: new Float32Array(66) }],
      {},
      /"lm_head\.weight": expected a copy of "wte\.weight" .*"tie_word_embeddings": false/,
    ],
    ["a head of another shape", [...tensors, { ...head, ...f32(12, 6) }], {}, /"lm_head\.weight".*\[12, 6\]/],
    [
      "no head where it is not tied",
      tensors,
      { tie_word_embeddings: false },
      /lm_head\.weight: expected shape \[11, 6\], got no such tensor/,
    ],
  ];
  for (const [name, inputs, changes, message] of cases) {
    it(`refuses ${name}`, () => {
      assertRefused(() => loadSmall(configJson(SMALL, changes), encodeSafetensors(inputs)), "CheckpointError", message);
    });
  }

  it("refuses NaN and infinity in any tensor when it is read", () => {
    for (const { name, shape } of tensors) {
      const data = new Float32Array(shape.reduce((n, d) => n * d, 1)).with(-1, Number.POSITIVE_INFINITY);
      const checkpoint = loadSmall(configJson(SMALL), encodeSafetensors(replaced(name, { data })));
      const escaped = name.replaceAll(".", "\\.");
      const message = new RegExp(`model\\.safetensors: tensor ${escaped}, index .*finite.*Infinity`);
      assertRefused(() => readAll(checkpoint), "CheckpointError", message);
    }
  });
});

describe("shards", () => {
  const halves = [tensors.slice(0, 9), tensors.slice(9)];
  const names = ["a.safetensors", "b.safetensors"];
  const map = Object.fromEntries(halves.flatMap((half, i) => half.map(({ name }) => [name, names[i]])));
  const load = (weightMap: Record<string, unknown>, shards: SafetensorsInput[][]) =>
    openHuggingFace(
      "model.safetensors.index.json",
      memoryFiles("sharded", {
        "config.json": jsonBytes(configJson(SMALL)),
        "model.safetensors.index.json": jsonBytes({ weight_map: weightMap }),
        ...Object.fromEntries(names.map((name, i) => [name, encodeSafetensors(shards[i]!)])),
      }),
    );

  it("are read together", () => {
    assert.deepEqual(readAll(load(map, halves)), new Map(values.map(({ name, data }) => [name, data])));
  });

  const cases: [name: string, map: Record<string, unknown>, shards: SafetensorsInput[][], message: RegExp][] = [
    [
      "a tensor its shard lacks",
      map,
      [halves[0]!.slice(1), halves[1]!],
      /index\.json: tensor wte\.weight: expected shape \[11, 6\], got no such tensor/,
    ],
    [
      "a tensor in both",
      map,
      [halves[0]!, [...halves[1]!, tensors[0]!]],
      /b\.safetensors: tensor "wte\.weight": .*got the same tensor in another shard/,
    ],
    [
      "a tensor that no GPT-2 has",
      map,
      [halves[0]!, [...halves[1]!, { ...tensors[0]!, name: "x" }]],
      /"x".*got an unknown one/,
    ],
    [
      "an index without a tensor of the model",
      Object.fromEntries(Object.entries(map).slice(9)),
      [[], halves[1]!],
      /index\.json: tensor wte\.weight: .*no such tensor/,
    ],
  ];
  for (const [name, weightMap, shards, message] of cases) {
    it(`refuse ${name}`, () => assertRefused(() => load(weightMap, shards), "CheckpointError", message));
  }
});

describe("llm.c models", () => {
  const whole = llmcFile(SMALL, values);
  const withField = (field: number, value: number): Uint8Array => {
    const file = whole.slice();
    new DataView(file.buffer).setInt32(4 * field, value, true);
    return file;
  };
  const cases: [name: string, file: Uint8Array, error: "CheckpointError" | "ConfigError", message: RegExp][] = [
    [
      "an empty file",
      new Uint8Array(0),
      "CheckpointError",
      /model\.bin: llm\.c header: expected 1024 bytes, got a file of 0/,
    ],
    ["another magic number", withField(0, 20240520), "CheckpointError", /magic number 20240326, got 20240520/],
    ["version 1", withField(1, 1), "CheckpointError", /version 3 \(float32\) or 5 \(bfloat16\), got 1\. Export/],
    ["version -1", withField(1, -1), "CheckpointError", /version/],
    [
      "the other version",
      withField(1, 5),
      "CheckpointError",
      /model\.bin: expected \d+ bytes for V = 11.*after the last tensor/,
    ],
    ["no context", withField(2, 0), "CheckpointError", /maxT: expected a positive size, got 0/],
    ["a negative vocabulary", withField(3, -11), "CheckpointError", /V: expected a positive size, got -11/],
    ["a vocabulary larger than padded", withField(3, 129), "CheckpointError", /at least V = 129, got 128/],
    ["another padded vocabulary", withField(7, 256), "CheckpointError", /padded 256.*truncated/],
    ["too many layers", withField(4, 3), "CheckpointError", /L = 3.*truncated/],
    ["two thousand million of everything", llmcSizes(2 ** 31 - 1), "CheckpointError", /expected [\d.e+]+ bytes/],
    [
      "heads that don't divide",
      withField(5, 4),
      "ConfigError",
      /reading model\.bin: .*nHead: expected a divisor of nEmbd = 6/,
    ],
    ["another width", withField(6, 8), "CheckpointError", /C = 8/],
    ["a byte too many", new Uint8Array([...whole, 0]), "CheckpointError", /after the last tensor/],
  ];
  function llmcSizes(size: number): Uint8Array {
    const file = whole.slice();
    for (let field = 2; field < 8; field++) new DataView(file.buffer).setInt32(4 * field, size, true);
    return file;
  }
  for (const [name, file, error, message] of cases) {
    it(`refuses ${name}`, () => assertRefused(() => loadSmallLlmc(file), error, message));
  }

  it("refuses a file truncated anywhere", () => {
    for (let length = 0; length < whole.length; length += length < 1040 ? 1 : 37) {
      assertRefused(() => loadSmallLlmc(whole.subarray(0, length)), "CheckpointError", /model\.bin/);
    }
  });

  it("refuses NaN when the tensor is read, and ignores the padding", () => {
    const file = whole.slice();
    const floats = new Float32Array(file.buffer);
    floats.fill(Number.NaN, 256 + 11 * 6, 256 + 128 * 6);
    assert.deepEqual(readAll(loadSmallLlmc(file)), new Map(values.map(({ name, data }) => [name, data])));
    floats[256 + 128 * 6 + 8] = Number.NaN;
    const message = /model\.bin: tensor wpe\.weight, index \[1, 2\] of \[5, 6\]: .*NaN/;
    assertRefused(() => readAll(loadSmallLlmc(file)), "CheckpointError", message);
  });
});
