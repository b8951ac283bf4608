/** Files that torch.save wrote (test/fixtures/torch/README.md). */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type GPT2Config, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { decodeFloats, type FloatDtype } from "../../src/dtype/floats.js";
import { GPT2 } from "../../src/gpt2.js";
import { type Checkpoint, describeCheckpoint } from "../../src/pretrained/index.js";
import { openCheckpoint } from "../../src/pretrained/node.js";
import { packageFile } from "../../src/util/package-root.js";
import { assertClose } from "../helpers/compare.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { encoded, readAll } from "./small-model.js";
import { archiveEntries, withoutChecksums, writeSparseArchive } from "./torch-archive.js";

const FIXTURES = packageFile("test/fixtures/torch");
const root = mkdtempSync(join(tmpdir(), "gpt2-torch-"));
after(() => rmSync(root, { recursive: true }));

/** CONFIG, UNTIED and ODD of scripts/python/make_torch_fixture.py. */
const CONFIG = gpt2Config({ vocabSize: 19, nCtx: 7, nEmbd: 8, nLayer: 2, nHead: 2 });
/** nanoGPT computes the exact GELU. */
const NANOGPT = gpt2Config(CONFIG, { activation: "gelu" });
const UNTIED = gpt2Config(CONFIG, { tieWordEmbeddings: false });
const ODD = gpt2Config({ vocabSize: 19, nCtx: 7, nEmbd: 10, nLayer: 2, nHead: 2, nInner: 24 });
const SEED = 2718;

function seeded(config: GPT2Config): Map<string, Float32Array> {
  return new Map([...seededTensors(config, SEED)].map(([{ name }, values]) => [name, values]));
}

async function opened(path: string, check: (checkpoint: Checkpoint) => void): Promise<void> {
  const checkpoint = await openCheckpoint(join(FIXTURES, path));
  try {
    assert.equal(checkpoint.format, "pytorch");
    check(checkpoint);
  } finally {
    checkpoint.close();
  }
}

describe("files of torch.save", () => {
  const same: [path: string, config: GPT2Config][] = [
    ["hf", ODD],
    ["hf/pytorch_model.bin", ODD],
    ["hf-legacy", ODD],
    ["hf-sharded", ODD],
    ["nanogpt", NANOGPT],
    ["nanogpt/ckpt.pt", NANOGPT],
    ["build-nanogpt/model_00009.pt", CONFIG],
    ["mingpt", UNTIED],
    ["mingpt/model.pt", UNTIED],
  ];
  for (const [path, config] of same) {
    it(`${path} gives the values that PyTorch saved`, () =>
      opened(path, (checkpoint) => {
        assert.deepEqual(checkpoint.config, config);
        assert.deepEqual(readAll(checkpoint), seeded(config));
      }));
  }

  it("gives zeros for biases that a model lacks", () =>
    opened("nanogpt-no-bias", (checkpoint) => {
      assert.deepEqual(checkpoint.config, NANOGPT);
      const want = seeded(NANOGPT);
      for (const [name, values] of want) if (name.endsWith(".bias")) values.fill(0);
      assert.deepEqual(readAll(checkpoint), want);
    }));

  it("reads f16, bf16, f64 and f32, and a transposed view", () =>
    opened("hf-f16", (checkpoint) => {
      const kinds: FloatDtype[] = ["f16", "bf16", "f64", "f32"];
      // Every dtype in turn, in the order of the model's parameters, which is the table's.
      const want = new Map(
        [...seeded(ODD)].map(([name, values], i) => {
          const rounded = new Float32Array(values.length);
          decodeFloats(kinds[i % 4]!, encoded(kinds[i % 4]!, values), rounded);
          return [name, rounded];
        }),
      );
      assert.deepEqual(readAll(checkpoint), want);
      const { tensors } = describeCheckpoint(checkpoint);
      const layouts = new Map(tensors.map(({ name, storedAs }) => [name, storedAs]));
      assert.equal(layouts.get("h.0.attn.c_attn.weight"), "out_in", "the transposed view");
      assert.equal(layouts.get("h.1.attn.c_attn.weight"), "in_out");
    }));

  const logits = JSON.parse(readFileSync(join(FIXTURES, "logits.json"), "utf8")) as Record<string, number[]>;
  for (const [path, want] of Object.entries(logits)) {
    it(`${path} gives the logits of the program that made it`, async () => {
      await using model = await GPT2.load(join(FIXTURES, path), { backend: "reference" });
      const got = await model.logits([0, 1, 2, 3, 4, 5, 6]);
      // Rounding to single precision after each operation; GELU's approximation in place of the exact one is 7e-5 off.
      assertClose("logits", got, want, { relative: 2e-6 }, [7, 19]);
    });
  }

  it("describes the progress of a run, and its other contents", () =>
    opened("nanogpt", (checkpoint) => {
      assert.deepEqual(checkpoint.metadata, { iter_num: "5" });
      assert.equal(checkpoint.tokenizerFiles, undefined);
      const info = describeCheckpoint(checkpoint);
      assert.deepEqual(JSON.parse(JSON.stringify(info)), info);
    }));
});

describe("large files", () => {
  it("are read by offsets beyond 4 GiB, and only in part", async () => {
    const folder = mkdtempSync(join(root, "c-"));
    cpSync(join(FIXTURES, "hf", "config.json"), join(folder, "config.json"));
    const file = join(folder, "pytorch_model.bin");
    writeSparseArchive(
      file,
      2 ** 32 + 2 ** 30,
      archiveEntries(readFileSync(join(FIXTURES, "hf", "pytorch_model.bin"))),
    );
    const checkpoint = await openCheckpoint(folder);
    assert.ok(checkpoint.files.some(({ size }) => size > 5 * 2 ** 30));
    assert.deepEqual(readAll(checkpoint), seeded(ODD));
    checkpoint.close();
    rmSync(file);
  });
});

