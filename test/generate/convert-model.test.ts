import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type GPT2Config, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import { ConfigError, UsageError } from "../../src/errors.js";
import { type ConvertOptions, convertModel } from "../../src/pretrained/convert.js";
import { openCheckpoint, saveCheckpoint } from "../../src/pretrained/node.js";
import { formatOfName } from "../../src/pretrained/save.js";
import { tokenizerOf } from "../../src/pretrained/tokenizer.js";
import { saveTokenizer } from "../../src/tokenizer/files.js";
import { packageFile } from "../../src/util/package-root.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { byteTokenizer } from "./models.js";

const folder = mkdtempSync(join(tmpdir(), "gpt2-convert-"));
after(() => rmSync(folder, { recursive: true }));
let count = 0;
const fresh = (name: string): string => join(folder, String(count++), name);

/** Rows of whole blocks, so that GGUF's types can be used. */
const CONFIG = gpt2Config({ vocabSize: 257, nCtx: 8, nEmbd: 32, nHead: 2, nLayer: 2 });

async function source(config: GPT2Config = CONFIG, tokenizer = true): Promise<string> {
  const path = fresh("source");
  const tensors = Array.from(seededTensors(config, 3), ([{ name, shape }, data]) => ({ name, shape, data }));
  await saveCheckpoint(path, { config, tensors, metadata: { license: "MIT" }, bosTokenId: 1, eosTokenIds: [2] });
  if (tokenizer) await saveTokenizer(byteTokenizer(), path);
  return path;
}

/** All values and settings that a conversion must keep. */
async function contents(path: string) {
  const checkpoint = await openCheckpoint(path);
  const values = new Map<string, Float32Array>();
  for (const [name, tensor] of checkpoint.tensors) {
    const data = new Float32Array(numel(tensor.shape));
    tensor.readInto(data);
    values.set(name, data);
  }
  const { config, bosTokenId, eosTokenIds, metadata, dtype } = checkpoint;
  const vocabulary = (await tokenizerOf(checkpoint))?.vocabulary;
  checkpoint.close();
  // A GGUF tokenizer knows which tokens start and end a text; elsewhere the model does.
  const { startOfText: _start, endOfText: _end, ...tokens } = vocabulary ?? {};
  return { config, bosTokenId, eosTokenIds, metadata, dtype, vocabulary: vocabulary && tokens, values };
}

