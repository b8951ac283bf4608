import assert from "node:assert/strict";
import { constants } from "node:buffer";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { CheckpointError, GPT2Error } from "../../src/errors.js";
import { openCheckpoint, openFileSource } from "../../src/pretrained/node.js";
import { packageFile } from "../../src/util/package-root.js";
import { configJson, rawSafetensors, SMALL, smallSafetensors } from "./small-model.js";

const TINY = packageFile("test/fixtures/tiny");
const root = mkdtempSync(join(tmpdir(), "gpt2-files-"));
after(() => rmSync(root, { recursive: true }));
let count = 0;

async function assertRefused(path: string, message: RegExp): Promise<void> {
  await assert.rejects(openCheckpoint(path), (error: Error) => {
    assert.ok(error instanceof GPT2Error, `${error.stack}`);
    assert.match(error.message, message);
    assert.ok(error.message.includes(path), `names ${path}: ${error.message}`);
    return true;
  });
}

function folder(files: Readonly<Record<string, string | Uint8Array>>): string {
  const path = join(root, `${count++}`);
  mkdirSync(path);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

function file(name: string, content: string | Uint8Array): string {
  return join(folder({ [name]: content }), name);
}

const config = JSON.stringify(configJson(SMALL));
const gguf = Uint8Array.from([0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0]);
const zip = Uint8Array.from([0x50, 0x4b, 3, 4, 0, 0]);
const magic = (n: number): Uint8Array => new Uint8Array(new Int32Array([n, 1, 0, 0]).buffer);

describe("files that are not models", () => {
  const cases: [name: string, make: () => string, message: RegExp][] = [
    ["nothing there", () => join(root, "nothing"), /no such file or folder/],
    ["a path through a file", () => join(file("f", "x"), "model"), /runs through a file/],
    ["an empty folder", () => folder({}), /Hugging Face folder.*llm\.c model.*got an empty folder/],
    ["a folder of other things", () => folder({ "a.txt": "" }), /a folder without model files/],
    ["a folder of llm.c models", () => folder({ "gpt2_124M.bin": "" }), /give the path of one of them/],
    ["a folder with only config.json", () => folder({ "config.json": config }), /config\.json and no weights/],
    ["half a pytorch_model.bin", () => folder({ "config.json": config, "pytorch_model.bin": zip }), /zip archive/],
    ["tf_model.h5", () => folder({ "config.json": config, "tf_model.h5": "" }), /TensorFlow weights/],
    [
      "an OpenAI checkpoint",
      () => folder({ "hparams.json": "{}", "model.ckpt.index": "" }),
      /n_vocab: expected a number, got undefined/,
    ],
    ["a LoRA adapter", () => folder({ "adapter_config.json": "{}", "adapter_model.safetensors": "" }), /LoRA adapter/],
    ["a folder with several GGUF files", () => folder({ "x.gguf": gguf, "y.gguf": gguf }), /several GGUF files/],
    [
      "weights without config.json",
      () => folder({ "model.safetensors": smallSafetensors() }),
      /config\.json, got no such file/,
    ],
    [
      "a .safetensors file without config.json",
      () => file("a.safetensors", smallSafetensors()),
      /config\.json, got no such/,
    ],
    ["an empty .bin", () => file("a.bin", ""), /1024 bytes, got a file of 0 bytes/],
    ["text called .bin", () => file("a.bin", "hello ".repeat(1000)), /magic number 20240326/],
    ["the start of torch.save's zip", () => file("ckpt.pt", zip), /zip archive: .*the file is truncated/],
    ["a zip called .safetensors", () => file("a.safetensors", zip), /zip archive/],
    ["a pickle", () => file("x.pt", Uint8Array.from([0x80, 2, 0x8a])), /pickle/],
    ["the start of a GGUF file", () => file("a.gguf", gguf), /GGUF header: .*the file is truncated/i],
    ["HDF5", () => file("a.h5", Uint8Array.from([0x89, 0x48, 0x44, 0x46])), /HDF5/],
    ["a gzipped model", () => file("a.bin", Uint8Array.from([0x1f, 0x8b, 8])), /gzip/],
    ["a token shard", () => file("a.bin", magic(20240520)), /token shard/],
    ["a llm.c tokenizer", () => file("a.bin", magic(20240328)), /llm\.c tokenizer/],
    ["part of a TensorFlow checkpoint", () => file("model.ckpt.data-00000-of-00001", "x"), /TensorFlow/],
    ["an ONNX model", () => file("a.onnx", "x"), /ONNX/],
    ["an index by itself", () => file("model.safetensors.index.json", "{}"), /config\.json, got no such file/],
    ["anything else", () => file("a.txt", "x"), /a file of unknown kind/],
    ["an empty file", () => file("a", ""), /a file of unknown kind/],
    ["a link to itself", () => link(), /symbolic link that leads to itself/],
    ["a name too long", () => join(root, "n".repeat(300)), /name that is too long/],
  ];
  function link(): string {
    const path = join(root, `${count++}`);
    symlinkSync(path, path);
    return path;
  }
  for (const [name, make, message] of cases) it(`refuses ${name}`, () => assertRefused(make(), message));

  it("refuses a folder in place of each file", async () => {
    for (const name of ["config.json", "model.safetensors", "model.safetensors.index.json"]) {
      const other = name === "config.json" ? { "model.safetensors": smallSafetensors() } : { "config.json": config };
      const path = folder(other);
      mkdirSync(join(path, name));
      await assertRefused(path, /expected a file, got a folder/);
    }
  });

  it("refuses a shard that is missing, a folder, or truncated", async () => {
    const index = JSON.stringify({ weight_map: { "wte.weight": "s.safetensors" } });
    const path = folder({ "config.json": config, "model.safetensors.index.json": index });
    await assertRefused(path, /s\.safetensors: expected a readable file, got no such file/);
    writeFileSync(join(path, "s.safetensors"), smallSafetensors().subarray(0, 3000));
    await assertRefused(path, /s\.safetensors: .*truncated/);
    rmSync(join(path, "s.safetensors"));
    mkdirSync(join(path, "s.safetensors"));
    await assertRefused(path, /s\.safetensors: expected a file, got a folder/);
  });

  it("refuses a named pipe without waiting for it", { skip: process.platform === "win32" && "no pipes" }, async () => {
    const path = join(root, "pipe.bin");
    execFileSync("mkfifo", [path]);
    await assertRefused(path, /expected a file, got a device, pipe or socket/);
  });

  const root0 = process.getuid?.() === 0;
  it("refuses a file without read permission", { skip: process.platform === "win32" && "no modes" }, async () => {
    const path = file("a.bin", "x");
    chmodSync(path, 0);
    // The superuser may read anything: become nobody for one synchronous call.
    if (root0) chmodSync(root, 0o755);
    if (root0) process.seteuid!(65534);
    try {
      assert.throws(() => openFileSource(path), {
        name: "CheckpointError",
        message: /a\.bin: .*no permission to read/,
      });
    } finally {
      if (root0) process.seteuid!(0);
    }
  });

  it("says so if the file is truncated while it is open", () => {
    const path = file("a.bin", new Uint8Array(100));
    const source = openFileSource(path);
    assert.equal(source.bytes(40, 60).length, 60);
    truncateSync(path, 50);
    assert.throws(() => source.bytes(40, 60), {
      name: "CheckpointError",
      message: /60 bytes at 40, got 10\. The file was truncated/,
    });
    source.close();
  });

  it("refuses ranges outside the file", () => {
    const source = openFileSource(join(TINY, "config.json"));
    for (const [offset, length] of [
      [0, 326],
      [326, 0],
      [-1, 2],
      [0, -1],
      [0.5, 1],
      [2 ** 53, 1],
      [0, Number.NaN],
    ] as const) {
      assert.throws(() => source.bytes(offset, length), CheckpointError, `${offset}, ${length}`);
    }
    assert.equal(source.bytes(325, 0).length, 0);
    source.close();
  });

  it("reads beyond 4 GiB, from a sparse file", () => {
    const path = file("large.bin", "");
    const size = 5 * 2 ** 30;
    truncateSync(path, size);
    const source = openFileSource(path);
    assert.equal(source.size, size);
    assert.deepEqual([...source.bytes(size - 3, 3)], [0, 0, 0]);
    const message = /large\.bin.*longer than an array of this JavaScript engine/;
    // Newer engines can hold it; then there is nothing to refuse.
    if (constants.MAX_LENGTH < size) assert.throws(() => source.bytes(0, size), { name: "CheckpointError", message });
    source.close();
    rmSync(path);
  });

  it("leaves no file open after refusing", { skip: process.platform !== "linux" && "needs /proc" }, async () => {
    const before = readdirSync("/proc/self/fd").length;
    const bad = rawSafetensors({ x: 1 }, new Uint8Array(0));
    const index = JSON.stringify({ weight_map: { a: "a.safetensors", b: "b.safetensors" } });
    const paths = [
      folder({ "config.json": "{}", "model.safetensors": bad }),
      folder({ "config.json": config, "model.safetensors": bad }),
      folder({ "config.json": config, "model.safetensors.index.json": index, "a.safetensors": smallSafetensors() }),
      file("a.bin", "x"),
      file("a.txt", "x"),
    ];
    for (const path of paths) await assert.rejects(openCheckpoint(path), GPT2Error);
    (await openCheckpoint(TINY)).close();
    assert.equal(readdirSync("/proc/self/fd").length, before);
    // The count is right: one more open file is one more entry.
    openSync(join(TINY, "config.json"), "r");
    assert.equal(readdirSync("/proc/self/fd").length, before + 1);
  });

  it("opens links to files, as caches hold them", async () => {
    const path = folder({});
    const blob = file("0123abcd", "");
    copyFileSync(join(TINY, "model.safetensors"), blob);
    symlinkSync(blob, join(path, "model.safetensors"));
    symlinkSync(join(TINY, "config.json"), join(path, "config.json"));
    const checkpoint = await openCheckpoint(path);
    assert.equal(checkpoint.tensors.size, 28);
    checkpoint.close();
  });
});
