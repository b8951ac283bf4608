import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { parameterCount, tensorTable } from "../../src/architectures/registry.js";
import type { FileMapper } from "../../src/checkpoint/file-source.js";
import { CheckpointError, ConfigError, ShapeError, UsageError } from "../../src/errors.js";
import { openHuggingFace } from "../../src/pretrained/formats/huggingface.js";
import {
  type Checkpoint,
  decodeFloats,
  describeCheckpoint,
  encodeSafetensors,
  type FloatDtype,
  memoryFiles,
} from "../../src/pretrained/index.js";
import { type NamedTensor, openCheckpoint, type SaveOptions, saveCheckpoint } from "../../src/pretrained/node.js";
import { packageFile } from "../../src/util/package-root.js";
import { RandomArrays } from "../helpers/random-arrays.js";
import {
  configJson,
  encoded,
  huggingFaceTensors,
  jsonBytes,
  llmcFile,
  loadSmall,
  loadSmallLlmc,
  randomTensors,
  readAll,
  SMALL,
} from "./small-model.js";

const TINY = packageFile("test/fixtures/tiny");
const folder = mkdtempSync(join(tmpdir(), "gpt2-checkpoint-"));
after(() => rmSync(folder, { recursive: true }));
let paths = 0;
const freshPath = (): string => join(folder, `${paths++}`);

function* namedTensors(checkpoint: Checkpoint) {
  const values = readAll(checkpoint);
  for (const { name, shape } of checkpoint.tensors.values()) yield { name, shape, data: values.get(name)! };
}

/** The values after rounding to a dtype, by the conversions tested in dtype.test.ts. */
function rounded(tensors: readonly NamedTensor[], dtype: FloatDtype): Map<string, Float32Array> {
  return new Map(
    tensors.map(({ name, data }) => {
      const values = new Float32Array(data.length);
      decodeFloats(dtype, encoded(dtype, data), values);
      return [name, values];
    }),
  );
}

describe("the tiny fixture", () => {
  it("has the same configuration and values in both of its files", async () => {
    const hf = await openCheckpoint(TINY);
    const llmc = await openCheckpoint(join(TINY, "model.bin"));
    assert.equal(hf.format, "huggingface");
    assert.equal(llmc.format, "llm.c");
    assert.deepEqual(hf.config, gpt2Config({ vocabSize: 512, nCtx: 64, nEmbd: 64, nHead: 4, nLayer: 2 }));
    assert.deepEqual(llmc.config, hf.config);
    assert.deepEqual(
      [...hf.tensors.keys()],
      tensorTable(hf.config).map((t) => t.name),
    );
    assert.deepEqual(readAll(llmc), readAll(hf));
    assert.deepEqual(hf.eosTokenIds, [511]);
    hf.close();
    llmc.close();
  });

  it("is written for llm.c byte for byte like another program's file", async () => {
    const path = freshPath();
    const hf = await openCheckpoint(TINY);
    await saveCheckpoint(path, { config: hf.config, tensors: namedTensors(hf) }, { format: "llm.c" });
    assert.deepEqual(readFileSync(path), readFileSync(join(TINY, "model.bin")));
    hf.close();
  });

  it("opens by its .safetensors file like by its folder", async () => {
    const file = await openCheckpoint(join(TINY, "model.safetensors"));
    const whole = await openCheckpoint(TINY);
    assert.deepEqual(readAll(file), readAll(whole));
    file.close();
    whole.close();
  });

  it("is described for `gpt2 info`", async () => {
    const hf = await openCheckpoint(TINY);
    const info = describeCheckpoint(hf);
    assert.equal(info.parameters, parameterCount(hf.config));
    assert.deepEqual(
      info.files.map(({ size }) => size),
      [325, 550152],
    );
    assert.equal(info.dtype, "f32");
    assert.deepEqual(info.tensors[4], {
      name: "h.0.attn.c_attn.weight",
      shape: [192, 64],
      dtype: "f32",
      storedAs: "in_out",
      bytes: 49152,
      file: join(TINY, "model.safetensors"),
    });
    assert.deepEqual(JSON.parse(JSON.stringify(info)), info);
    hf.close();
  });
});

