import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { TokenDataset } from "../../src/data/dataset.js";
import { EpochOrder, Permutation } from "../../src/data/epoch-order.js";
import { findShards } from "../../src/data/open-dataset.js";
import { encodeShard } from "../../src/data/shard.js";
import { DataError } from "../../src/errors.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-dataset-"));
after(() => rmSync(dir, { recursive: true }));

const ramp = (n: number) => Uint16Array.from({ length: n }, (_, i) => i);

/** Tokens 0 … 99 over four shards, one of them empty. */
function shards(): string {
  const all = ramp(100);
  [0, 7, 7, 60, 100].reduce((from, to, i) => {
    writeFileSync(join(dir, `train-${String(i - 1).padStart(5, "0")}.bin`), encodeShard(all.subarray(from, to)));
    return to;
  });
  writeFileSync(join(dir, "val-00000.bin"), encodeShard(ramp(11)));
  return dir;
}

test("several shards read as one stream, by folder, pattern and file", async () => {
  shards();
  const data = await TokenDataset.open(dir);
  assert.equal(data.totalTokens, 100);
  assert.equal(data.windows(10), 9, "the last token of the last window needs a target");
  assert.deepEqual([...data.sequence(5, 10)], [...ramp(100).subarray(50, 61)]);
  const ring = new Uint16Array(250);
  data.read(95, ring);
  assert.deepEqual(
    [...ring],
    Array.from(ring, (_, i) => (95 + i) % 100),
  );
  data.close();

  const val = await TokenDataset.open(dir, { split: "val" });
  assert.equal(val.totalTokens, 11);
  val.close();
  const pattern = await TokenDataset.open(join(dir, "train-*.bin"));
  assert.equal(pattern.totalTokens, 100);
  pattern.close();
  const one = await TokenDataset.open(join(dir, "train-00002.bin"));
  assert.deepEqual([...one.sequence(0, 3)], [7, 8, 9, 10]);
  one.close();
});

test("llm.c's names of data sets are found by split", () => {
  const other = mkdtempSync(join(dir, "llmc-"));
  for (const name of [
    "tiny_shakespeare_train.bin",
    "fineweb_val_000000.bin",
    "constraint.bin",
    "train.json",
    "train-00000.bin.tmp",
  ]) {
    writeFileSync(join(other, name), "");
  }
  assert.deepEqual(findShards(other, "train"), [join(other, "tiny_shakespeare_train.bin")]);
  assert.deepEqual(findShards(other, "val"), [join(other, "fineweb_val_000000.bin")]);
});

test("batches in plain order stop at the last window", () => {
  const data = TokenDataset.from(ramp(22));
  const tokens = new Int32Array(8).fill(-1);
  const targets = new Int32Array(8).fill(-1);
  assert.equal(data.fillBatch(3, 2, 4, tokens, targets), 2);
  assert.deepEqual([...tokens], [12, 13, 14, 15, 16, 17, 18, 19]);
  assert.deepEqual([...targets], [13, 14, 15, 16, 17, 18, 19, 20]);
  tokens.fill(-1);
  assert.equal(data.fillBatch(4, 2, 4, tokens, targets), 1);
  assert.deepEqual([...tokens], [16, 17, 18, 19, -1, -1, -1, -1]);
  assert.equal(data.fillBatch(5, 2, 4, tokens, targets), 0);
});

test("each epoch visits each window of its own grid exactly once", () => {
  const [N, T] = [1003, 10];
  const order = new EpochOrder(N, T, 7);
  assert.equal(order.windowsPerEpoch, 100);
  const epochs = [0, 1, 2, 3].map((epoch) => Array.from({ length: 100 }, (_, i) => order.start(epoch * 100 + i)));
  const offsets = new Set<number>();
  for (const starts of epochs) {
    const sorted = [...starts].sort((a, b) => a - b);
    assert.equal(new Set(sorted).size, 100);
    // On a ring, W windows T apart leave one gap of T + N mod T.
    const gaps = sorted.map((s, i) => (sorted[i + 1] ?? sorted[0]! + N) - s);
    assert.deepEqual(
      [...gaps].sort((a, b) => a - b),
      [...Array(99).fill(T), T + 3],
    );
    assert.notDeepEqual(starts, sorted);
    offsets.add(sorted[0]!);
  }
  assert.ok(offsets.size > 1, "the grid moves");
  assert.notDeepEqual(epochs[0], epochs[1]);
});

