/** RoBERTa, read as the BERT that it is, against Hugging Face transformers (test/fixtures/roberta), on every backend. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { BackendChoice } from "../../src/backend/choose.js";
import type { Aggregation } from "../../src/bert/options.js";
import { BERT } from "../../src/bert.js";
import { convertModel } from "../../src/pretrained/convert.js";
import { ByteLevelEncoder } from "../../src/tokenizer/byte-level-encoder.js";
import { loadTokenizer } from "../../src/tokenizer/files.js";
import { packageFile } from "../../src/util/package-root.js";
import { testedBackends } from "../generate/models.js";
import { assertClose } from "../helpers/compare.js";

const FOLDER = packageFile("test/fixtures/roberta");

interface Placed {
  readonly start: number;
  readonly end: number;
}

interface Expected {
  readonly text: string;
  readonly masks: { readonly text: string; readonly filled: readonly object[]; readonly two: readonly object[][] };
  readonly encodings: readonly {
    readonly texts: readonly string[];
    readonly ids: readonly number[];
    readonly offsets: readonly (readonly [number, number])[];
  }[];
  readonly sequence: {
    readonly labels: readonly object[];
    readonly pair: readonly [string, string];
    readonly pairLabels: readonly object[];
  };
  readonly tokens: Readonly<Record<Aggregation, readonly (Placed & object)[]>>;
  readonly spans: { readonly start: readonly number[]; readonly end: readonly number[] };
  readonly vector: readonly number[];
}

const EXPECTED = JSON.parse(readFileSync(join(FOLDER, "expected.json"), "utf8")) as Expected;
const TOKENIZER = new ByteLevelEncoder(await loadTokenizer(join(FOLDER, "masked/tokenizer.json")));
/** Single precision through two layers; weights are large. */
const CLOSE = { relative: 2e-5 };

const load = (name: string, backend?: BackendChoice): Promise<BERT> =>
  BERT.load(join(FOLDER, name), { tokenizer: TOKENIZER, ...(backend && { backend }) });

/** Positions in code points as positions in UTF-16. */
function inUtf16(text: string, place: number): number {
  return [...text].slice(0, place).join("").length;
}

function assertResults(got: readonly object[], want: readonly object[]): void {
  const apart = (results: readonly object[]) => results.map((result) => ({ ...result, score: 0 }));
  const scores = (results: readonly object[]) => results.map((result) => (result as { score: number }).score);
  assert.deepEqual(apart(got), apart(want));
  assertClose("scores", scores(got), scores(want), CLOSE);
}

for (const { name } of await testedBackends()) {
  const backend = name as BackendChoice;
  describe(`RoBERTa on ${backend}`, () => {
    it("fills masks", async () => {
      for (const folder of ["masked", "pickled"]) {
        await using model = await load(folder, backend);
        assert.deepEqual([model.config.nCtx, model.config.tokenTypes], [64, 1]);
        const { text, filled, two } = EXPECTED.masks;
        assertResults(await model.fillMask(text), filled);
        const both = await model.fillMasks("The <mask> sat in <mask>.", { topK: 2 });
        for (const [i, mask] of both.entries()) assertResults(mask, two[i]!);
      }
    });

    it("labels texts and pairs", async () => {
      await using model = await load("sequence", backend);
      const { labels, pair, pairLabels } = EXPECTED.sequence;
      assertResults(await model.classify(EXPECTED.text), labels);
      assertResults(await model.classify({ text: pair[0], pair: pair[1] }), pairLabels);
    });

    it("labels tokens, words and entities, with their positions", async () => {
      await using model = await load("tokens", backend);
      const { text } = EXPECTED;
      for (const [aggregation, want] of Object.entries(EXPECTED.tokens)) {
        const placed = want.map((label) => {
          return { ...label, start: inUtf16(text, label.start), end: inUtf16(text, label.end) };
        });
        assertResults(await model.tokens(text, { aggregation: aggregation as Aggregation }), placed);
      }
    });

    it("makes vectors, and finds answers", async () => {
      await using model = await load("model", backend);
      const vector = await model.embed(EXPECTED.text, { pooling: "mean", normalize: true });
      assertClose("vector", vector, EXPECTED.vector, CLOSE);
      await using spans = await load("spans", backend);
      const [question, context] = EXPECTED.sequence.pair;
      const { start, end } = EXPECTED.spans;
      const found = await spans.bestAnswers({ question, context }, { nBest: 40 });
      const { texts } = TOKENIZER.encode([question, context]);
      const pairs = start.flatMap((s, i) =>
        end.flatMap((e, j) => (j >= i && texts[i] === 1 && texts[j] === 1 ? [s + e] : [])),
      );
      const best = Math.max(...pairs);
      assertClose("no answer", [found.noAnswer], [start[0]! + end[0]! - best], CLOSE);
    });
  });
}

describe("RoBERTa's tokenizer", () => {
  it("has the ids and positions of tokenizers", () => {
    for (const { texts, ids, offsets } of EXPECTED.encodings) {
      const given = texts.length === 1 ? texts[0]! : ([texts[0]!, texts[1]!] as const);
      const encoding = TOKENIZER.encode(given, { allowedSpecial: "all" });
      assert.deepEqual([...encoding.ids], ids);
      const got = offsets.map((_, n) => [encoding.offsets[2 * n], encoding.offsets[2 * n + 1]]);
      const want = offsets.map(([start, end], n) => {
        const own = texts[encoding.texts[n]!];
        return own === undefined ? [0, 0] : [inUtf16(own, start), inUtf16(own, end)];
      });
      assert.deepEqual(got, want, texts.join(" | "));
    }
  });

  it("cuts long contexts into windows that overlap", () => {
    const context = "Birds fly by. ".repeat(5).trim();
    const truncation = { maxLength: 24, stride: 4, strategy: "only_second" } as const;
    const { overflowing, ...first } = TOKENIZER.encode(["The cat", context], { truncation });
    const windows = [first, ...overflowing];
    assert.ok(windows.length > 2 && windows.every(({ ids }) => ids.length <= 24));
    const covered = windows.flatMap(({ texts, offsets }) =>
      Array.from(texts.keys()).flatMap((n) => (texts[n] === 1 ? [offsets[2 * n + 1]!] : [])),
    );
    assert.equal(Math.max(...covered), context.length);
  });
});

it("is written as the equivalent BERT", async () => {
  const dir = mkdtempSync(join(tmpdir(), "roberta-"));
  await convertModel(join(FOLDER, "masked"), join(dir, "bert"));
  const json = JSON.parse(readFileSync(join(dir, "bert/config.json"), "utf8")) as Record<string, unknown>;
  assert.deepEqual([json.architectures, json.max_position_embeddings], [["BertForMaskedLM"], 64]);
  await using model = await BERT.load(join(dir, "bert"));
  assertResults(await model.fillMask(EXPECTED.masks.text), EXPECTED.masks.filled);
  rmSync(dir, { recursive: true });
});