describe("saving and opening", () => {
  const tensors = randomTensors(SMALL, 3);
  const values = new Map(tensors.map(({ name, data }) => [name, data]));
  const cases: [name: string, options: SaveOptions & { dtype?: FloatDtype }, files: number][] = [
    ["one safetensors file", { format: "huggingface" }, 3],
    ["one safetensors file, f16", { dtype: "f16" }, 3],
    ["one safetensors file, bf16", { dtype: "bf16" }, 3],
    ["shards", { maxShardBytes: 1200 }, 8],
    ["a shard for each tensor, f16", { maxShardBytes: 1, dtype: "f16" }, 31],
    ["llm.c", { format: "llm.c" }, 1],
    ["llm.c bf16", { format: "llm.c", dtype: "bf16" }, 1],
  ];
  for (const [name, options, files] of cases) {
    it(`preserves the values: ${name}`, async () => {
      const path = freshPath();
      await saveCheckpoint(path, { config: SMALL, tensors }, options);
      const checkpoint = await openCheckpoint(path);
      assert.deepEqual(checkpoint.config, SMALL);
      assert.equal(checkpoint.dtype, options.dtype ?? "f32");
      assert.equal(checkpoint.format, options.format ?? "huggingface");
      assert.deepEqual(readAll(checkpoint), rounded(tensors, options.dtype ?? "f32"));
      if (options.format !== "llm.c") assert.equal(readdirSync(path).length, files);
      // Values are rounded only once: saving a model that was read gives the same file.
      const again = freshPath();
      await saveCheckpoint(again, { config: SMALL, tensors: namedTensors(checkpoint) }, options);
      const second = await openCheckpoint(again);
      assert.deepEqual(readAll(second), readAll(checkpoint));
      checkpoint.close();
      second.close();
    });
  }

  it("gives the same bytes in whatever order the tensors come", async () => {
    for (const format of ["huggingface", "llm.c"] as const) {
      const [forward, backward] = [freshPath(), freshPath()];
      await saveCheckpoint(forward, { config: SMALL, tensors }, { format });
      await saveCheckpoint(backward, { config: SMALL, tensors: tensors.toReversed() }, { format });
      const file = (path: string): Buffer => readFileSync(format === "llm.c" ? path : join(path, "model.safetensors"));
      assert.deepEqual(file(backward), file(forward));
    }
  });

  it("keeps metadata, end-of-text id, an unusual epsilon and width of the feed-forward layer", async () => {
    const config = gpt2Config({ ...SMALL, nInner: 7, layerNormEpsilon: 1e-6 });
    const path = freshPath();
    const model = { config, tensors: randomTensors(config, 1), metadata: { recipe: "none" }, eosTokenIds: [3, 4] };
    await saveCheckpoint(path, model);
    const checkpoint = await openCheckpoint(path);
    assert.deepEqual(checkpoint.config, config);
    assert.equal(checkpoint.metadata.recipe, "none");
    assert.deepEqual([checkpoint.bosTokenId, checkpoint.eosTokenIds], [undefined, [3, 4]]);
    assert.deepEqual(readAll(checkpoint), new Map(randomTensors(config, 1).map(({ name, data }) => [name, data])));
    checkpoint.close();
  });

  it("replaces weights in a folder, removes obsolete files, and leaves others", async () => {
    const path = freshPath();
    await saveCheckpoint(path, { config: SMALL, tensors: randomTensors(SMALL, 8) }, { maxShardBytes: 1200 });
    writeFileSync(join(path, "vocab.json"), "{}");
    await saveCheckpoint(path, { config: SMALL, tensors });
    const names = ["config.json", "generation_config.json", "model.safetensors", "vocab.json"];
    assert.deepEqual(readdirSync(path).sort(), names);
    const single = await openCheckpoint(path);
    assert.deepEqual(readAll(single), values);
    assert.deepEqual(single.tokenizerFiles, { vocabJson: join(path, "vocab.json") });
    single.close();
    await saveCheckpoint(path, { config: SMALL, tensors }, { maxShardBytes: 1200 });
    assert.ok(!existsSync(join(path, "model.safetensors")));
    const sharded = await openCheckpoint(path);
    assert.deepEqual(readAll(sharded), values);
    sharded.close();
  });

  it("accepts tensors from an asynchronous source", async () => {
    async function* slowly() {
      for (const tensor of tensors) yield await Promise.resolve(tensor);
    }
    const path = freshPath();
    await saveCheckpoint(path, { config: SMALL, tensors: slowly() });
    const checkpoint = await openCheckpoint(path);
    assert.deepEqual(readAll(checkpoint), values);
    checkpoint.close();
  });

  const broken: [name: string, model: () => Parameters<typeof saveCheckpoint>[1], SaveOptions, RegExp][] = [
    ["a tensor left out", () => ({ config: SMALL, tensors: tensors.slice(0, -1) }), {}, /ln_f\.bias.*got none/],
    ["a tensor twice", () => ({ config: SMALL, tensors: [...tensors, tensors[2]!] }), {}, /h\.0\.ln_1\.weight.*repeat/],
    ["another shape", () => ({ config: SMALL, tensors: withTensor(1, { shape: [6, 5] }) }), {}, /wpe.*\[5, 6\]/],
    [
      "too few values",
      () => ({ config: SMALL, tensors: withTensor(1, { data: new Float32Array(3) }) }),
      {},
      /3 values/,
    ],
    [
      "NaN",
      () => ({ config: SMALL, tensors: withTensor(4, { data: new Float32Array(108).fill(Number.NaN) }) }),
      {},
      /c_attn\.weight.*finite values, got NaN/,
    ],
    [
      "a value too large for f16",
      () => ({ config: SMALL, tensors: withTensor(0, { data: new Float32Array(66).fill(65520) }) }),
      { dtype: "f16" },
      /wte\.weight.*f16 can hold, got 65520/,
    ],
  ];
  function withTensor(i: number, change: Partial<(typeof tensors)[number]>) {
    return tensors.with(i, { ...tensors[i]!, ...change });
  }
  for (const [name, model, options, message] of broken) {
    it(`refuses ${name}, and leaves existing files unchanged`, async () => {
      const path = freshPath();
      await saveCheckpoint(path, { config: SMALL, tensors });
      await assert.rejects(saveCheckpoint(path, model(), options), (error: Error) => {
        assert.ok(error instanceof CheckpointError);
        assert.match(error.message, message);
        return true;
      });
      const still = await openCheckpoint(path);
      assert.deepEqual(readAll(still), values);
      still.close();
      assert.deepEqual(
        readdirSync(folder).filter((entry) => entry.startsWith(".")),
        [],
      );
    });
  }

  it("refuses what llm.c's format cannot hold", async () => {
    const save = (config: typeof SMALL, options: SaveOptions) =>
      saveCheckpoint(freshPath(), { config, tensors: randomTensors(config, 1) }, { format: "llm.c", ...options });
    await assert.rejects(save(SMALL, { dtype: "f16" }), UsageError);
    await assert.rejects(save(gpt2Config({ ...SMALL, nInner: 7 }), {}), ConfigError);
    await assert.rejects(save(gpt2Config({ ...SMALL, layerNormEpsilon: 1e-6 }), {}), ConfigError);
  });
});

