import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { GPT2Error } from "../../src/errors.js";
import type { TrainEvent } from "../../src/train/events.js";
import { MetricsFile } from "../../src/train/metrics.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-metrics-"));
const path = join(dir, "metrics.jsonl");
after(() => rmSync(dir, { recursive: true }));
beforeEach(() => rmSync(path, { force: true }));

const step = (n: number): TrainEvent => {
  return {
    type: "step",
    step: n,
    targets: 96,
    loss: 1 / n,
    lr: 0,
    gradNorm: 0,
    tokens: n,
    seconds: 0,
    tokensPerSecond: 0,
    utilization: undefined,
  };
};
const sample = (n: number): TrainEvent => ({ type: "sample", step: n, text: "“a”\n" });
const validation = (n: number): TrainEvent => {
  return { type: "validation", step: n, loss: 1, tokens: 1, bitsPerByte: undefined, best: false };
};
const checkpoint = (n: number): TrainEvent => ({ type: "checkpoint", step: n, path: "", best: false });

function write(...events: TrainEvent[]): void {
  const file = new MetricsFile(path, { step: Number.POSITIVE_INFINITY, unfinished: false });
  for (const event of events) file.write(event);
  file.sync();
  file.close();
}

function kept(step: number, unfinished = false): string[] {
  new MetricsFile(path, { step, unfinished }).close();
  const lines = readFileSync(path, "utf8").split("\n");
  assert.equal(lines.pop(), "", "the last line is whole");
  return lines.map((line) => {
    const { type, step } = JSON.parse(line) as TrainEvent;
    return `${type} ${step}`;
  });
}

describe("metrics.jsonl", () => {
  it("has one event per line, each with its time", () => {
    write(step(1), sample(1));
    const [first, second] = readFileSync(path, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(first.loss, 1);
    assert.ok(Math.abs(Date.parse(first.time) - Date.now()) < 60_000);
    assert.equal(second.text, "“a”\n");
  });

  it("drops what follows the checkpoint from which a run resumes", () => {
    write(step(1), step(2), validation(2), checkpoint(2), step(3), sample(3), step(4));
    assert.deepEqual(kept(2), ["step 1", "step 2", "validation 2", "checkpoint 2"]);
  });

  it("drops a validation and a sample that will be repeated", () => {
    write(step(1), step(2), validation(2), sample(2));
    assert.deepEqual(kept(2, true), ["step 1", "step 2"]);
  });

  it("drops a line that a kill truncated, and everything after damage", () => {
    write(step(1), step(2));
    const text = readFileSync(path, "utf8");
    writeFileSync(path, text.slice(0, -1));
    assert.deepEqual(kept(5), ["step 1"]);
    writeFileSync(path, text.replace('"type":"step","step":1', "\0\0\0"));
    assert.deepEqual(kept(5), []);
  });

  it("starts empty with a new run", () => {
    write(step(1));
    new MetricsFile(path, undefined).close();
    assert.equal(readFileSync(path, "utf8"), "");
  });

  it("reports that it can't be written", () => {
    assert.throws(
      () => new MetricsFile(join(dir, "no", "such"), undefined),
      (error) => error instanceof GPT2Error,
    );
    assert.throws(() => new MetricsFile(dir, undefined), /writing .* got a folder/);
  });
});
