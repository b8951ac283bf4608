/** A run that is killed repeatedly ends in the same bits as one that is not. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { RandomStream } from "../../src/util/random.js";
import { isTemporaryName } from "../../src/util/workspace.js";
import {
  checkpointsOf,
  curveOf,
  nativeOrReason,
  TINY_SETTINGS,
  TINY_SHAPE,
  tinyData,
  trainTiny,
  weightsOf,
} from "../helpers/tiny-run.js";
import { startTrain, type TrainProcess } from "../helpers/train-process.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-resume-"));
const whole = join(dir, "whole");
let data: string;

before(async () => {
  data = await tinyData(join(dir, "data"));
  await trainTiny({ data, out: whole });
});
after(() => rmSync(dir, { recursive: true }));

/** The same run as `whole`, from the command line. */
const flags = (out: string): string[] => [
  data,
  "--out",
  out,
  ...["--layers", TINY_SHAPE.nLayer, "--embd", TINY_SHAPE.nEmbd, "--heads", TINY_SHAPE.nHead].map(String),
  ...["--context", TINY_SHAPE.nCtx, "--batch-size", TINY_SETTINGS.batchSize].map(String),
  ...["--batch-tokens", TINY_SETTINGS.batchTokens, "--steps", TINY_SETTINGS.steps].map(String),
  ...["--warmup", TINY_SETTINGS.warmupSteps, "--lr", TINY_SETTINGS.lr, "--dropout", TINY_SETTINGS.dropout].map(String),
  ...["--val-every", TINY_SETTINGS.valEvery, "--val-batches", TINY_SETTINGS.valBatches].map(String),
  ...["--sample-every", TINY_SETTINGS.sampleEvery, "--sample-tokens", TINY_SETTINGS.sampleTokens].map(String),
  ...["--save-every", TINY_SETTINGS.saveEvery, "--keep", TINY_SETTINGS.keep, "--seed", TINY_SETTINGS.seed].map(String),
  ...["--threads", "1", "--json"],
];

function assertSameRun(out: string): void {
  assert.deepEqual(curveOf(out), curveOf(whole));
  const [got, want] = [weightsOf(out), weightsOf(whole)];
  assert.ok(got.model.equals(want.model), "the finished model");
  assert.ok(got.optimizer.equals(want.optimizer), "the optimizer's state");
  assert.deepEqual(checkpointsOf(out), checkpointsOf(whole));
}

/** Resolves when the process has printed the event of this step, or ended. */
function stepSeen({ child, done }: TrainProcess, step: number): Promise<unknown> {
  return Promise.race([
    done,
    new Promise<void>((resolve) => {
      let text = "";
      child.stdout.on("data", (chunk) => {
        text += chunk;
        if (text.includes(`"type":"step","step":${step},`)) resolve();
      });
    }),
  ]);
}

const namesIn = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);
const hasCheckpoint = (out: string): boolean =>
  namesIn(join(out, "checkpoints")).some((name) => name.startsWith("step-"));

