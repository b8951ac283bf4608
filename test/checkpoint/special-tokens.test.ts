import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { GPT2 } from "../../src/gpt2.js";
import { convertModel } from "../../src/pretrained/convert.js";
import { openCheckpoint, saveCheckpoint } from "../../src/pretrained/node.js";
import { saveTokenizer } from "../../src/tokenizer/files.js";
import { packageFile } from "../../src/util/package-root.js";
import { byteTokenizer, recitingTensors } from "../generate/models.js";
import { randomTensors } from "./small-model.js";

const folder = mkdtempSync(join(tmpdir(), "gpt2-special-tokens-"));
after(() => rmSync(folder, { recursive: true }));
let count = 0;
const fresh = (name: string): string => join(folder, String(count++), name);

interface Case {
  readonly config: object;
  readonly generation: object | null;
  /** Tokens at which transformers' generate() stops. */
  readonly stops: number[];
}
const FIXTURE = packageFile("test/fixtures/special-tokens/transformers.json");
const { cases } = JSON.parse(readFileSync(FIXTURE, "utf8")) as { cases: Case[] };
const CONFIG = gpt2Config({ vocabSize: 7, nCtx: 16, nEmbd: 8, nLayer: 1, nHead: 2 });

async function modelWith({ config, generation }: Pick<Case, "config" | "generation">): Promise<string> {
  const path = fresh("model");
  await saveCheckpoint(path, { config: CONFIG, tensors: randomTensors(CONFIG, 1) });
  const json = JSON.parse(readFileSync(join(path, "config.json"), "utf8")) as Record<string, unknown>;
  delete json.eos_token_id;
  delete json.bos_token_id;
  writeFileSync(join(path, "config.json"), JSON.stringify({ ...json, ...config }));
  if (generation === null) rmSync(join(path, "generation_config.json"));
  else writeFileSync(join(path, "generation_config.json"), JSON.stringify(generation));
  return path;
}

async function eosOf(path: string): Promise<readonly number[] | undefined> {
  const checkpoint = await openCheckpoint(path);
  checkpoint.close();
  return checkpoint.eosTokenIds;
}

describe("the tokens that end a text, by transformers' rule", () => {
  for (const { config, generation, stops } of cases) {
    it(`${JSON.stringify(config)} with ${JSON.stringify(generation)}: ${JSON.stringify(stops)}`, async () => {
      const path = await modelWith({ config, generation });
      assert.deepEqual(await eosOf(path), stops);
      // The same after every conversion that can express it: a folder, GGUF, and back.
      const [copy, gguf, back] = [fresh("copy"), fresh("m.gguf"), fresh("back")];
      await convertModel(path, copy);
      await convertModel(copy, gguf);
      await convertModel(gguf, back);
      for (const converted of [copy, gguf, back]) assert.deepEqual(await eosOf(converted), stops, converted);
    });
  }

  it("a value that is not a token id is refused by name", async () => {
    const path = await modelWith({ config: { eos_token_id: "</s>" }, generation: null });
    await assert.rejects(openCheckpoint(path), /config\.json: eos_token_id: expected a token id, or a list of them/);
  });

  it("more ends than GGUF has keys are refused", async () => {
    const path = await modelWith({ config: { eos_token_id: [1, 2, 3, 4] }, generation: null });
    await assert.rejects(convertModel(path, fresh("m.gguf")), /at most 3 tokens that end a text/);
  });
});

describe("generation", () => {
  const tokenizer = byteTokenizer();
  const script = [...tokenizer.encode("abc"), ...tokenizer.encode("d!e")];
  const reciting = (eosTokenIds: readonly number[]) => ({ ...recitingTensors(script), eosTokenIds });
  const text = async (path: string): Promise<string> => {
    const model = await GPT2.load(path, { backend: "reference" });
    return (await model.complete([65], { temperature: 0, maxNewTokens: 6 })).text;
  };

  it("stops at each of a model's ends, and at none where it has none, whatever its tokenizer says", async () => {
    const [d, bang] = tokenizer.encode("d!") as unknown as [number, number];
    for (const [ends, expected] of [
      [[bang, d], "abc"],
      [[bang], "abcd"],
      [[], "abcd!e"],
    ] as const) {
      const path = fresh("model");
      mkdirSync(join(path, ".."), { recursive: true });
      await saveCheckpoint(path, reciting(ends));
      await saveTokenizer(tokenizer, path);
      assert.equal(await text(path), expected);
    }
  });

  it("uses the tokenizer's end if a format has no field for one", async () => {
    const path = fresh("model.bin");
    const { config, tensors } = recitingTensors([...tokenizer.encode("ab"), tokenizer.endOfText!, 65]);
    const plain = { ...config, nInner: 4 * config.nEmbd };
    const wide = tensors.map(({ name, shape, data }) => {
      if (!/mlp/.test(name) || name.endsWith("c_proj.bias")) return { name, shape, data };
      const size = name.includes("c_fc") ? shape.with(0, plain.nInner) : [shape[0]!, plain.nInner];
      return { name, shape: size, data: new Float32Array(size.reduce((n, d) => n * d, 1)) };
    });
    await saveCheckpoint(path, { config: plain, tensors: wide, tokenizer });
    assert.equal(await eosOf(path), undefined);
    assert.equal(await text(path), "ab");
  });
});
