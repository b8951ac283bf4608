/** Requests with different adapters in the same runs: each gets the same result as alone, on every backend. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type LoraRanks, loraRanks, loraTable, loraTargets } from "../../src/architectures/lora.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import type { Backend } from "../../src/backend/backend.js";
import { Engine, type Sequence } from "../../src/generate/engine.js";
import { LoadedAdapter } from "../../src/pretrained/loaded-adapter.js";
import { RandomStream } from "../../src/util/random.js";
import { assertClose } from "../helpers/compare.js";
import { ODD, seededWeights, testedBackends } from "./models.js";

const LORA_TARGETS = loraTargets({ architecture: "gpt2" });

function randomAdapter(backend: Backend, ranks: LoraRanks, seed: number): LoadedAdapter {
  const tensors = new Map(
    loraTable(ODD, ranks).map(({ name, shape }, i) => {
      const random = new RandomStream(seed, i);
      const array = backend.alloc("f32", numel(shape));
      array.write(Float32Array.from({ length: numel(shape) }, () => 0.2 * random.normal()));
      return [name, array];
    }),
  );
  return new LoadedAdapter(backend, ranks, tensors, (layer) => (layer.startsWith("h.0") ? 1.5 : 0.5));
}

const tested = await testedBackends();

describe("adapters in an engine", () => {
  for (const backend of tested) {
    const makeEngine = (maxTokens = 8) => new Engine(backend, ODD, seededWeights(backend, ODD), { maxTokens });
    const adapters = [
      undefined,
      randomAdapter(backend, loraRanks(ODD, LORA_TARGETS, 3), 1),
      randomAdapter(backend, loraRanks(ODD, ["attn.c_attn"], 1), 2),
      randomAdapter(
        backend,
        new Map([
          ["h.1.mlp.c_fc", 5],
          ["h.0.mlp.c_proj", 2],
        ]),
        3,
      ),
    ];
    const texts = [[1, 2, 3, 4, 5], [6], [7, 8, 9, 10, 11, 12, 13, 14, 15, 16], [1, 2, 3, 4]];

    /** The logits after each text, then after one more token. */
    async function logits(engine: Engine, sequences: readonly Sequence[], tokens: readonly number[][]) {
      const rows = sequences.map((): number[] => []);
      for (const next of [tokens, tokens.map(() => [20])]) {
        const extensions = sequences.map((sequence, i) => ({ sequence, tokens: next[i]! }));
        await engine.extend(extensions, (row, i) => rows[i]!.push(...row));
      }
      return rows;
    }

    it(`${backend.name}: side by side the same as alone`, async () => {
      const together = makeEngine();
      const got = await logits(
        together,
        adapters.map((adapter) => together.sequence(adapter)),
        texts,
      );
      for (const [i, adapter] of adapters.entries()) {
        const alone = makeEngine();
        const [want] = await logits(alone, [alone.sequence(adapter)], [texts[i]!]);
        assertClose(`adapter ${i}`, got[i]!, want!, { relative: 5e-6 });
      }
      const plain = makeEngine();
      const [same] = await logits(plain, [plain.sequence()], [texts[1]!]);
      const [other] = await logits(plain, [plain.sequence(adapters[1])], [texts[1]!]);
      assert.ok(
        same!.some((x, i) => Math.abs(x - other![i]!) > 0.1),
        "an adapter makes a difference",
      );
    });

    it(`${backend.name}: a fork continues with the adapter of its source`, async () => {
      const engine = makeEngine();
      const source = engine.sequence(adapters[1]);
      await engine.extend([{ sequence: source, tokens: [1, 2, 3] }]);
      const copies = await engine.fork(source, 2);
      assert.ok(copies.every(({ adapter }) => adapter === adapters[1]));
      const rows: number[][] = [[], [], []];
      const extensions = [source, ...copies].map((sequence) => ({ sequence, tokens: [4] }));
      await engine.extend(extensions, (row, i) => rows[i]!.push(...row));
      for (const row of rows.slice(1)) assertClose("a copy's logits", row, rows[0]!, { relative: 5e-6 });
    });

    it(`${backend.name}: more sets of adapters than Programs are cached`, async () => {
      const engine = makeEngine();
      const sequences = adapters.map((adapter) => engine.sequence(adapter));
      const sets = [[0], [1], [2], [3], [0, 1], [1, 2], [2, 3], [0], [1, 2, 3]];
      const seen: number[] = sequences.map(() => 0);
      const last: number[][] = sequences.map(() => []);
      for (const set of sets) {
        const extensions = set.map((i) => ({ sequence: sequences[i]!, tokens: [seen[i]!++] }));
        await engine.extend(extensions, (row, i) => (last[set[i]!] = [...row]));
      }
      for (const [i, adapter] of adapters.entries()) {
        const alone = makeEngine();
        const tokens = Array.from({ length: seen[i]! }, (_, n) => n);
        let want: number[] = [];
        await alone.extend([{ sequence: alone.sequence(adapter), tokens }], (row) => (want = [...row]));
        assertClose(`adapter ${i}`, last[i]!, want, { relative: 5e-6 });
      }
    });
  }
});
