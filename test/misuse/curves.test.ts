import assert from "node:assert/strict";
import { test } from "node:test";
import { auroc, separation, truePositives } from "../../scripts/detection/curves.js";
import { EDITS, type Edit, edited } from "../../scripts/detection/edits.js";
import { RandomStream } from "../../src/util/random.js";

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

test("intervals contain the value, and shrink with more texts", () => {
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

test("edits change the share of words that they should", () => {
  const text = Array.from({ length: 400 }, (_, i) => `w${i}`).join(" ");
  for (const edit of Object.keys(EDITS) as Edit[]) {
    const after = edited(text, edit, 0.3, new RandomStream(2))
      .split(/\s+/)
      .filter((word) => word !== "");
    const kept = edit === "words deleted" ? after.length : after.filter((word, i) => word === `w${i}`).length;
    assert.ok(kept > 240 && kept < 320, `${edit}: ${kept} of 400`);
    assert.equal(edited(text, edit, 0, new RandomStream(2)), text);
  }
});
