/** `gpt2 train`, as a user runs it. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { TrainEvent } from "../../src/train/events.js";
import { gpt2 } from "../cli/run.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { checkpointsOf, TINY_TEXT, tinyData } from "../helpers/tiny-run.js";
import { startTrain, type TrainResult } from "../helpers/train-process.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-train-command-"));
const data = join(dir, "data");
before(() => tinyData(data));
after(() => rmSync(dir, { recursive: true }));

const SMALL = "--layers 1 --embd 16 --heads 2 --context 16 --batch-size 2 --sample-every 0 --threads 1".split(" ");
/** Runs ended by something else. */
const ENDLESS = ["--steps", "100000", "--val-every", "0"];
const train = async (...args: string[]): Promise<Omit<TrainResult, "signal">> => {
  const { status: code, ...output } = await gpt2(["train", ...args]);
  return { code, ...output };
};

describe("gpt2 train", () => {
  it("shows its plan, validations and result, and nothing else without a terminal", async () => {
    const out = join(dir, "shown");
    const { code, stdout, stderr } = await train(data, "--out", out, ...SMALL, ..."--steps 4 --val-every 2".split(" "));
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
    const lines = stdout.trimEnd().split("\n");
    assert.match(lines[0]!, /^GPT-2, 1 layers of 16, 2 heads, context 16, vocabulary 320: [\d.]+k parameters$/);
    assert.match(
      lines[1]!,
      /^native .*; memory [\d.]+ MiB: parameters, gradients and optimizer [\d.]+ MiB, activations/,
    );
    assert.match(lines[2]!, /^data .*: [\d.]+k tokens, [\d.]+k held out$/);
    assert.match(lines[3]!, /^4 steps of 32 tokens: 0.0\d epochs$/);
    assert.match(lines[4]!, /^step 2: validation loss 5\.\d{4}, \d\.\d{4} bits per byte \(best so far\)$/);
    assert.match(lines.at(-1)!, /^done in 0:0\d: the model is in .*shown\/model$/);
    assert.equal(lines.length, 8);
  });

  it("prints progress lines on request, with rate, time left and loss", async () => {
    const out = join(dir, "progress");
    const { code, stderr } = await train(data, "--out", out, ...SMALL, "--steps", "3", "--progress");
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /^training {2}33% {2}32\/96 tokens {2}[\d.]+k? tokens\/s {2}0:\d\d left {2}loss 5\.\d+, step 1\/3, lr [\d.e-]+/m,
    );
  });

  it("prints events as JSON", async () => {
    const out = join(dir, "json");
    const { stdout } = await train(data, "--out", out, ...SMALL, "--steps", "2", "--json");
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as TrainEvent);
    assert.deepEqual(
      events.map(({ type }) => type),
      ["start", "step", "step", "validation", "checkpoint", "end"],
    );
  });

  it("writes samples without terminal control characters", async () => {
    const flags = [...SMALL, "--sample-every", "250", "--steps", "2", "--val-every", "0"];
    const { code, stdout, stderr } = await train(
      data,
      "--out",
      join(dir, "samples"),
      ...flags,
      "--sample-prompt",
      "A\x1b[2J",
    );
    assert.equal(code, 0, stderr);
    assert.match(stdout, /\nstep 2: sample\n {2}\| A\\u001b\[2J/);
    assert.ok(!stdout.includes("\x1b"));
  });

  it("makes a plan without data", async () => {
    const { code, stdout } = await train("--plan", "--preset", "gpt2-xl", "--batch-size", "1");
    assert.equal(code, 0);
    assert.match(stdout, /^GPT-2, 48 layers of 1600, 25 heads, context 1024, vocabulary 50257: 1.56B parameters\n/);
    assert.match(stdout, /\nmemory 2\d\.\d\d GiB: parameters, gradients and optimizer 23.21 GiB, activations/);
    const json = JSON.parse((await train("--plan", "--json")).stdout) as {
      parameters: number;
      memory: { total: number };
    };
    assert.equal(json.parameters, 124_439_808);
    assert.ok(json.memory.total < 8 * 2 ** 30);
    assert.match((await train("--plan", data, "--layers", "1")).stdout, /vocabulary 320/);
  });

  it("trains on a text file", async () => {
    const out = join(dir, "text");
    const first = await train(TINY_TEXT, "--out", out, "--tokenizer", data, ...SMALL, "--steps", "1");
    assert.equal(first.code, 0, first.stderr);
    assert.ok(existsSync(join(out, "data", "dataset.json")));
    const again = await train(TINY_TEXT, "--out", out, "--resume", "--steps", "2");
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /resumed after step 1/);
    const other = await train(join(dir, "..", "other.txt"), "--out", out, "--resume", "--steps", "3");
    assert.match(other.stderr, /data made from .*looking-glass.txt/);
  });

  it("starts from a model, with its tokenizer for the text", async () => {
    const from = join(dir, "from");
    assert.equal((await train(data, "--out", from, ...SMALL, "--steps", "1")).code, 0);
    const out = join(dir, "onwards");
    const flags = ["--batch-size", "2", "--steps", "1", "--threads", "1"];
    const { code, stderr } = await train(TINY_TEXT, "--from", join(from, "model"), "--out", out, ...flags);
    assert.equal(code, 0, stderr);
    const [a, b] = [from, out].map((run) => readFileSync(join(run, "model", "tokenizer.json"), "utf8"));
    assert.equal(a, b);
  });

  for (const [signal, status] of [
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    it(`stops on ${signal} like on Ctrl-C, with code ${status}`, { skip: LIKE_OTHERS }, async () => {
      const out = join(dir, signal);
      const { child, done } = startTrain([data, "--out", out, ...SMALL, ...ENDLESS, "--json"]);
      child.stdout.once("data", () => setTimeout(() => child.kill(signal), 300));
      const { code, stdout } = await done;
      assert.equal(code, status);
      const end = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as Extract<TrainEvent, { type: "end" }>;
      assert.equal(end.finished, false);
      assert.equal(checkpointsOf(out).at(-1), `step-${String(end.step).padStart(8, "0")}`);
    });
  }

  it("saves a checkpoint, says so, and ends with 141 when its output is no longer read", {
    skip: LIKE_OTHERS,
  }, async () => {
    const out = join(dir, "unread");
    const { child, done } = startTrain([data, "--out", out, ...SMALL, ...ENDLESS, "--json"]);
    child.stdout.once("data", () => child.stdout.destroy());
    const { code, stderr } = await done;
    assert.equal(code, 141);
    assert.match(stderr, /^gpt2: stopping after this pass and saving a checkpoint/);
    assert.equal(checkpointsOf(out).length, 1);
  });

  it("saves a checkpoint too, and ends with 1, when its output is full", {
    skip: !existsSync("/dev/full") || LIKE_OTHERS,
  }, async () => {
    const out = join(dir, "no-room");
    const { done } = startTrain([data, "--out", out, ...SMALL, ...ENDLESS], "exec > /dev/full;");
    const { code, stderr } = await done;
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^gpt2: writing to standard output: .*got a full disk.*\ngpt2: stopping after this pass and saving/,
    );
    assert.equal(checkpointsOf(out).length, 1);
  });

  it("keeps the last checkpoint intact if the next does not fit", { skip: LIKE_OTHERS }, async () => {
    const out = join(dir, "full");
    const start = [data, "--out", out, ...SMALL, "--val-every", "0"];
    assert.equal((await train(...start, "--steps", "1")).code, 0);
    // Files of at most 20 blocks of 512 bytes: the weights are larger.
    const { code, stderr } = await startTrain(["--out", out, "--resume", "--steps", "2"], "ulimit -f 20;").done;
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^gpt2: writing .*full.checkpoints.step-00000002: expected to write there, got a file larger than/,
    );
    assert.deepEqual(checkpointsOf(out), ["step-00000001"]);
    assert.deepEqual(
      readdirSync(out).filter((name) => name.startsWith(".")),
      [],
    );
    const more = await train("--out", out, "--resume", "--steps", "2");
    assert.equal(more.code, 0, more.stderr);
    assert.deepEqual(checkpointsOf(out), ["step-00000001", "step-00000002"]);
  });

  it("reports missing or wrong arguments", async () => {
    const out = join(dir, "wrong");
    const cases: [status: number, args: string[], message: RegExp][] = [
      [2, [data], /expected --out/],
      [2, ["--out", out], /expected data to train on/],
      [1, [join(dir, "nothing"), "--out", out], /nothing/],
      [2, ["--out", out, "--resume"], /expected a checkpoint there, got none/],
      [2, [data, "--out", out, "--steps", "many"], /--steps.*Not a number/],
      [1, [data, "--out", out, "--embd", "65", "--heads", "2"], /nHead: expected a divisor of nEmbd = 65/],
      [2, [data, "--out", out, "--preset", "gpt3"], /--preset.*Allowed choices are gpt2/],
      [1, [data, "--out", out, "--batch-size", "60k", "--threads", "1"], /a plan of .* GiB/],
    ];
    const results = await Promise.all(cases.map(([, args]) => train(...args)));
    for (const [i, { code, stderr }] of results.entries()) {
      const [status, args, message] = cases[i]!;
      assert.equal(code, status, `${args.join(" ")}: ${stderr}`);
      assert.match(stderr, message);
    }
    assert.ok(!existsSync(out));
  });
});