test("one integer gives the position in a run: a new order continues exactly, for any batch size", () => {
  const data = TokenDataset.from(Array.from({ length: 517 }, (_, i) => (i * 37) % 300));
  const T = 8;
  const row = (order: EpochOrder, first: number, B: number) => {
    const [x, y] = [new Int32Array(B * T), new Int32Array(B * T)];
    assert.equal(data.fillBatch(first, B, T, x, y, order), B);
    return { x: [...x], y: [...y] };
  };
  const whole = row(new EpochOrder(517, T, 3), 0, 200);
  const order = new EpochOrder(517, T, 3);
  for (const first of [130, 4, 63, 64, 0]) {
    const part = row(order, first, 6);
    assert.deepEqual(part.x, whole.x.slice(first * T, (first + 6) * T));
    assert.deepEqual(part.y, whole.y.slice(first * T, (first + 6) * T));
  }
  assert.notDeepEqual(row(new EpochOrder(517, T, 4), 0, 200).x, whole.x);
  for (let i = 0; i < 200; i++)
    assert.equal(whole.y[i * T], whole.x[i * T + 1], "targets are the inputs moved on by one");
});

test("a permutation is a bijection, at every size, and differs by key", () => {
  for (const n of [1, 2, 3, 63, 64, 65, 1000, 4097]) {
    const p = new Permutation(n, 1);
    assert.equal(new Set(Array.from({ length: n }, (_, i) => p.at(i))).size, n);
    assert.ok(Array.from({ length: n }, (_, i) => p.at(i)).every((x) => x >= 0 && x < n));
  }
  const big = 2 ** 40 + 12345;
  const p = new Permutation(big, 9);
  const values = Array.from({ length: 1000 }, (_, i) => p.at(i));
  assert.equal(new Set(values).size, 1000);
  assert.ok(values.every((x) => x < big) && values.some((x) => x > 2 ** 39));
});

test("a permutation looks random: every element goes everywhere about equally often", () => {
  const n = 10;
  const trials = 5000;
  const counts = new Float64Array(n * n);
  for (let key = 0; key < trials; key++) {
    const p = new Permutation(n, key);
    for (let i = 0; i < n; i++) counts[i * n + p.at(i)]!++;
  }
  const expected = trials / n;
  const chi2 = counts.reduce((sum, c) => sum + (c - expected) ** 2 / expected, 0);
  // 81 degrees of freedom: mean 81, standard deviation 12.7.
  assert.ok(chi2 < 81 + 5 * 12.7, `chi² = ${chi2}`);
});

test("an id outside the vocabulary is refused with its shard and position", async () => {
  const path = join(dir, "bad.bin");
  writeFileSync(path, encodeShard([1, 2, 3, 4, 5, 50257, 7, 8]));
  const data = await TokenDataset.open(path, { vocabSize: 50257 });
  assert.deepEqual([...data.sequence(0, 3)], [1, 2, 3, 4]);
  assert.throws(
    () => data.sequence(1, 3),
    (e) => e instanceof DataError && /bad\.bin: token 5: .*50257/.test(e.message),
  );
  data.close();
});

test("too little data, missing files and wrong arrays are DataErrors", async () => {
  await assert.rejects(TokenDataset.open(join(dir, "nowhere")), DataError);
  await assert.rejects(TokenDataset.open(join(dir, "nowhere", "*.bin")), DataError);
  await assert.rejects(TokenDataset.open(mkdtempSync(join(dir, "empty-"))), /expected token shards/);
  assert.throws(() => TokenDataset.from([]), DataError);
  assert.throws(() => TokenDataset.from([1, 65536]), /65536 at position 1/);
  const data = TokenDataset.from(ramp(8));
  assert.throws(() => data.windows(8), /more than 8 tokens/);
  assert.throws(() => new EpochOrder(8, 8, 0), DataError);
  assert.throws(() => new EpochOrder(8, 0, 0), DataError);
  assert.throws(() => data.fillBatch(0, 2, 4, new Int32Array(4), new Int32Array(8)), DataError);
  assert.throws(
    () => data.fillBatch(0, 1, 4, new Int32Array(4), new Int32Array(4), new EpochOrder(9, 4, 0)),
    DataError,
  );
});
