import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { GPT2 } from "../../src/gpt2.js";
import { type Checkpoint, encodeSafetensors, memoryFiles, openFolder } from "../../src/pretrained/index.js";
import { saveCheckpoint } from "../../src/pretrained/node.js";
import { saveTokenizer } from "../../src/tokenizer/files.js";
import { byteTokenizer } from "../generate/models.js";
import { configJson, huggingFaceTensors, jsonBytes, randomTensors, readAll, SMALL } from "./small-model.js";

/** Files that transformers loads although its own `save_pretrained` would write them differently. */

const tensors = randomTensors(SMALL, 1);
const values = new Map(tensors.map(({ name, data }) => [name, data]));
const inFile = huggingFaceTensors(SMALL, tensors);
const WEIGHTS = encodeSafetensors(inFile);
const config = (changes: Record<string, unknown> = {}): Uint8Array => jsonBytes(configJson(SMALL, changes));

const open = (files: Record<string, Uint8Array>): Promise<Checkpoint> => openFolder(memoryFiles("model", files));

async function assertSame(files: Record<string, Uint8Array>): Promise<void> {
  const checkpoint = await open({ "config.json": config(), ...files });
  assert.deepEqual(checkpoint.config, SMALL);
  assert.deepEqual(readAll(checkpoint), values);
  checkpoint.close();
}

describe("config.json", () => {
  const without = (...fields: string[]): Uint8Array => {
    const entries = Object.entries(configJson(SMALL)).filter(([field]) => !fields.includes(field));
    return jsonBytes(Object.fromEntries(entries));
  };

  it("without model_type is recognized by the class in architectures, else as a GPT-2", async () => {
    await assertSame({ "config.json": without("model_type"), "model.safetensors": WEIGHTS });
    await assertSame({ "config.json": without("model_type", "architectures"), "model.safetensors": WEIGHTS });
    const model = config({ model_type: undefined, architectures: ["GPT2Model"] });
    await assertSame({ "config.json": model, "model.safetensors": WEIGHTS });
  });

  it("may have NaN and infinities, as Python writes them, in unused fields", async () => {
    const text = new TextDecoder().decode(config({ note: 'a "NaN" in text, and -Infinity' }));
    const json = text.replace("{", '{"summary_first_dropout": NaN, "list": [Infinity, -Infinity], ');
    await assertSame({ "config.json": jsonBytes(json), "model.safetensors": WEIGHTS });
    const used = jsonBytes(text.replace(/"layer_norm_epsilon":[^,]+/, '"layer_norm_epsilon": NaN'));
    const message = /layer_norm_epsilon: expected a number, got "NaN"/;
    await assert.rejects(open({ "config.json": used, "model.safetensors": WEIGHTS }), message);
  });
});

describe("names of tensors", () => {
  for (const prefix of ["_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.transformer."]) {
    it(`with the prefix ${prefix}, as from torch.compile and DistributedDataParallel`, async () => {
      const wrapped = inFile.map((tensor) => ({ ...tensor, name: prefix + tensor.name }));
      await assertSame({ "model.safetensors": encodeSafetensors(wrapped) });
    });
  }
});

describe("a resized model", () => {
  it("scores ids that its tokenizer lacks, and never generates them", async () => {
    const folder = mkdtempSync(join(tmpdir(), "gpt2-resized-"));
    try {
      const wide = gpt2Config({ vocabSize: 300, nCtx: 16, nEmbd: 8, nHead: 2, nLayer: 1 });
      const eosTokenIds = [byteTokenizer().endOfText!];
      await saveCheckpoint(
        folder,
        { config: wide, tensors: randomTensors(wide, 1), eosTokenIds },
        { format: "huggingface" },
      );
      await saveTokenizer(byteTokenizer(), folder);
      const model = await GPT2.load(folder, { backend: "reference" });
      const { logprobs, bytes } = await model.score([65, 280, 66]);
      assert.ok(logprobs.length === 3 && logprobs.every(Number.isFinite));
      assert.equal(bytes, 2);
      const { tokens } = await model.complete([280], { maxNewTokens: 12, temperature: 5, topK: 0, seed: 1 });
      assert.ok(tokens.every((id) => id < 257));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("the index of shards", () => {
  const halves = [inFile.slice(0, 9), inFile.slice(9)];
  const names = ["a.safetensors", "b.safetensors"];
  const map = Object.fromEntries(halves.flatMap((half, i) => half.map(({ name }) => [name, names[i]])));
  const sharded = (weightMap: object, shards = halves) => ({
    "model.safetensors.index.json": jsonBytes({ metadata: {}, weight_map: weightMap }),
    ...Object.fromEntries(names.map((name, i) => [name, encodeSafetensors(shards[i]!)])),
  });

  it("that lists a tied head that is in no shard", () => assertSame(sharded({ ...map, "lm_head.weight": names[0] })));

  it("that does not list a mask buffer", () => {
    const mask = { ...inFile[2]!, name: "h.0.attn.bias" };
    return assertSame(sharded(map, [halves[0]!, [...halves[1]!, mask]]));
  });

  it("that places a tensor in another shard", () => assertSame(sharded({ ...map, "wte.weight": names[1] })));

  it("but a tensor that no shard has is reported by name", async () => {
    const files = sharded(map, [halves[0]!.slice(1), halves[1]!]);
    await assert.rejects(open({ "config.json": config(), ...files }), /tensor wte\.weight: .*no such tensor/);
  });
});
