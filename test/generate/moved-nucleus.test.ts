import assert from "node:assert/strict";
import { it } from "node:test";
import { Nucleus } from "../../src/generate/nucleus.js";
import { movedNucleus } from "../../src/generate/sampling/moved-nucleus.js";
import { BLOCK, blocksOf, nucleusOf, sumOfBlock, topOfBlock } from "../../src/generate/sampling/row-summary.js";
import { RandomArrays } from "../helpers/random-arrays.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";

const SIZE = 3001;
const ROUNDS = TESTING_ALL ? 300 : 60;
const BLOCKS = blocksOf(SIZE);
const blocks = Array.from({ length: BLOCKS }, (_, b) => b);
const memory = { weights: new Float64Array(SIZE), nucleus: new Nucleus(SIZE) };

/** The kernel's summary of a row. */
function summaryOf(logits: Float32Array, scale: number, share: number) {
  const tops = Float64Array.from(blocks, (b) => topOfBlock(logits, b));
  const max = Math.max(...tops);
  const { bar, total } = nucleusOf(logits, max, scale, share, memory);
  return { tops, sums: Float64Array.from(blocks, (b) => sumOfBlock(logits, b, max, scale, bar)), bar, total, max };
}

it("the nucleus of changed scores is that of the whole row", () => {
  const random = new RandomArrays(11);
  let [moved, left] = [0, 0];
  for (let round = 0; round < ROUNDS; round++) {
    const [spread, shift] = [[0.05, 1, 4][round % 3]!, [0.5, 3, 10][Math.floor(round / 3) % 3]!];
    const share = [0, 0.1, 0.5, 0.9, 0.999][round % 5]!;
    const scale = [0.5, 1, 3][(round % 7) % 3]!;
    const logits = random.floats(SIZE, spread);
    // With equal scores, at the bar too.
    if (round % 4 === 0) for (let id = 0; id < SIZE; id++) logits[id] = Math.round(logits[id]! * 8) / 8;
    // A token with nearly all of the probability is forbidden.
    const lost = round % 10 === 9;
    if (lost) logits[500] = 40 / scale;
    const summary = summaryOf(logits, scale, share);
    const scores = logits.slice();
    const changed = new Set<number>();
    const [ids, amounts] = [random.distinct(1 + (round % 200), SIZE), random.floats(200, shift)];
    for (const [i, id] of ids.entries()) {
      changed.add(id);
      scores[id] = i % 50 === 49 ? -Infinity : scores[id]! + amounts[i]!;
    }
    if (lost) {
      changed.add(500);
      scores[500] = -Infinity;
    }
    const expected = summaryOf(scores, scale, share);
    const sums = new Float64Array(BLOCKS);
    const { tops, max } = expected;
    const found = movedNucleus({ logits, scores, changed, tops, max, summary, base: summary.max, scale }, share, sums);
    if (!found) {
      left++;
      continue;
    }
    moved++;
    assert.ok(found.bar === expected.bar, `round ${round}: ${found.bar}, not ${expected.bar}`);
    const unit = Math.exp(scale * (max - summary.max));
    assert.ok(Math.abs(found.total / unit / expected.total - 1) < 1e-9);
    for (const b of blocks) {
      const difference = Math.abs(sums[b]! / unit - expected.sums[b]!);
      assert.ok(difference <= 1e-9 * expected.total, `block of ${BLOCK} ids ${b} in round ${round}`);
      assert.equal(sums[b]! > 0, expected.sums[b]! > 0);
    }
  }
  assert.ok(moved > 0.8 * ROUNDS && left > ROUNDS / 15, `${moved} moved, ${left} weighed anew`);
});
