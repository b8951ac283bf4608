import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { WeightType } from "../../src/dtype/dtype.js";
import { GPT2 } from "../../src/gpt2.js";
import { openCheckpoint, saveCheckpoint } from "../../src/pretrained/node.js";
import { packageFile } from "../../src/util/package-root.js";

/** llama.cpp's results for the same files: scripts/check-gguf.ts, which also runs larger models. */
const fixture = JSON.parse(readFileSync(packageFile("test/fixtures/gguf/llama-cpp.json"), "utf8")) as {
  text: string;
  prompt: number[];
  greedy: Record<WeightType, number[]>;
  tokens: { text: string; ids: number[] }[];
};

const folder = mkdtempSync(join(tmpdir(), "gpt2-llama-"));
after(() => rmSync(folder, { recursive: true }));

describe("files written here, as llama.cpp runs them", () => {
  for (const [dtype, greedy] of Object.entries(fixture.greedy) as [WeightType, number[]][]) {
    it(`${dtype}: the same greedy tokens, the same tokens of texts`, async () => {
      const source = await openCheckpoint(packageFile("test/fixtures/gguf/converted-f32.gguf"));
      const path = join(folder, `${dtype}.gguf`);
      const model = {
        config: source.config,
        tensors: source.tensors.values(),
        tokenizer: await source.loadTokenizer!(),
      };
      await saveCheckpoint(path, model, { dtype });
      source.close();
      const loaded = await GPT2.load(path, { threads: 1 });
      const options = { temperature: 0, maxNewTokens: greedy.length, stopAtEndOfText: false };
      assert.deepEqual((await loaded.complete(fixture.text, options)).tokens, greedy);
      assert.deepEqual([...loaded.tokenizer!.encode(fixture.text)], fixture.prompt);
      for (const { text, ids } of fixture.tokens) assert.deepEqual([...loaded.tokenizer!.encode(text)], ids, text);
    });
  }
});
