/** WordPiece against transformers: make_wordpiece_fixture.py, which compares a real vocabulary too. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { UsageError } from "../../../src/errors.js";
import { loadWordPiece, saveWordPiece } from "../../../src/tokenizer/wordpiece/files.js";
import { type WordPieceEncoding, WordPieceTokenizer } from "../../../src/tokenizer/wordpiece/tokenizer.js";
import { trainWordPiece } from "../../../src/tokenizer/wordpiece/train.js";
import type { TruncationOptions } from "../../../src/tokenizer/wordpiece/truncate.js";
import { readChapters, readFixture } from "../support.js";

/** ids, token types, offsets, texts. */
type Encoded = readonly [readonly number[], readonly number[], readonly number[], readonly number[]];

interface Fixture {
  readonly alphabet: string;
  readonly texts: readonly string[];
  readonly variants: readonly {
    readonly name: string;
    readonly vocab: readonly string[];
    readonly files: Readonly<Record<string, string>>;
    readonly encoded: readonly Encoded[];
    readonly pairs: readonly (readonly [string, string, Encoded])[];
    readonly decoded: readonly string[];
    readonly skipped: readonly string[];
    readonly truncated: readonly (readonly [TruncationOptions, string, string | null, readonly Encoded[] | null])[];
  }[];
  /** Ids of Google's tokenizer for each of the texts: uncased, cased. */
  readonly legacy: readonly (readonly (readonly number[])[])[];
  readonly trained: Readonly<Record<string, readonly string[]>>;
}

const fixture = JSON.parse(readFixture("wordpiece.json.gz")) as Fixture;
const parent = await mkdtemp(join(tmpdir(), "gpt2-ts-wordpiece-"));
after(() => rm(parent, { recursive: true }));

const plain = ({ ids, typeIds, offsets, texts }: WordPieceEncoding): Encoded => [
  [...ids],
  [...typeIds],
  [...offsets],
  [...texts],
];
const all = { allowedSpecial: "all" } as const;

async function load(i: number): Promise<WordPieceTokenizer> {
  const { vocab, files } = fixture.variants[i]!;
  const folder = await mkdtemp(join(parent, `${i}-`));
  await writeFile(join(folder, "vocab.txt"), vocab.map((token) => `${token}\n`).join(""));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return loadWordPiece(folder);
}

for (const [i, variant] of fixture.variants.entries()) {
  const tokenizer = await load(i);

  describe(`WordPiece gives the same as transformers: ${variant.name}`, () => {
    it("texts: tokens, types, offsets", () => {
      for (const [n, text] of fixture.texts.entries()) {
        assert.deepEqual(plain(tokenizer.encode(text, all)), variant.encoded[n], JSON.stringify(text));
      }
    });

    it("pairs", () => {
      for (const [a, b, expected] of variant.pairs) assert.deepEqual(plain(tokenizer.encode([a, b], all)), expected);
    });

    it("decoded", () => {
      for (const [n, [ids]] of variant.encoded.entries()) {
        assert.equal(tokenizer.decode(ids), variant.decoded[n]);
        assert.equal(tokenizer.decode(ids, { skipSpecialTokens: true }), variant.skipped[n]);
      }
    });

    it("saved and loaded, from each file", async () => {
      const folder = join(parent, `${i}-saved`);
      await saveWordPiece(tokenizer, folder);
      assert.deepEqual((await readdir(folder)).sort(), ["tokenizer.json", "tokenizer_config.json", "vocab.txt"]);
      assert.deepEqual((await loadWordPiece(folder)).vocabulary, tokenizer.vocabulary);
      assert.deepEqual((await loadWordPiece(join(folder, "tokenizer.json"))).vocabulary, tokenizer.vocabulary);
      await rm(join(folder, "tokenizer.json"));
      assert.deepEqual((await loadWordPiece(folder)).vocabulary, tokenizer.vocabulary);
    });
  });
}

describe("WordPiece gives the same as Google's own tokenizer", () => {
  for (const [i, name] of ["uncased", "cased"].entries()) {
    it(name, async () => {
      const { vocabulary } = await load(i);
      const tokenizer = new WordPieceTokenizer({
        ...vocabulary,
        normalizer: { ...vocabulary.normalizer, legacy: true },
      });
      for (const [n, text] of fixture.texts.entries()) {
        const { ids } = tokenizer.encode(text, { addSpecialTokens: false });
        assert.deepEqual([...ids], fixture.legacy[i]![n], JSON.stringify(text));
      }
    });
  }
});

const first = await load(0);

describe("truncation gives the same as tokenizers", () => {
  for (const [truncation, a, b, expected] of fixture.variants[0]!.truncated) {
    it(`${JSON.stringify(truncation)} of ${a.length} and ${b?.length ?? 0} characters`, () => {
      const encode = () => first.encode(b === null ? a : [a, b], { ...all, truncation });
      if (expected === null) assert.throws(encode, UsageError);
      else {
        const encoding = encode();
        assert.deepEqual([encoding, ...encoding.overflowing].map(plain), expected);
      }
    });
  }
});

describe("training WordPiece", () => {
  for (const [size, tokens] of Object.entries(fixture.trained)) {
    it(`learns the ${size} tokens that tokenizers learns`, async () => {
      const trained = await trainWordPiece(readChapters(), { vocabSize: Number(size), alphabet: fixture.alphabet });
      assert.deepEqual([...trained.vocabulary.tokens].sort(), [...tokens].sort());
    });
  }

  it("refuses a vocabulary without room for the characters", async () => {
    await assert.rejects(trainWordPiece(["abc"], { vocabSize: 7 }), /vocabSize: expected an integer of at least 10/);
  });
});
