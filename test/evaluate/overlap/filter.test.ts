import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { DataError, UsageError } from "../../../src/errors.js";
import { BloomFilter, BloomWriter, bloomShape, regionCount } from "../../../src/evaluate/overlap/bloom-filter.js";
import { buildNgramFilter } from "../../../src/evaluate/overlap/build-filter.js";
import { FILTER_HEADER_BYTES, loadNgramFilter, saveNgramFilter } from "../../../src/evaluate/overlap/filter-file.js";
import { countFalsePositives, describeFilter, type NgramFilter } from "../../../src/evaluate/overlap/ngram-filter.js";
import { measureOverlap } from "../../../src/evaluate/overlap/overlap.js";
import { normalizedWords } from "../../../src/evaluate/overlap/words.js";
import { crc32c } from "../../../src/util/crc32c.js";
import { RandomStream } from "../../../src/util/random.js";
import { LIKE_OTHERS } from "../../helpers/tested-isas.js";
import { babble, ngramsOf } from "./naive.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-overlap-"));
after(() => rmSync(dir, { recursive: true }));

const write = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(dir, name), content);
  return join(dir, name);
};
const bytesOf = ({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
const bits = ({ bloom }: NgramFilter): Uint8Array[] => bloom.parts.map((part) => Uint8Array.from(bytesOf(part)));

describe("the size of a filter", () => {
  it("follows the formula", () => {
    const n = 31_000_000;
    const { hashes, bits, parts } = bloomShape(n, 1e-8);
    assert.deepEqual([hashes, parts, bits % 32], [27, 1, 0]);
    assert.ok(bits / n > 38.3 && bits / n < 38.8, `${bits / n}`);
    for (const rate of [0.3, 0.01, 1e-4, 1e-8]) {
      for (const elements of [5_000, 1_000_000]) {
        const { hashes, bits } = bloomShape(elements, rate);
        assert.ok((1 - Math.exp((-hashes * elements) / bits)) ** hashes <= rate, `${elements}, ${rate}`);
      }
    }
  });

  it("is split into parts beyond one part's size", () => {
    const large = bloomShape(1e9, 1e-8);
    assert.ok(large.parts === 10 && large.bits <= 2 ** 32);
    assert.deepEqual(bloomShape(10_000, 0.01, 2 ** 15).parts, 3);
  });
});

describe("a filter", () => {
  /** Random hashes of elements. */
  const elements = (count: number, seed: number) => {
    const random = new RandomStream(seed);
    return Array.from({ length: count }, () => [random.bits() | 0, random.bits() | 1] as const);
  };

  for (const [name, maxPartBits] of [
    ["in one part", 2 ** 32],
    ["in several", 2 ** 15],
  ] as const) {
    const skip = name === "in several" ? false : LIKE_OTHERS;
    it(`${name}: no false negatives, and as many false positives as the formula says`, { skip }, () => {
      for (const rate of [0.1, 0.01, 0.001]) {
        const count = 20_000;
        const filter = new BloomFilter(bloomShape(count, rate, maxPartBits));
        const added = elements(count, 1);
        for (const [a, b] of added) filter.add(a, b);
        assert.ok(added.every(([a, b]) => filter.has(a, b)));
        const tries = 100_000;
        const found = elements(tries, 2).filter(([a, b]) => filter.has(a, b)).length;
        const expected = filter.fill() ** filter.shape.hashes;
        assert.ok(expected <= rate, `${expected}`);
        // Five standard deviations of a binomial count.
        const margin = 5 * Math.sqrt(tries * expected);
        assert.ok(Math.abs(found - tries * expected) < margin, `${found} of ${tries}, expected ${expected * tries}`);
      }
    });
  }

  it("has no more false positives if it is small, or elements are similar", () => {
    const filter = new BloomFilter({ hashes: 4, bits: 1024, parts: 1 });
    // Hashes in arithmetic progression, the worst case of plain double hashing.
    for (let i = 0; i < 150; i++) filter.add(i * 977, 5);
    const tries = 100_000;
    let found = 0;
    for (const [a] of elements(tries, 3)) if (filter.has(a, 5)) found++;
    const expected = tries * filter.fill() ** 4;
    assert.ok(Math.abs(found - expected) < 5 * Math.sqrt(expected), `${found}, expected ${expected}`);
  });

  it("is the same for every way of adding elements", () => {
    for (const shape of [bloomShape(60_000, 1e-6), { hashes: 5, bits: 4096, parts: 3 }]) {
      const [alone, shared] = [new BloomFilter(shape), BloomFilter.shared(shape)];
      const all = elements(shape.parts === 1 ? 60_000 : 400, 4);
      const [first, second] = [0, 1].map((half) => Int32Array.from(all, (element) => element[half]!));
      for (const [a, b] of all) alone.add(a, b);
      const writer = new BloomWriter(shared, new Int32Array(new SharedArrayBuffer(4 * regionCount(shared))));
      writer.add(first!, second!, all.length);
      writer.flush();
      assert.ok(alone.parts.every((part, i) => Buffer.compare(bytesOf(part), bytesOf(shared.parts[i]!)) === 0));
    }
  });
});

describe("building a filter", () => {
  /** Documents of all lengths: some shorter than an n-gram, one longer than a batch. */
  const documents = [
    babble(5, 50, 1),
    babble(300, 60, 2),
    "",
    // Longer than the pieces in which documents are read; the next one has hardly any words.
    babble(190_000, 5000, 3),
    `${"— ".repeat(300_000)}${babble(100, 80, 4)}`,
    babble(2000, 70, 5),
  ];
  const text = documents.join("\n<|endoftext|>\n");
  const lines = Array.from({ length: 30 }, (_, i) => JSON.stringify({ text: babble(40, 30, 100 + i) })).join("\n");
  const inputs = [write("a.txt.gz", gzipSync(text)), write("b.jsonl", lines), write("c.md", babble(50, 50, 6))];
  const all = [...documents, ...lines.split("\n").map((line) => JSON.parse(line).text as string), babble(50, 50, 6)];

  it("adds every n-gram of every document and none across, whatever the number of workers", {
    skip: LIKE_OTHERS,
  }, async () => {
    const [none, three] = await Promise.all([0, 3].map((workers) => buildNgramFilter(inputs, { workers })));
    assert.deepEqual(bits(three!), bits(none!));
    const { bloom: _, ...facts } = none!;
    const naive = all.map((document) => ngramsOf(document, 8));
    const ngrams = naive.reduce((sum, { length }) => sum + length, 0);
    const words = all.reduce((sum, document) => sum + normalizedWords(document).length, 0);
    assert.deepEqual({ ...facts, documents: 0 }, { n: 8, rate: 1e-8, documents: 0, ngrams, words });
    assert.deepEqual({ ...three!, bloom: 0 }, { ...none!, bloom: 0 });
    const distinct = new Set(naive.flat()).size;
    const described = describeFilter(none!);
    assert.ok(Math.abs(described.distinct / distinct - 1) < 0.01, `${described.distinct} of ${distinct}`);
    assert.ok(described.falsePositiveRate <= 1e-8);
    for (const document of all) {
      const { ngrams, found } = measureOverlap(none!, [document]);
      assert.deepEqual(found, ngrams);
    }
    assert.equal(measureOverlap(none!, [all.slice(0, 2).join(" ")]).found, ngramsOf(all[1]!, 8).length);
  });

  it("contains none of many random strings", { skip: LIKE_OTHERS }, async () => {
    const filter = await buildNgramFilter(inputs.slice(1), { workers: 0 });
    assert.equal(countFalsePositives(filter, 200_000), 0);
    const coarse = await buildNgramFilter(inputs, { workers: 0, rate: 0.05, n: 3 });
    const found = countFalsePositives(coarse, 100_000);
    const expected = 100_000 * describeFilter(coarse).falsePositiveRate;
    assert.ok(Math.abs(found - expected) < 5 * Math.sqrt(expected), `${found}, expected ${expected}`);
  });

  it("reports wrong input", async () => {
    const bad = write("bad.jsonl", '{"text": "a"}\n{"body": "b"}\n');
    const short = write("short.txt", "five words are too few");
    const cases: readonly (readonly [
      inputs: readonly string[],
      options: object,
      message: RegExp,
      type: typeof DataError | typeof UsageError,
    ])[] = [
      [[join(dir, "nowhere.txt")], {}, /nowhere\.txt/, DataError],
      [[bad], { workers: 0 }, /bad\.jsonl, line 2.*"text"/, DataError],
      [[bad], { workers: 2 }, /bad\.jsonl, line 2.*"text"/, DataError],
      [[short], {}, /documents of 8 words or more/, DataError],
      [inputs, { n: 0 }, /n: expected a number from 1/, UsageError],
      [inputs, { rate: 2 }, /rate: expected a share/, UsageError],
      [inputs, { workers: -1 }, /workers: expected/, UsageError],
    ];
    for (const [files, options, message, type] of cases) {
      await assert.rejects(buildNgramFilter(files, options), (error: Error) => {
        assert.ok(error instanceof type, String(error));
        assert.match(error.message, message);
        return true;
      });
    }
  });

  it("stops on its signal", async () => {
    const controller = new AbortController();
    const options = { signal: controller.signal, workers: 1, onProgress: () => controller.abort() };
    await assert.rejects(buildNgramFilter(inputs, options), { name: "AbortError" });
  });
});

describe("a filter's file", () => {
  const path = join(dir, "saved.bloom");
  let good = Buffer.alloc(0);
  const make = async () => {
    if (good.length > 0) return;
    const filter = await buildNgramFilter([write("text.txt", babble(3000, 200, 7))], { workers: 0 });
    await saveNgramFilter(path, filter);
    good = readFileSync(path);
    const loaded = await loadNgramFilter(path);
    assert.deepEqual({ ...loaded, bloom: 0 }, { ...filter, bloom: 0 });
    assert.deepEqual(bits(loaded), bits(filter));
    assert.deepEqual(loaded.bloom.shape, filter.bloom.shape);
  };

  it("is written atomically, with everything", async () => {
    await make();
    assert.deepEqual(
      readdirSync(dir).filter((name) => name.includes("saved")),
      ["saved.bloom"],
    );
    await assert.rejects(
      saveNgramFilter(join(dir, "no", "such", "folder.bloom"), await loadNgramFilter(path)),
      DataError,
    );
  });

  it("holds filters of shared memory, and of several parts", async () => {
    const shape = { hashes: 5, bits: 4096, parts: 3 };
    const bloom = BloomFilter.shared(shape);
    for (let i = 0; i < 500; i++) bloom.add(i * 12345, i | 1);
    const filter = { n: 3, rate: 0.01, documents: 1, words: 502, ngrams: 500, bloom };
    await saveNgramFilter(join(dir, "parts.bloom"), filter);
    assert.deepEqual(bits(await loadNgramFilter(join(dir, "parts.bloom"))), bits(filter));
  });

  it("is refused if it is malformed", async () => {
    await make();
    /** A copy with some bytes of the header changed, and its checksum corrected. */
    const forged = (change: (view: DataView) => void): Uint8Array => {
      const bytes = Uint8Array.from(good);
      const view = new DataView(bytes.buffer);
      change(view);
      view.setUint32(92, crc32c(bytes.subarray(0, 92)), true);
      return bytes;
    };
    const changed = (at: number): Uint8Array => {
      const bytes = Uint8Array.from(good);
      bytes[at]! ^= 4;
      return bytes;
    };
    const cases: readonly (readonly [name: string, bytes: Uint8Array, message: RegExp])[] = [
      ["empty", new Uint8Array(0), /a filter of n-grams, got another file/],
      [
        "text",
        Buffer.from(
          "Once upon a time there was a file that was no filter at all, but long enough to be one. ".repeat(3),
        ),
        /another file/,
      ],
      ["a header cut short", good.subarray(0, 40), /a header of 96 bytes, got 40/],
      ["bits cut short", good.subarray(0, good.length - 4), /expected \d+ bytes, got/],
      ["bytes too many", Buffer.concat([good, Buffer.alloc(1)]), /expected \d+ bytes, got/],
      ["a flipped bit in the header", changed(49), /fits its checksum/],
      ["a flipped bit in the zeros", changed(80), /fits its checksum/],
      ["a flipped bit", changed(FILTER_HEADER_BYTES + 1000), /bits with the header's checksum/],
      ["a later format", changed(8), /version 1 of the format, got 5/],
      ["another normalization", forged((view) => view.setUint32(12, 7, true)), /version 1 of the normalization, got 7/],
      ["n of 0", forged((view) => view.setUint32(16, 0, true)), /a filter's sizes/],
      ["no hashes", forged((view) => view.setUint32(20, 0, true)), /a filter's sizes/],
      ["no parts", forged((view) => view.setUint32(24, 0, true)), /a filter's sizes/],
      ["parts too many", forged((view) => view.setUint32(24, 2 ** 20, true)), /expected \d+ bytes, got/],
      ["bits beyond all memory", forged((view) => view.setBigUint64(32, 2n ** 62n, true)), /a filter's sizes/],
      ["bits between words", forged((view) => view.setBigUint64(32, 65537n, true)), /a filter's sizes/],
      ["a rate that is none", forged((view) => view.setFloat64(40, Number.NaN, true)), /a filter's sizes/],
      ["more n-grams than words", forged((view) => view.setBigUint64(64, 2n ** 50n, true)), /a filter's sizes/],
    ];
    for (const [name, bytes, message] of cases) {
      await assert.rejects(loadNgramFilter(write("malformed.bloom", bytes)), (error: Error) => {
        assert.ok(error instanceof DataError, `${name}: ${error.stack}`);
        assert.match(error.message, message, name);
        assert.match(error.message, /malformed\.bloom/);
        return true;
      });
    }
    await assert.rejects(loadNgramFilter(dir), DataError);
    await assert.rejects(loadNgramFilter(join(dir, "nothing")), DataError);
  });

  it("is refused with any byte changed", async () => {
    await make();
    const random = new RandomStream(8);
    for (let i = 0; i < 100; i++) {
      const bytes = Uint8Array.from(good);
      bytes[random.below(i < 50 ? FILTER_HEADER_BYTES : bytes.length)]! ^= 1 + random.below(255);
      await assert.rejects(loadNgramFilter(write("random.bloom", bytes)), DataError);
    }
  });
});
