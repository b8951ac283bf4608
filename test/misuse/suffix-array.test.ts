import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { suffixArray } from "../../src/misuse/trace/suffix-array.js";
import { packageFile } from "../../src/util/package-root.js";

function naive(text: ArrayLike<number>): number[] {
  const compare = (a: number, b: number): number => {
    for (; a < text.length && b < text.length; a++, b++) if (text[a] !== text[b]) return text[a]! - text[b]!;
    return b - a;
  };
  return Array.from({ length: text.length }, (_, i) => i).sort(compare);
}

/** xorshift32, so that the texts are the same every time. */
function random(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

test("the order of the suffixes equals the naive sort's", () => {
  const next = random(7);
  for (let round = 0; round < 400; round++) {
    const [length, alphabet] = [next() % 200, 1 + (next() % 6)];
    const text = Uint16Array.from({ length }, () => next() % alphabet);
    assert.deepEqual(Array.from(suffixArray(text, alphabet)), naive(text), `text ${text.join(" ")}`);
  }
});

test("texts of one token, of a period, of falling and rising tokens", () => {
  const fibonacci = ["0", "01"];
  while (fibonacci.at(-1)!.length < 500) fibonacci.push(fibonacci.at(-1)! + fibonacci.at(-2)!);
  const texts = [[], [3], [0, 0, 0, 0], [3, 2, 1, 0], [0, 1, 2, 3], Array.from({ length: 300 }, (_, i) => i % 3)];
  for (const text of [...texts, Array.from(fibonacci.at(-1)!, Number)]) {
    assert.deepEqual(Array.from(suffixArray(Uint16Array.from(text), 4)), naive(text));
  }
});

test("the order of divsufsort", () => {
  const fixture = readFileSync(packageFile("test/fixtures/trace/suffix-arrays.json"), "utf8");
  const cases = JSON.parse(fixture) as { text: number[]; suffixes: number[] }[];
  assert.ok(cases.length > 4);
  for (const { text, suffixes } of cases) {
    assert.deepEqual(Array.from(suffixArray(Uint16Array.from(text), 256)), suffixes);
  }
});
