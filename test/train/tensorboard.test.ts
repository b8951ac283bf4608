import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { restartRecord, scalarsRecord, textRecord, tfRecord, versionRecord } from "../../src/train/tensorboard.js";
import { type EventMessage, readEvents } from "../helpers/event-files.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { curveOf, tinyData, trainTiny } from "../helpers/tiny-run.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-tensorboard-"));
after(() => rmSync(dir, { recursive: true }));

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("event files", () => {
  it("are framed and encoded as by TensorBoard's own writer", () => {
    // Made by scripts/python/make_event_records.py, with tensorboard 2.21.
    const records = {
      version: versionRecord(1.5),
      restart: restartRecord(2.25, 300),
      scalars: scalarsRecord(3.125, 2 ** 40 + 7, { "loss/train": 2.5, lr: 1e-3 }),
      text: textRecord(4.0625, 9, "sample", "    “a” \n    b"),
      empty: tfRecord(new Uint8Array(0)),
    };
    for (const [name, record] of Object.entries(records)) assert.equal(hex(record), EXPECTED[name], name);
  });
});

describe("a run's event files", () => {
  it("hold its curves and samples exactly once, however often it was interrupted", { skip: LIKE_OTHERS }, async () => {
    const out = join(dir, "run");
    const data = await tinyData(join(dir, "data"));
    const stop = new AbortController();
    await trainTiny({ data, out, signal: stop.signal, peakFlops: 1e12 }, ({ type, step }) => {
      if (type === "step" && step === 13) stop.abort();
    });
    // A kill after step 13: the checkpoint of 10 is the newest.
    rmSync(join(out, "checkpoints", "step-00000013"), { recursive: true });
    await trainTiny({ out, resume: true, peakFlops: 1e12 });
    const files = readdirSync(out)
      .filter((name) => name.includes("tfevents"))
      .sort();
    assert.equal(files.length, 2);
    const events = files.flatMap((name) => readEvents(readFileSync(join(out, name))));
    const read = asReaderSees(events);
    const want = asMetricsSay(curveOf(out));
    for (const [tag, points] of Object.entries(want)) assert.deepEqual(read[tag], points, tag);
    for (const tag of ["tokens_per_second", "utilization"]) {
      assert.deepEqual(
        read[tag]!.map(([step]) => step),
        want["loss/train"]!.map(([step]) => step),
      );
    }
  });
});

type Points = Record<string, [step: number, value: unknown][]>;

/** Values by tag; a restart drops earlier values of its step and later ones (TensorBoard's EventAccumulator). */
function asReaderSees(events: readonly EventMessage[]): Points {
  let points: Points = {};
  for (const { step, restart, values } of events) {
    if (restart) {
      const kept = Object.entries(points).map(([tag, list]) => [tag, list.filter(([at]) => at < step)]);
      points = Object.fromEntries(kept) as Points;
    }
    for (const [tag, value] of values) (points[tag] ??= []).push([step, value]);
  }
  return points;
}

function asMetricsSay(curve: unknown[]): Points {
  const points: Points = {};
  const add = (tag: string, step: unknown, value: unknown) => (points[tag] ??= []).push([step as number, value]);
  for (const event of curve as Record<string, number | string>[]) {
    const { type, step } = event;
    if (type === "sample") add("sample", step, `    ${(event.text as string).replaceAll("\n", "\n    ")}`);
    if (type === "validation") {
      add("loss/validation", step, Math.fround(event.loss as number));
      add("bits_per_byte", step, Math.fround(event.bitsPerByte as number));
    }
    if (type !== "step") continue;
    add("loss/train", step, Math.fround(event.loss as number));
    add("lr", step, Math.fround(event.lr as number));
    add("grad_norm", step, Math.fround(event.gradNorm as number));
  }
  return points;
}

const EXPECTED: Readonly<Record<string, string>> = {
  version: "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c",
  restart: "100000000000000095fbfe1809000000000000024010ac023a020801f166178e",
  scalars:
    "300000000000000095f5d05f090000000000000940108780808080202a1e0a110a0a6c6f73732f747261696e15000020400a090a026c72156f12833aed962450",
  text: "410000000000000000a9c2ab09000000000040104010092a340a320a0673616d706c65421c0807120412020801421220202020e2809c61e2809d200a20202020624a0a0a060a04746578742002f8ccecbc",
  empty: "000000000000000029039807d8ea82a2",
};