describe("tensors in files", () => {
  const tensors = randomTensors(SMALL, 5);

  it("are views of a file in memory, whatever its address", () => {
    const bytes = encodeSafetensors(huggingFaceTensors(SMALL, tensors));
    const { tensors: found } = loadSmall(configJson(SMALL), bytes);
    const wte = found.get("wte.weight")!;
    assert.equal(wte.inMemory, true);
    assert.equal(wte.data.buffer, bytes.buffer);
    assert.deepEqual(new Float32Array(wte.data.slice().buffer), tensors[0]!.data);
    const moved = new Uint8Array(bytes.length + 1);
    moved.set(bytes, 1);
    const unaligned = loadSmall(configJson(SMALL), moved.subarray(1));
    assert.deepEqual(readAll(unaligned), new Map(tensors.map(({ name, data }) => [name, data])));
  });

  it("are read a few rows at a time, in either layout", () => {
    const { tensors: found } = loadSmall(configJson(SMALL), encodeSafetensors(huggingFaceTensors(SMALL, tensors)));
    for (const { name, shape, data } of tensors) {
      if (shape.length === 1) continue;
      const cols = shape[1]!;
      const rows = new Float32Array(2 * cols);
      found.get(name)!.readRows(1, rows);
      assert.deepEqual(rows, data.subarray(cols, 3 * cols), name);
    }
  });

  it("name file, tensor and position of the first value that is not finite", () => {
    const broken = huggingFaceTensors(SMALL, tensors).map((tensor) => {
      if (tensor.name === "h.1.mlp.c_fc.weight") new Float32Array((tensor.data as Uint8Array).buffer)[53] = Number.NaN;
      if (tensor.name === "wpe.weight") new Float32Array((tensor.data as Uint8Array).buffer)[7] = -1 / 0;
      return tensor;
    });
    const { tensors: found } = loadSmall(configJson(SMALL), encodeSafetensors(broken));
    const fc = found.get("h.1.mlp.c_fc.weight")!;
    const message = /model\.safetensors: tensor h\.1\.mlp\.c_fc\.weight, index \[2, 5\] of \[6, 24\]: .*finite.*NaN/;
    assert.throws(() => fc.readInto(new Float32Array(6 * 24)), { name: "CheckpointError", message });
    const wpe = found.get("wpe.weight")!;
    const place = { name: "CheckpointError", message: /wpe\.weight, index \[1, 1\] of \[5, 6\]: .*-Infinity/ };
    assert.throws(() => wpe.checkFinite(), place);
    assert.throws(() => wpe.readInto(new Float32Array(30)), place);
  });

  it("refuse an array of another size", () => {
    const { tensors: found } = loadSmallLlmc(llmcFile(SMALL, tensors));
    assert.throws(() => found.get("wte.weight")!.readInto(new Float32Array(12)), ShapeError);
  });

  it("may be of different types, f64 too", () => {
    const mixed = huggingFaceTensors(SMALL, tensors).map((tensor, i) => {
      const values = new Float32Array((tensor.data as Uint8Array).buffer);
      return i === 1 ? { ...tensor, dtype: "F64" as const, data: encoded("f64", values) } : tensor;
    });
    const checkpoint = loadSmall(configJson(SMALL), encodeSafetensors(mixed));
    assert.deepEqual(readAll(checkpoint), new Map(tensors.map(({ name, data }) => [name, data])));
    assert.equal(checkpoint.tensors.get("wpe.weight")!.dtype, "f64");
    assert.equal(checkpoint.dtype, "f32");
  });

  it("larger than one piece are converted and transposed completely", () => {
    const config = gpt2Config({ vocabSize: 300_001, nCtx: 3, nEmbd: 1, nHead: 1, nLayer: 1, nInner: 300_007 });
    const large = randomTensors(config, 2);
    const checkpoint = loadSmall(configJson(config), encodeSafetensors(huggingFaceTensors(config, large, "f16")));
    assert.deepEqual(readAll(checkpoint), rounded(large, "f16"));
  });
});

