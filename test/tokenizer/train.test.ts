import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { UsageError } from "../../src/errors.js";
import { writeMergesTxt } from "../../src/tokenizer/gpt2-files.js";
import { type TrainTokenizerProgress, trainTokenizer } from "../../src/tokenizer/train.js";
import { naivePretokenize, naiveTrain } from "./naive-bpe.js";
import { RandomStream, randomText, readChapters, readHuggingFace } from "./support.js";

const chapters = readChapters();
const merges = async (...args: Parameters<typeof trainTokenizer>): Promise<number[]> => [
  ...(await trainTokenizer(...args)).vocabulary.merges,
];

describe("training a tokenizer", () => {
  it("learns the merges of the naive algorithm", async () => {
    const random = new RandomStream(20);
    for (let round = 0; round < 30; round++) {
      const letters = [..."aab bc\n'1é"].slice(0, 2 + random.below(8));
      const documents = Array.from({ length: 1 + random.below(4) }, () =>
        randomText(random, letters, random.below(300)),
      );
      const minFrequency = 1 + random.below(4);
      const expected = naiveTrain(documents, 60, minFrequency);
      const options = { vocabSize: 256 + 60 + 1, minFrequency };
      assert.deepEqual(await merges(documents, options), expected, JSON.stringify(documents));
    }
  });

  it("learns the merges that Hugging Face tokenizers learns", async () => {
    const { tokenizer } = readHuggingFace();
    const ours = await trainTokenizer(chapters, { vocabSize: 1200 });
    const theirs = tokenizer.model.merges.map((pair) => `${pair.join(" ")}\n`).join("");
    assert.equal(writeMergesTxt(ours.vocabulary), `#version: 0.2\n${theirs}`);
  });

  it("gives the same vocabulary whatever the order and form of the documents", async () => {
    const options = { vocabSize: 600 };
    const expected = await merges(chapters, options);
    assert.deepEqual(await merges(chapters.toReversed(), options), expected);
    const utf8 = chapters.map((chapter) => new TextEncoder().encode(chapter));
    assert.deepEqual(await merges(utf8, options), expected);
    async function* stream(): AsyncGenerator<string> {
      yield* chapters;
    }
    assert.deepEqual(await merges(stream(), options), expected);
  });

  it("breaks ties by the smaller left id, then the smaller right id", async () => {
    // Each pair once a document: "a" is id 64, "b" 65, …
    assert.deepEqual(
      await merges(["bd", "ca", "bc", "ad"], { vocabSize: 260, minFrequency: 1 }),
      [64, 67, 65, 66, 65, 67],
    );
  });

  it("puts the bytes first and the special tokens last", async () => {
    const tokenizer = await trainTokenizer(chapters.slice(0, 1), {
      vocabSize: 300,
      specialTokens: ["<|user|>", "<|end|>"],
    });
    assert.equal(tokenizer.vocabSize, 300);
    assert.deepEqual(
      [...tokenizer.specialTokens],
      [
        ["<|user|>", 298],
        ["<|end|>", 299],
      ],
    );
    assert.equal(tokenizer.decode([0]), "!");
    assert.equal(tokenizer.decode([299]), "<|end|>");
  });

  it("stops early when no pair is frequent enough", async () => {
    const tokenizer = await trainTokenizer(["abab"], { vocabSize: 1000 });
    assert.equal(tokenizer.vocabSize, 256 + 1 + 1);
    assert.equal(tokenizer.endOfText, 257);
    assert.deepEqual([...tokenizer.encode("abab")], [256, 256]);
    assert.equal((await trainTokenizer([], { vocabSize: 1000 })).vocabSize, 257);
  });

  it("encodes its training text into as many tokens as it reports", async () => {
    let last: TrainTokenizerProgress | undefined;
    const phases = new Set<string>();
    const tokenizer = await trainTokenizer(chapters, {
      vocabSize: 2000,
      onProgress: (progress) => {
        phases.add(progress.phase);
        last = progress;
      },
    });
    const tokens = chapters.reduce((sum, chapter) => sum + tokenizer.encode(chapter).length, 0);
    assert.deepEqual([...phases], ["count", "merge"]);
    assert.deepEqual(last, {
      phase: "merge",
      done: 2000 - 257,
      total: 2000 - 257,
      bytes: chapters.reduce((sum, chapter) => sum + Buffer.byteLength(chapter), 0),
      words: new Set(chapters.flatMap(naivePretokenize)).size,
      tokens,
    });
  });

  it("gives every token its own bytes, which encode to that token", async () => {
    const tokenizer = await trainTokenizer(chapters, { vocabSize: 2000 });
    for (let id = 0; id < 1999; id++) {
      assert.deepEqual([...tokenizer.encodeBytes(tokenizer.idToBytes(id))], [id]);
    }
  });

  it("can be aborted", async () => {
    const stop = new AbortController();
    const training = trainTokenizer(chapters, {
      vocabSize: 5000,
      signal: stop.signal,
      onProgress: ({ phase, done }) => phase === "merge" && done > 100 && stop.abort(new Error("enough")),
    });
    await assert.rejects(training, /enough/);
  });

  it("refuses a vocabulary without room for bytes and special tokens", async () => {
    for (const vocabSize of [0, 256, 1000.5, Number.NaN]) {
      await assert.rejects(trainTokenizer(["a"], { vocabSize }), UsageError);
    }
    assert.equal((await trainTokenizer(["aa"], { vocabSize: 257 })).vocabSize, 257);
  });
});