/** A copy of a fixture's folder with one file changed. */
function changed(folder: string, file: string, change: (bytes: Buffer) => Buffer): string {
  const copy = mkdtempSync(join(root, "c-"));
  cpSync(join(FIXTURES, folder), copy, { recursive: true });
  writeFileSync(join(copy, file), change(readFileSync(join(copy, file))));
  return copy;
}

/** The same file with one text replaced by another of equal length. */
const replaced = (from: string, to: string) => (bytes: Buffer) => {
  assert.equal(from.length, to.length);
  const text = Buffer.from(withoutChecksums(bytes)).toString("latin1");
  assert.ok(text.includes(from), from);
  return Buffer.from(text.replaceAll(from, to), "latin1");
};

describe("checksums of an archive", () => {
  /** One bit of an entry's data, at a position. */
  const flipped = (name: string, at: number) => (bytes: Buffer) => {
    archiveEntries(bytes).find((entry) => entry.name.endsWith(name))!.data[at]! ^= 1;
    return bytes;
  };

  it("are verified when the pickle is read, and a storage's when it is first used", async () => {
    const pickle = changed("hf", "pytorch_model.bin", flipped("data.pkl", 50));
    await assert.rejects(openCheckpoint(pickle), /data\.pkl" with the checksum \d+, got \d+\. The file is damaged/);
    const storage = changed("nanogpt", "ckpt.pt", flipped("data/0", 5));
    const access = { mapFile: (path: string) => mappedCopy(path) };
    for (const options of [{}, access]) {
      const checkpoint = await openCheckpoint(join(storage, "ckpt.pt"), options);
      const damaged = [...checkpoint.tensors.values()].filter((tensor) => {
        try {
          return tensor.mapped === undefined && tensor.data === undefined;
        } catch (error) {
          assert.match(String(error), /data\/0" with the checksum/);
          return true;
        }
      });
      assert.equal(damaged.length, 1);
      checkpoint.close();
    }
  });

  it("are ignored if PyTorch was set to omit them", async () => {
    const path = changed("hf", "pytorch_model.bin", (bytes) =>
      Buffer.from(withoutChecksums(flipped("data/0", 5)(bytes))),
    );
    await openCheckpoint(path).then((checkpoint) => readAll(checkpoint));
  });
});

function mappedCopy(path: string) {
  const bytes = new Uint8Array(readFileSync(path));
  return { size: bytes.length, bytes: (offset: number, length: number) => bytes.subarray(offset, offset + length) };
}

describe("files of torch.save that are refused", () => {
  const cases: [name: string, path: () => string, message: RegExp][] = [
    [
      "a name that is not on the list",
      () => changed("hf", "pytorch_model.bin", replaced("ctorch\nFloatStorage", "cposix\nsystem_call_")),
      /"posix\.system_call_", which is not read\. .*runs none/,
    ],
    [
      "a compressed entry",
      // The compression method in the directory's first entry.
      () =>
        changed("hf", "pytorch_model.bin", (b) =>
          b.fill(8, b.indexOf("PK\x01\x02") + 10, b.indexOf("PK\x01\x02") + 11),
        ),
      /entry "pytorch_model\/data\.pkl": expected an uncompressed entry, as torch\.save writes, got deflate/,
    ],
    [
      "half a file",
      () => changed("hf", "pytorch_model.bin", (b) => b.subarray(0, 9000)),
      /none: the file is truncated/,
    ],
    [
      "half a file of the old form",
      () => changed("hf-legacy", "pytorch_model.bin", (b) => b.subarray(0, 9000)),
      /truncated/,
    ],
    [
      "more bytes after the last storage",
      () => changed("hf-legacy", "pytorch_model.bin", (b) => Buffer.concat([b, b.subarray(0, 1)])),
      /There are bytes after the last storage/,
    ],
    [
      "numbers of the other byte order",
      () => changed("hf", "pytorch_model.bin", replaced("little", "big!!!")),
      /little-endian numbers, got byteorder "big!!!"/,
    ],
    [
      "weights of transformers without config.json",
      () => onlyFile("hf/pytorch_model.bin"),
      /the number of heads, which tensor shapes do not reveal, got only weights/,
    ],
    [
      "a setting that other models have",
      () => join(changed("nanogpt", "ckpt.pt", replaced("block_size", "use_rmsnor")), "ckpt.pt"),
      /model_args\.use_rmsnor: expected only settings of nanoGPT and minGPT, got 7/,
    ],
    [
      "a size that is not the tensors'",
      () => `${changed("mingpt", "config.json", replaced('"n_embd": 8', '"n_embd": 9'))}/model.pt`,
      /model\.n_embd: expected 8, the tensors' size, got 9/,
    ],
    [
      "a missing tensor",
      () =>
        changed("nanogpt", "ckpt.pt", replaced("_orig_mod.transformer.ln_f.bias", "_orig_mod.transformer.ln_f.bees")),
      /tensor ln_f\.bias: expected shape \[8\], got no such tensor/,
    ],
    [
      "a missing shard",
      () => onlyFile("hf-sharded/pytorch_model.bin.index.json", "config.json"),
      /pytorch_model-0000.-of-00002\.bin: .*no such file/,
    ],
  ];
  function onlyFile(path: string, ...others: string[]): string {
    const copy = mkdtempSync(join(root, "c-"));
    const [folder = "", file = ""] = path.split("/");
    for (const name of [file, ...others]) cpSync(join(FIXTURES, folder, name), join(copy, name));
    return copy;
  }
  for (const [name, path, message] of cases) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(openCheckpoint(path()), { message, name: /^(CheckpointError|ConfigError)$/ });
    });
  }
});
