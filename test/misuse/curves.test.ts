import assert from "node:assert/strict";
import { test } from "node:test";
import { auroc, separation, truePositives } from "../../scripts/detection/curves.js";
import { partsOf } from "../../scripts/detection/texts.js";
import { EDITS, type Edit, edited } from "../../scripts/word-edits.js";
import { RandomStream } from "../../src/util/random.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";

test("AUROC is the share of pairs in which the machine's text scores higher", () => {
  const random = new RandomStream(4);
  for (let trial = 0; trial < 20; trial++) {
    const draw = (shift: number) => Float64Array.from({ length: 37 }, () => random.below(12) + shift).sort();
    const [human, machine] = [draw(0), draw(trial % 3)];
    let pairs = 0;
    for (const h of human) for (const m of machine) pairs += m > h ? 1 : m === h ? 0.5 : 0;
    assert.ok(Math.abs(auroc(human, machine) - pairs / 37 ** 2) < 1e-12);
  }
});

test("true positives are above all but the allowed share of human texts", () => {
  const human = Float64Array.from({ length: 100 }, (_, i) => i);
  const machine = Float64Array.of(50, 95, 98, 98.5, 99, 100);
  assert.equal(truePositives(human, machine, 0), 1 / 6);
  assert.equal(truePositives(human, machine, 0.01), 3 / 6);
  assert.equal(truePositives(human, machine, 0.05), 5 / 6);
});

test("intervals contain the value, and shrink with more texts", { skip: LIKE_OTHERS }, () => {
  const random = new RandomStream(8);
  const of = (n: number, shift: number) => Array.from({ length: n }, () => random.normal() + shift);
  const [few, many] = [separation(of(30, 0), of(30, 1)), separation(of(600, 0), of(600, 1))];
  // Φ(1/√2) for two normal distributions a standard deviation apart.
  assert.ok(Math.abs(many.auroc.value - 0.7602) < 0.04);
  for (const { auroc: found } of [few, many]) {
    assert.ok(found.interval.low <= found.value && found.value <= found.interval.high);
  }
  const width = ({ auroc: { interval } }: typeof few) => interval.high - interval.low;
  assert.ok(width(many) < width(few) / 2);
});

test("few texts have intervals too, although their resamples may lack one kind", () => {
  const { auroc: found, truePositives5 } = separation([0, 1, 2], [1.5, 3, 4]);
  for (const { low, high } of [found.interval, truePositives5.interval])
    assert.ok(low >= 0 && low <= high && high <= 1);
});

test("edits change the requested share of words", () => {
  const text = Array.from({ length: 400 }, (_, i) => `w${i}`).join(" ");
  const sources = { words: ["new"], synonyms: new Map([...text.split(" ")].map((word) => [word, [`${word}s`]])) };
  const after = (edit: Edit, share: number) => edited(text, edit, share, new RandomStream(2), sources);
  const kept = (edit: Edit) => {
    const words = after(edit, 0.3).text.trim().split(/ +/);
    return [
      words.length,
      words.filter((word) => /^w\d+$/.test(word)).length,
      words.filter((w, i) => w === `w${i}`).length,
    ];
  };
  assert.deepEqual(kept("delete").slice(0, 2), [280, 280]);
  assert.deepEqual(kept("insert").slice(0, 2), [520, 400]);
  assert.deepEqual(kept("paraphrase"), [400, 280, 280]);
  const [words, own, inPlace] = kept("swap") as [number, number, number];
  // 120 swaps, some of which move a word twice, or back.
  assert.ok(words === 400 && own === 400 && inPlace > 160 && inPlace < 280, `${inPlace}`);
  for (const edit of EDITS) assert.deepEqual(after(edit, 0), { text, changed: 0 });
  for (const edit of EDITS) assert.equal(after(edit, 0.3).changed, 0.3);
});

test("a paraphrase changes no word without a synonym", () => {
  const sources = { words: [], synonyms: new Map([["big", ["large"]]]) };
  const after = edited("A big, big dog.", "paraphrase", 1, new RandomStream(1), sources);
  assert.deepEqual(after, { text: "A large, large dog.", changed: 0.5 });
});

test("each of a generator's texts is in one part, and its samplers alternate", () => {
  const human = Array.from({ length: 10 }, (_, i) => `h${i}`);
  const sets = ["a", "b"].map((sampling) => {
    const machine = human.map((text) => `${sampling}${text}`);
    return { domain: "books", generator: "small", sampling, human, machine };
  });
  const { train, validation, test: rest } = partsOf([...sets, { ...sets[0]!, generator: "other" }], "small");
  assert.deepEqual(
    [train, validation, rest].map((texts) => texts.length),
    [12, 2, 6],
  );
  const all = [...train, ...validation, ...rest];
  assert.deepEqual(
    all.filter(({ machine }) => machine).map(({ text }) => text),
    human.map((text, i) => `${"ab"[i % 2]}${text}`),
  );
  assert.deepEqual(
    all.filter(({ machine }) => !machine).map(({ text }) => text),
    human,
  );
});