/** Freezes the process while it writes a checkpoint after that step; false if it ended before. */
async function frozenInCheckpoint(train: TrainProcess, out: string, step: number): Promise<boolean> {
  await stepSeen(train, step);
  const writing = () => namesIn(join(out, "checkpoints")).some(isTemporaryName);
  while (train.child.exitCode === null) {
    await new Promise((resolve) => setImmediate(resolve));
    if (!writing()) continue;
    train.child.kill("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (writing()) return true;
    train.child.kill("SIGCONT");
  }
  return false;
}

describe("an interrupted run", () => {
  it("continues bit for bit after SIGKILL in the middle, and in the middle of writing a checkpoint", async (t) => {
    const out = join(dir, "killed");
    const seed = Math.floor(Math.random() * 2 ** 32);
    t.diagnostic(`seed ${seed}`);
    const random = new RandomStream(seed);
    let [kills, torn] = [0, 0];
    for (const [i, step] of [3, 8, 14, 23, 31].entries()) {
      const resume = hasCheckpoint(out) ? ["--resume"] : [];
      const train = startTrain([...flags(out), ...resume]);
      if (i % 2 === 1) torn += (await frozenInCheckpoint(train, out, step)) ? 1 : 0;
      else await stepSeen(train, step).then(() => new Promise((resolve) => setTimeout(resolve, random.below(20))));
      train.child.kill("SIGKILL");
      const { signal, stderr } = await train.done;
      assert.equal(stderr, "");
      kills += signal === "SIGKILL" ? 1 : 0;
    }
    // On a busy machine some may have finished too early.
    assert.ok(kills >= 2, `${kills} kills`);
    assert.ok(torn >= 1, `${torn} checkpoints torn`);
    const last = await startTrain(["--out", out, "--resume", "--threads", "2"]).done;
    assert.equal(last.code, 0, last.stderr);
    assertSameRun(out);
    const left = [...readdirSync(out), ...readdirSync(join(out, "checkpoints"))].filter((name) => name.startsWith("."));
    assert.deepEqual(left, [], "what killed processes left is cleared away");
  });

  it("saves and stops on SIGINT with code 130, and continues from there", async () => {
    const out = join(dir, "interrupted");
    const train = startTrain(flags(out));
    await stepSeen(train, 12);
    train.child.kill("SIGINT");
    const stopped = await train.done;
    assert.equal(stopped.code, 130, stopped.stderr);
    assert.match(stopped.stderr, /saving a checkpoint/);
    const end = JSON.parse(stopped.stdout.trimEnd().split("\n").at(-1)!) as { type: string; step: number };
    assert.equal(end.type, "end");
    assert.equal(checkpointsOf(out).at(-1), `step-${String(end.step).padStart(8, "0")}`);
    const last = await startTrain([...flags(out), "--resume"]).done;
    assert.equal(last.code, 0, last.stderr);
    // There is one more checkpoint where it was stopped.
    assert.deepEqual(curveOf(out), curveOf(whole));
    assert.ok(weightsOf(out).model.equals(weightsOf(whole).model));
  });

  for (const [what, stopAt] of [
    ["before its first step", (type: string) => type === "start"],
    ["before a validation that is due", (type: string, step: number) => type === "step" && step === 21],
    ["before a sample that is due", (type: string, step: number) => type === "step" && step === 30],
    [
      "between the last validation and its sample",
      (type: string, step: number) => type === "validation" && step === 40,
    ],
    ["before the last validation", (type: string, step: number) => type === "step" && step === 40],
  ] as const) {
    it(`loses nothing when it is stopped ${what}`, async () => {
      const out = join(dir, `stopped ${what}`);
      const stop = new AbortController();
      const events = await trainTiny({ data, out, signal: stop.signal }, ({ type, step }) => {
        if (stopAt(type, step)) stop.abort();
      });
      const end = events.at(-1)!;
      assert.ok(end.type === "end" && !end.finished);
      await trainTiny({ out, resume: true });
      assert.deepEqual(curveOf(out), curveOf(whole));
      assert.ok(weightsOf(out).model.equals(weightsOf(whole).model));
    });
  }

  it("stops between two passes of a step, and restarts the step", async () => {
    const out = join(dir, "between passes");
    const stop = new AbortController();
    const onPass = ({ step, pass }: { step: number; pass: number }) => {
      if (step === 16 && pass === 1) stop.abort();
    };
    const events = await trainTiny({ data, out, signal: stop.signal, onPass });
    assert.equal(events.at(-1)!.step, 16);
    await trainTiny({ out, resume: true });
    assert.deepEqual(curveOf(out), curveOf(whole));
    assert.ok(weightsOf(out).model.equals(weightsOf(whole).model));
  });
});

const reason = await nativeOrReason();

describe("threads", () => {
  for (const threads of [2, 3]) {
    it(`${threads} give the same bits as one`, { skip: typeof reason === "string" && reason }, async () => {
      const out = join(dir, `threads-${threads}`);
      const backend = await nativeOrReason({ threads });
      assert.ok(typeof backend !== "string");
      await trainTiny({ data, out, backend });
      assertSameRun(out);
    });
  }
});

it("a checkpoint of one backend is resumed on another", async () => {
  const out = join(dir, "other backend");
  await trainTiny({ data, out, settings: { steps: 6, valEvery: 0, sampleEvery: 0 } });
  const events = await trainTiny({ out, resume: true, backend: await referenceBackend(), settings: { steps: 8 } });
  assert.equal(events.at(-1)!.step, 8);
  assert.ok(readFileSync(join(out, "metrics.jsonl"), "utf8").includes('"step":8'));
});
