/** Damaged files of WordPiece tokenizers give one whose offsets lie in the text, or a typed error. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readVocabTxt, readWordPieceFolder, readWordPieceJson } from "../../../src/tokenizer/wordpiece/read.js";
import { WordPieceTokenizer } from "../../../src/tokenizer/wordpiece/tokenizer.js";
import type { WordPieceVocabulary } from "../../../src/tokenizer/wordpiece/vocabulary.js";
import { fuzz, fuzzAsync, guarded, guardedAsync, type Mutator, timeout } from "../../checkpoint/mutator.js";
import { bertFolder } from "../../helpers/bert-fixtures.js";

const textOf = (path: string): string => readFileSync(join(bertFolder("sentence"), path), "utf8");
const [JSON_TEXT, CONFIG] = ["tokenizer.json", "tokenizer_config.json"].map((name) =>
  JSON.stringify(JSON.parse(textOf(name))),
) as [string, string];
const VOCAB = readFileSync(join(bertFolder("old"), "vocab.txt"), "utf8");
const TEXTS: [string, string] = ["The un\u00e1ffable \u{1f600}, 12", "[MASK] \u4e2d\0 [SEP]"];

/** Ids may be millions, with as many unused ids before them. */
const MOST_MORE = 2 ** 28;

/** As JSON that mostly still parses, or as bytes. */
function damagedText(mutator: Mutator, text: string): string {
  if (mutator.below(3) > 0) return mutator.json(text);
  const bytes = new TextEncoder().encode(text);
  return new TextDecoder().decode(mutator.bytes(bytes, bytes.length));
}

function tryOut(vocabulary: WordPieceVocabulary): void {
  const tokenizer = new WordPieceTokenizer(vocabulary);
  for (const allowedSpecial of ["all", []] as const) {
    const { ids, offsets, texts } = tokenizer.encode(TEXTS, { allowedSpecial });
    for (let n = 0; n < ids.length; n++) {
      const [start, end] = [offsets[2 * n]!, offsets[2 * n + 1]!];
      const length = TEXTS[texts[n]!]?.length ?? 0;
      assert.ok(start <= end && end <= length, `token ${n} at ${start} to ${end} of ${length}`);
    }
    assert.equal(typeof tokenizer.decode(ids), "string");
  }
}

describe("damaged WordPiece tokenizers give typed errors or work", () => {
  it("tokenizer.json", { timeout }, () => {
    const end = JSON_TEXT.indexOf('"vocab"');
    fuzz(2000, (mutator, what) => {
      // Half of the damage is at the fields that give the kind of tokenizer.
      const half = mutator.below(2) > 0;
      const text = half
        ? damagedText(mutator, JSON_TEXT)
        : mutator.json(JSON_TEXT.slice(0, end)) + JSON_TEXT.slice(end);
      guarded(what, () => tryOut(readWordPieceJson({ name: "tokenizer.json", text })), MOST_MORE);
    });
  });

  it("vocab.txt", { timeout }, () => {
    const bytes = new TextEncoder().encode(VOCAB);
    fuzz(2000, (mutator, what) => {
      const text = new TextDecoder().decode(mutator.bytes(bytes, bytes.length));
      guarded(what, () => tryOut(readVocabTxt({ name: "vocab.txt", text })), MOST_MORE);
    });
  });

  it("a folder's tokenizer_config.json", { timeout }, async () => {
    const files = { "tokenizer_config.json": CONFIG, "tokenizer.json": JSON_TEXT, "vocab.txt": VOCAB };
    await fuzzAsync(2000, async (mutator, what) => {
      const text = damagedText(mutator, CONFIG);
      const withJson = mutator.below(2) > 0;
      await guardedAsync(
        what,
        async () => {
          const vocabulary = await readWordPieceFolder(async (name) => {
            if (name === "tokenizer.json" && !withJson) return undefined;
            const found = name === "tokenizer_config.json" ? text : files[name as keyof typeof files];
            return found === undefined ? undefined : { name, text: found };
          });
          if (vocabulary) tryOut(vocabulary);
        },
        MOST_MORE,
      );
    });
  });
});
