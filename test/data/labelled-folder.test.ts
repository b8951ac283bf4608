import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type LabelKind, readLabelled, writeLabelled } from "../../src/data/examples/labelled-folder.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-labelled-"));
after(() => rmSync(dir, { recursive: true }));

const tokens = Uint16Array.of(5, 6, 7);
const types = Uint8Array.of(0, 0, 1);
const starts = Uint32Array.of(0, 1, 3);

async function read(targets: number[], kind: LabelKind, labels: string[]) {
  await writeLabelled(dir, "train", { tokens, types, starts, targets: Float32Array.from(targets) });
  return readLabelled(dir, "train", { kind, labels });
}

describe("labelled texts", () => {
  it("have one class number each, even if there is only one class", async () => {
    assert.deepEqual([...(await read([1, 0], "classification", ["a", "b"])).targets], [1, 0]);
    assert.deepEqual([...(await read([0, 0], "classification", ["a"])).targets], [0, 0]);
    for (const [labels, wrong] of [
      [["a", "b"], 2],
      [["a", "b"], -1],
      [["a", "b"], 0.5],
      [["a"], 1],
      [["a"], 1e8],
      [["a"], Number.NaN],
    ] as const) {
      await assert.rejects(read([0, wrong], "classification", [...labels]), {
        name: "DataError",
        message: new RegExp(`target 1: expected a class from 0 to ${labels.length - 1}, got ${wrong}`),
      });
    }
  });

  it("or a finite number each", async () => {
    assert.deepEqual([...(await read([-2.5, 1e8], "regression", ["score"])).targets], [-2.5, 1e8]);
    await assert.rejects(read([0, Number.POSITIVE_INFINITY], "regression", ["score"]), /a finite number, got Infinity/);
  });

  it("or a class for each token, or none", async () => {
    assert.deepEqual([...(await read([-1, 1, 0], "tokens", ["O", "B"])).targets], [-1, 1, 0]);
    await assert.rejects(read([-1, 2, 0], "tokens", ["O", "B"]), /target 1: expected a class from 0 to 1, got 2/);
    await assert.rejects(read([0, 0], "tokens", ["O", "B"]), /3 starts, 2 targets and 3 tokens/);
  });

  it("or the start and end of a span within the text", async () => {
    const labels = ["start", "end"];
    assert.deepEqual([...(await read([0, 0, 1, 1], "spans", labels)).targets], [0, 0, 1, 1]);
    await assert.rejects(read([0, 1, 0, 0], "spans", labels), /target 1: expected a token of the text, got 1/);
  });

  it("are contiguous", async () => {
    await writeLabelled(dir, "val", { tokens, types, starts: Uint32Array.of(0, 3, 3), targets: Float32Array.of(0, 0) });
    assert.throws(() => readLabelled(dir, "val", { kind: "classification", labels: ["a"] }), /follow one another/);
  });
});
