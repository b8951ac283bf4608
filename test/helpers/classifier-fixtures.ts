import type { FillBatch } from "../../src/train/host-batch.js";
import { packageFile } from "../../src/util/package-root.js";
import { readTensorsAt } from "./peft-fixtures.js";

/** The fixture written by scripts/python/make_classifier_fixture.py. */
export const CLASSIFIER_FIXTURES = packageFile("test/fixtures/classifier");
export type ClassifierFixture = "model" | "regressor" | "adapter";

/** Texts in a pass, and positions for each. */
export const CLASSIFIER_BATCH = { B: 4, T: 11 };

const batch = readTensorsAt(CLASSIFIER_FIXTURES, "batch.safetensors");
const { T } = CLASSIFIER_BATCH;

export const classifierTexts = (): number[][] =>
  Array.from(batch.get("lengths")!, (length, i) => Array.from(batch.get("tokens")!.subarray(i * T, i * T + length)));

export const expectedOf = (fixture: ClassifierFixture): Map<string, ArrayLike<number>> =>
  readTensorsAt(CLASSIFIER_FIXTURES, fixture, "expected.safetensors");

/** The texts packed one after another, with labels or numbers. */
export const fillTexts = (regression: boolean): FillBatch => {
  const texts = classifierTexts();
  return (_, { tokens, positions, first, targets, values }) => {
    let at = 0;
    texts.forEach((text, i) => {
      tokens.set(text, at);
      positions.set([...text.keys()], at);
      first.fill(at, at, at + text.length);
      at += text.length;
      targets[at - 1] = regression ? 0 : batch.get("targets")![i]!;
      values[at - 1] = batch.get("values")![i]!;
    });
    for (let n = at; n < tokens.length; n++) [positions[n], first[n]] = [0, n];
    return texts.length;
  };
};