describe("converting", () => {
  it("preserves every bit from one format to the next and back", { skip: LIKE_OTHERS }, async () => {
    const from = await source();
    const before = await contents(from);
    let path = from;
    for (const name of ["a.gguf", "b.bin", "c", "d.bin", "e.gguf", "f"]) {
      const to = fresh(name);
      const { format, dtype, tokenizer, files } = await convertModel(path, to);
      assert.deepEqual([format, dtype, tokenizer], [formatOfName(to).name, "f32", 257]);
      assert.ok(files.every(({ path, size }) => readFileSync(path).length === size));
      const now = await contents(to);
      assert.deepEqual(now.values, before.values, name);
      assert.deepEqual(now.config, before.config);
      assert.deepEqual(now.vocabulary, before.vocabulary);
      path = to;
    }
  });

  it("rounds to the requested type, and by default keeps the source's type where it can", async () => {
    const from = await source();
    for (const [name, dtype, expected] of [
      ["x", "f16", "f16"],
      ["x.bin", "bf16", "bf16"],
      ["x.gguf", "q8_0", "q8_0"],
    ] as const) {
      const to = fresh(name);
      assert.equal((await convertModel(from, to, { dtype })).dtype, expected);
      assert.equal((await contents(to)).dtype, expected);
      assert.equal((await convertModel(to, fresh("again"))).dtype, expected === "q8_0" ? "f32" : expected);
    }
    const half = fresh("half");
    await convertModel(from, half, { dtype: "f16" });
    assert.equal((await convertModel(half, fresh("x.bin"))).dtype, "f32", "llm.c has no f16");
    assert.equal((await convertModel(half, fresh("x.gguf"))).dtype, "f16");
  });

  it("copies the files that belong to the model", async () => {
    const from = await source();
    writeFileSync(join(from, "tokenizer_config.json"), '{"model_max_length":8}');
    const to = fresh("copy");
    const { files } = await convertModel(from, to, { dtype: "bf16", maxShardBytes: 20_000 });
    const names = files.map(({ path }) => path.slice(to.length + 1));
    assert.ok(names.includes("model.safetensors.index.json") && names.includes("tokenizer_config.json"));
    assert.deepEqual(names, readdirSync(to).sort());
    const { metadata, bosTokenId, eosTokenIds } = await contents(to);
    assert.deepEqual([metadata.license, bosTokenId, eosTokenIds], ["MIT", 1, [2]]);
    for (const name of ["tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"]) {
      assert.deepEqual(readFileSync(join(to, name)), readFileSync(join(from, name)));
    }
    const llmc = await convertModel(from, fresh("m.bin"));
    assert.deepEqual(
      llmc.files.map(({ path }) => path.split("/").at(-1)),
      ["m.bin", "gpt2_tokenizer.bin", "tokenizer.json"],
    );
    const without = await convertModel(await source(CONFIG, false), fresh("m.bin"));
    assert.deepEqual([without.tokenizer, without.files.length], [undefined, 1]);
  });

  it("reads files of PyTorch, TensorFlow and llama.cpp", async () => {
    const fixtures = [
      ...["hf", "hf-f16", "hf-sharded", "nanogpt/ckpt.pt"].map((name) => `torch/${name}`),
      ...["openai", "trained"].map((name) => `tensorflow/${name}`),
      ...["f32", "q8_0"].map((type) => `gguf/converted-${type}.gguf`),
    ];
    for (const fixture of fixtures) {
      const from = packageFile(`test/fixtures/${fixture}`);
      const to = fresh("converted");
      await convertModel(from, to);
      const { values, config, vocabulary } = await contents(from);
      const now = await contents(to);
      assert.deepEqual([now.config, now.vocabulary], [config, vocabulary], fixture);
      assert.deepEqual(now.values, values, fixture);
    }
  });

  it("converts the package's own model, which is f16 and has its own tokenizer", { skip: LIKE_OTHERS }, async () => {
    const to = fresh("default.gguf");
    const { tokenizer, dtype } = await convertModel(packageFile("models/default"), to);
    assert.deepEqual([tokenizer, dtype], [8192, "f16"]);
    const { vocabulary } = await contents(packageFile("models/default"));
    assert.deepEqual((await contents(to)).vocabulary, vocabulary);
  });

  it("reports its progress, and stops when aborted, leaving nothing", async () => {
    const from = await source();
    for (const name of ["x.gguf", "x.bin", "x"]) {
      const seen: [number, number][] = [];
      await convertModel(from, fresh(name), { onProgress: (done, total) => seen.push([done, total]) });
      assert.ok(seen.length > 10 && seen.every(([done], i) => i === 0 || done > seen[i - 1]![0]));
      assert.equal(seen.at(-1)![0], seen.at(-1)![1]);
      const controller = new AbortController();
      const to = fresh(name);
      const options: ConvertOptions = { signal: controller.signal, onProgress: () => controller.abort() };
      await assert.rejects(convertModel(from, to, options), { name: "AbortError" });
      assert.deepEqual(readdirSync(join(to, "..")), []);
    }
  });

  it("replaces nothing without overwrite", async () => {
    const from = await source();
    for (const name of ["x.gguf", "x.bin", "x"]) {
      const to = fresh(name);
      await convertModel(from, to);
      await assert.rejects(convertModel(from, to), (error: Error) => {
        return (
          error instanceof UsageError &&
          /expected nothing there/.test(error.message) &&
          /--overwrite/.test(error.message)
        );
      });
      assert.equal((await convertModel(from, to, { overwrite: true })).path, to);
    }
    const shared = fresh("a.bin");
    await convertModel(from, shared);
    await convertModel(from, join(shared, "../b.bin"));
    await assert.rejects(
      convertModel(packageFile("models/default"), join(shared, "../c.bin")),
      /expected nothing there, got .*gpt2_tokenizer\.bin/,
    );
    const notes = fresh("notes");
    await convertModel(from, notes);
    for (const name of readdirSync(notes)) rmSync(join(notes, name));
    writeFileSync(join(notes, "notes.txt"), "keep");
    await convertModel(from, notes);
    assert.equal(readFileSync(join(notes, "notes.txt"), "utf8"), "keep");
  });

  it("says what cannot be converted", async () => {
    const from = await source();
    await assert.rejects(
      convertModel(from, fresh("x.bin"), { dtype: "f16" }),
      /llm\.c: dtype: expected f32 or bf16, got f16/,
    );
    await assert.rejects(
      convertModel(from, fresh("x"), { dtype: "q8_0" }),
      /Hugging Face: dtype: expected f32 or f16 or bf16/,
    );
    await assert.rejects(convertModel(from, fresh("x.safetensors")), /A Hugging Face model is a folder/);
    for (const name of ["x", "x.gguf", "x.bin"]) {
      const through = join(from, "config.json", name);
      await assert.rejects(convertModel(from, through), { name: "CheckpointError", message: /expected a folder/ });
    }
    assert.equal((await convertModel(from, fresh("odd.name"), { to: "gguf" })).format, "gguf");
    const wide = await source(gpt2Config({ ...CONFIG, nInner: 40 }), false);
    const to = fresh("x.bin");
    await assert.rejects(convertModel(wide, to), ConfigError);
    assert.deepEqual(readdirSync(join(to, "..")), []);
  });
});
