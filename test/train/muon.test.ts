/** Runs with Muon: both architectures, adapters, stops, threads, backends. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { ConfigFields } from "../../src/architectures/registry.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import type { TrainEvent, ValidationEvent } from "../../src/train/events.js";
import { finetune } from "../../src/train/finetune.js";
import { gpt2 } from "../cli/run.js";
import { LIKE_OTHERS, TESTING_ALL } from "../helpers/tested-isas.js";
import {
  anyBackend,
  curveOf,
  nativeOrReason,
  TINY_SHAPE,
  tinyData,
  trainTiny,
  weightsOf,
} from "../helpers/tiny-run.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-muon-"));
after(() => rmSync(dir, { recursive: true }));
let data: string;
before(async () => {
  data = await tinyData(join(dir, "data"));
});

const STEPS = TESTING_ALL ? {} : { steps: 21 };
const MUON = { ...STEPS, optimizer: "muon" } as const;
const heldOut = (events: readonly TrainEvent[]): number[] =>
  events.filter((event): event is ValidationEvent => event.type === "validation").map(({ loss }) => loss);

const ARCHITECTURES: readonly (readonly [string, ConfigFields])[] = [
  ["GPT-2", TINY_SHAPE],
  ["GPT-Neo", { ...TINY_SHAPE, architecture: "gpt-neo", windowSize: 6 }],
];

for (const [name, config] of TESTING_ALL ? ARCHITECTURES : ARCHITECTURES.slice(0, 1)) {
  describe(`Muon on a ${name}`, () => {
    const whole = join(dir, `${name}-whole`);
    let events: TrainEvent[];
    before(async () => {
      events = await trainTiny({ data, out: whole, config, settings: MUON });
    });

    it("learns more in the same steps than AdamW, with less state", async () => {
      const out = join(dir, `${name}-adamw`);
      const adamw = await trainTiny({ data, out, config, settings: STEPS });
      const [muon, other] = [heldOut(events).at(-1)!, heldOut(adamw).at(-1)!];
      assert.ok(muon < other - 0.02, `held out: ${muon}, with AdamW ${other}`);
      assert.ok(weightsOf(whole).optimizer.length < 0.8 * weightsOf(out).optimizer.length);
    });

    // The architecture decides which tensors Muon updates; the rest is independent of it.
    if (name !== "GPT-2") return;

    it("resumes after a stop bit for bit", async () => {
      const out = join(dir, `${name}-broken`);
      const stop = new AbortController();
      const until = ({ step }: TrainEvent) => step >= 13 && stop.abort();
      await trainTiny({ data, out, config, settings: MUON, signal: stop.signal }, until);
      await trainTiny({ out, resume: true });
      assert.deepEqual(curveOf(out), curveOf(whole));
      const [got, want] = [weightsOf(out), weightsOf(whole)];
      assert.ok(got.model.equals(want.model) && got.optimizer.equals(want.optimizer));
    });

    it("gives the same bits with three threads as with one", async (test) => {
      const backend = await nativeOrReason({ threads: 3 });
      if (typeof backend === "string") return test.skip(backend);
      const out = join(dir, `${name}-threads`);
      await trainTiny({ data, out, config, settings: MUON, backend });
      assert.ok(weightsOf(out).model.equals(weightsOf(whole).model));
    });

    it("learns as much with products in bf16, including Newton–Schulz's", { skip: LIKE_OTHERS }, async () => {
      const out = join(dir, `${name}-bf16`);
      const rounded = await trainTiny({ data, out, config, settings: { ...MUON, precision: "bf16" } });
      const [a, b] = [heldOut(events).at(-1)!, heldOut(rounded).at(-1)!];
      assert.ok(a !== b && Math.abs(a - b) < 0.03, `${b}, in f32 ${a}`);
    });

    it("learns on the reference as on the fastest backend", { skip: LIKE_OTHERS }, async () => {
      const steps = 7;
      const settings = { ...MUON, steps, valEvery: steps, sampleEvery: 0, dropout: 0 };
      const [fast, slow] = [join(dir, `${name}-fast`), join(dir, `${name}-slow`)];
      const [a] = heldOut(await trainTiny({ data, out: fast, config, settings }));
      const [b] = heldOut(await trainTiny({ data, out: slow, config, settings, backend: await referenceBackend() }));
      assert.ok(Math.abs(a! - b!) < 1e-4, `${a}, ${b}`);
    });
  });
}

describe("Muon", () => {
  it("trains adapters, whose two matrices are treated like others", async () => {
    const from = join(dir, "GPT-2-whole", "model");
    const run = async (optimizer: "adamw" | "muon") => {
      const settings = { optimizer, seqLength: 24, batchSize: 4, steps: 20, lr: 3e-3, valEvery: 20, sampleEvery: 0 };
      const out = join(dir, `lora-${optimizer}`);
      const trainer = await finetune({ backend: await anyBackend(), from, data, out, lora: { rank: 2 }, settings });
      const events: TrainEvent[] = [];
      for await (const event of trainer.run()) events.push(event);
      return heldOut(events).at(-1)!;
    };
    const before = heldOut(
      await trainTiny({ data, out: join(dir, "still"), from, config: {}, settings: { lr: 0, steps: 1 } }),
    );
    assert.ok((await run("muon")) < before.at(-1)! - 0.02);
  });

  it("is a flag, fixed for a run, which no other optimizer resumes", async () => {
    const out = join(dir, "command");
    const shape = "--layers 1 --embd 16 --heads 2 --context 16 --batch-size 2 --sample-every 0 --threads 1".split(" ");
    const flags = ["--optimizer", "muon", "--schedule", "trapezoid", "--warmdown", "2", "--steps", "4"];
    const first = await gpt2(["train", data, "--out", out, ...shape, ...flags, "--json"]);
    assert.equal(first.status, 0, first.stderr);
    const { settings } = JSON.parse(first.stdout.split("\n")[0]!);
    assert.deepEqual(
      [settings.optimizer, settings.schedule, settings.warmdownSteps, settings.minLr],
      ["muon", "trapezoid", 2, 0],
    );
    const other = await gpt2(["train", "--resume", "--out", out, "--optimizer", "adamw"]);
    assert.equal(other.status, 2);
    assert.match(other.stderr, /optimizer: expected muon, as the run was started with, got adamw/);
    const wrong = await gpt2(["train", data, "--out", join(dir, "none"), "--optimizer", "sgd"]);
    assert.equal(wrong.status, 2);
    assert.match(wrong.stderr, /Allowed choices are adamw, muon/);
  });
});
