import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stemOf } from "../../src/pretrained/convert.js";
import { openCheckpoint, saveCheckpoint } from "../../src/pretrained/node.js";
import { saveTokenizer } from "../../src/tokenizer/files.js";
import { packageFile } from "../../src/util/package-root.js";
import { byteTokenizer, END_OF_TEXT_ID, recitingTensors } from "../generate/models.js";
import { gpt2 } from "./run.js";

/**
 * The model's continuation of one byte, whatever its weights are rounded to; its rows of 257 values do not divide into
 * blocks.
 */
const LINE = "It was a café; the rain fell.";
const SCRIPT = [...byteTokenizer().encode(LINE), END_OF_TEXT_ID];

const folder = mkdtempSync(join(tmpdir(), "gpt2-quantize-"));
const reciting = join(folder, "reciting");
const converted = packageFile("test/fixtures/gguf/converted-f32.gguf");
const out = join(folder, "out.gguf");
const PARALLEL = { concurrency: 3 };

before(async () => {
  await saveCheckpoint(reciting, recitingTensors(SCRIPT, 64));
  await saveTokenizer(byteTokenizer(), reciting);
});
after(() => rmSync(folder, { recursive: true }));

describe("gpt2 quantize", () => {
  it("writes a file and reports its size", async () => {
    const { stdout, stderr, status } = await gpt2(["quantize", converted, "--to", "q8_0", "--out", out]);
    assert.equal(status, 0, stderr);
    const lines = stdout.trimEnd().split("\n");
    assert.equal(lines.length, 2);
    assert.match(lines[0]!, /converted-f32\.gguf {2}GGUF, f32, 157 kB$/);
    assert.match(lines[1]!, /out\.gguf {2}GGUF, q8_0, \d+\.\d kB, 2\.8\d times smaller, in \d+\.\d s$/);
    const info = await gpt2(["info", out]);
    assert.match(info.stdout, /format +GGUF, q8_0, .*tokenizer +in the file\nmetadata name +seeded/s);
  });

  it("replaces a file only with --overwrite", async () => {
    const path = join(folder, "there.gguf");
    writeFileSync(path, "mine");
    const refused = await gpt2(["quantize", converted, "--out", path]);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /expected nothing there, got .*there\.gguf\. Choose another name/);
    assert.equal(readFileSync(path, "utf8"), "mine");
    const replaced = await gpt2(["quantize", converted, "--out", path, "--overwrite", "--to", "q4_0"]);
    assert.equal(replaced.status, 0, replaced.stderr);
    assert.ok(statSync(path).size > 10_000);
  });

  it("names tensors whose rows do not divide into blocks; the file runs, with its tokenizer", async () => {
    const path = join(folder, "reciting.gguf");
    const { stdout } = await gpt2(["quantize", reciting, "--to", "q4_0", "--out", path]);
    assert.match(stdout, /^.*reciting {2}Hugging Face, f32/);
    // Rows of 257 values in c_attn, c_proj and c_fc, of one in mlp.c_proj.
    assert.match(
      stdout,
      /\nin f16, because rows of 257, 1 values are not whole blocks of 32: wte\.weight, .* and 2 more\n/,
    );
    const said = await gpt2(["X", "--model", path]);
    assert.deepEqual([said.stdout, said.stderr, said.status], [`X${LINE}\n`, "", 0]);
  });

  it("refuses unknown types and impossible paths", PARALLEL, async () => {
    const type = await gpt2(["quantize", converted, "--to", "q3_K", "--out", join(folder, "x.gguf")]);
    assert.equal(type.status, 2);
    assert.match(type.stderr, /'q3_K' is invalid\. Allowed choices are f32, f16, bf16, q8_0, q4_0/);
    const place = await gpt2(["quantize", converted, "--out", join(converted, "x.gguf")]);
    assert.equal(place.status, 1);
    assert.match(place.stderr, /expected a folder .*converted-f32\.gguf/);
  });

  it("takes a folder with one GGUF file, and refuses one with two", async () => {
    const models = join(folder, "models");
    mkdirSync(models);
    cpSync(converted, join(models, "one.gguf"));
    assert.match((await gpt2(["info", models])).stdout, /GGUF, f32, 157 kB in one\.gguf/);
    cpSync(converted, join(models, "two.gguf"));
    assert.match((await gpt2(["info", models])).stderr, /a folder with several GGUF files/);
  });

  it("shows a file's metadata on one line each", async () => {
    const path = join(folder, "named.gguf");
    const checkpoint = await openCheckpoint(converted);
    const { config, tensors } = checkpoint;
    const metadata = { name: "a\nb\u001b[2Jc", author: "Ä 日" };
    await saveCheckpoint(path, { config, tensors: tensors.values(), metadata });
    checkpoint.close();
    const { stdout } = await gpt2(["info", path]);
    assert.match(stdout, /\nmetadata name +a\\nb\\u001b\[2Jc\nmetadata author +Ä 日\n$/);
    assert.match(stdout, /\ntokenizer +none beside the model\n/);
  });

  it("leaves no temporary files", () => {
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith(".")),
      [],
    );
  });
});

describe("the name of the new file", () => {
  const stems: Readonly<Record<string, string>> = {
    "models/default": "default",
    "openai-community/gpt2": "gpt2",
    "out/my-model/model.safetensors": "my-model",
    "runs/ckpt.pt": "runs",
    "a/gpt2_124M.bin": "gpt2_124M",
    "gpt2-f16.gguf": "gpt2",
    "gpt2.Q8_0.gguf": "gpt2",
    "gpt2-medium/": "gpt2-medium",
  };
  for (const [model, stem] of Object.entries(stems)) it(model, () => assert.equal(stemOf(model), stem));
});