describe("names and variants of Hugging Face files", () => {
  const tensors = randomTensors(SMALL, 6);
  const plain = huggingFaceTensors(SMALL, tensors);
  const want = new Map(tensors.map(({ name, data }) => [name, data]));
  const load = (inputs: typeof plain, changes = {}) =>
    readAll(loadSmall(configJson(SMALL, changes), encodeSafetensors(inputs)));
  const prefixed = plain.map((tensor) => ({ ...tensor, name: `transformer.${tensor.name}` }));
  const mask = { dtype: "F32", shape: [1, 1, 5, 5], data: new Float32Array(25).fill(Number.NaN) } as const;
  const head = { ...plain[0]!, name: "lm_head.weight" };

  it("with prefix or without, with mask buffers, with a head that repeats wte", () => {
    assert.deepEqual(load(prefixed), want);
    assert.deepEqual(load([...plain, { ...mask, name: "h.0.attn.bias" }]), want);
    const masked = {
      dtype: "F32",
      shape: [],
      data: new Float32Array(1),
      name: "transformer.h.1.attn.masked_bias",
    } as const;
    assert.deepEqual(load([...prefixed, masked, head]), want);
  });

  it("with heads beside the language model's, but not in place of it", () => {
    const other = { dtype: "F32", shape: [1, 2], data: new Float32Array(2) } as const;
    for (const name of ["multiple_choice_head.summary.weight", "v_head.summary.weight"]) {
      assert.deepEqual(load([...prefixed, head, { ...other, name }]), want);
    }
    for (const name of ["qa_outputs.weight", "classifier.weight"]) {
      assert.throws(() => load([...prefixed, { ...other, name }]), /an unknown one.*It is the head of another task/);
    }
  });

  it("with an untied head, which is then a tensor of the model", () => {
    const data = encoded("f32", new RandomArrays(7).floats(66));
    const got = load([...prefixed, { ...head, data }], { tie_word_embeddings: false });
    assert.deepEqual(got, new Map([...want, ["lm_head.weight", new Float32Array(data.buffer)]]));
  });

  it("with the common names of sizes, and defaults for missing ones", () => {
    const { n_embd, n_layer, n_head, n_positions, n_ctx, n_inner, ...rest } = configJson(SMALL);
    assert.ok(n_ctx === n_positions && n_inner === null);
    const common = { hidden_size: n_embd, num_hidden_layers: n_layer, num_attention_heads: n_head };
    const config = { ...rest, ...common, max_position_embeddings: n_positions };
    assert.deepEqual(readAll(loadSmall(config, encodeSafetensors(plain))), want);
    assert.deepEqual(load(plain, { activation_function: "gelu_pytorch_tanh", reorder_and_upcast_attn: true }), want);
    const empty = () => loadSmall({ model_type: "gpt2" }, encodeSafetensors(plain));
    assert.throws(empty, { message: /"wte\.weight": expected shape \[50257, 768\], got \[11, 6\]/ });
  });

  it("from sources that are not files", () => {
    const shards = [encodeSafetensors(plain.slice(0, 5)), encodeSafetensors(plain.slice(5))];
    const map = plain.map(({ name }, i) => [name, `part-${i < 5 ? 0 : 1}.safetensors`]);
    const files = memoryFiles("memory", {
      "config.json": jsonBytes(configJson(SMALL)),
      "m.index.json": jsonBytes({ weight_map: Object.fromEntries(map) }),
      "part-0.safetensors": shards[0]!,
      "part-1.safetensors": shards[1]!,
    });
    const checkpoint = openHuggingFace("m.index.json", files);
    assert.deepEqual(readAll(checkpoint), want);
    const wte = checkpoint.tensors.get("wte.weight")!;
    checkpoint.close();
    assert.throws(() => wte.readInto(new Float32Array(66)), { name: "CheckpointError", message: /closed/ });
  });
});

describe("mapped files", () => {
  it("come from the mapper and are used in place; without one, ranges are read", async () => {
    const path = join(TINY, "model.bin");
    const whole = new Uint8Array(readFileSync(path));
    const mapped: string[] = [];
    const mapFile: FileMapper = (file) => {
      mapped.push(file);
      return { size: whole.length, bytes: (offset, length) => whole.subarray(offset, offset + length) };
    };
    const checkpoint = await openCheckpoint(path, { mapFile });
    assert.ok(mapped.includes(path));
    for (const tensor of checkpoint.tensors.values()) {
      const { offset, length } = tensor.mapped!;
      assert.deepEqual(whole.subarray(offset, offset + length), tensor.data);
    }
    for (const access of [{ mapFile: () => undefined }, {}]) {
      const read = await openCheckpoint(path, access);
      assert.equal(read.tensors.get("wte.weight")!.mapped, undefined);
      assert.deepEqual(readAll(read), readAll(checkpoint));
      const wpe = read.tensors.get("wpe.weight")!;
      assert.deepEqual(wpe.data, checkpoint.tensors.get("wpe.weight")!.data);
      read.close();
      assert.throws(() => wpe.data, { name: "CheckpointError", message: /closed/ });
    }
  });
});
