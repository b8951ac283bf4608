/**
 * Changes to a run's folder in the meantime: damaged files, a lost event; and the settings that a resumed run may
 * change.
 */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { isHeldOut } from "../../src/data/examples/held-out.js";
import { readLabelledInfo } from "../../src/data/examples/labelled-folder.js";
import { prepareExamples } from "../../src/data/examples/prepare-examples.js";
import { prepareLabelled } from "../../src/data/examples/prepare-labelled.js";
import { CheckpointError, GPT2Error } from "../../src/errors.js";
import { finetune } from "../../src/train/finetune.js";
import { settingsFor } from "../../src/train/settings.js";
import { Trainer } from "../../src/train/trainer.js";
import { TrainingData } from "../../src/train/training-data.js";
import { byteTokenizer } from "../generate/models.js";
import { LIKE_OTHERS, TESTING_ALL } from "../helpers/tested-isas.js";
import { anyBackend, checkpointsOf, curveOf, TINY_SETTINGS, tinyData, trainTiny } from "../helpers/tiny-run.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-run-files-"));
after(() => rmSync(dir, { recursive: true }));
const whole = join(dir, "whole");
const QUIET = { ...TINY_SETTINGS, sampleEvery: 0, steps: 20, keep: 2, saveEvery: 5, valEvery: 0 };
let data: string;
let folders = 0;

before(async () => {
  data = await tinyData(join(dir, "data"));
  await trainTiny({ data, out: whole, settings: QUIET });
});

/** A copy of the run as it was after step 20, with its data. */
function copyOf(): string {
  const out = join(dir, `copy-${folders++}`);
  cpSync(whole, out, { recursive: true });
  rmSync(join(out, "model"), { recursive: true });
  return out;
}

const fileOf = (out: string, step: number, name: string): string =>
  join(out, "checkpoints", `step-${String(step).padStart(8, "0")}`, name);

const resume = (out: string, more: object = {}) =>
  trainTiny({ out, resume: true, settings: { steps: 22 }, ...more } as Parameters<typeof trainTiny>[0]);

function jsonl(name: string, lines: readonly object[]): string {
  const path = join(dir, name);
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return path;
}

describe("a damaged newest checkpoint", () => {
  for (const name of ["trainer.json", "optimizer.safetensors", "model.safetensors", "config.json"]) {
    it(`names the one before it, from which the run can continue: ${name}`, async () => {
      const out = copyOf();
      assert.deepEqual(checkpointsOf(out).length, 2);
      const file = fileOf(out, 20, name);
      writeFileSync(file, readFileSync(file).subarray(0, 40));
      await assert.rejects(resume(out), (error: Error) => {
        assert.ok(error instanceof CheckpointError, String(error));
        const path = join(out, "checkpoints", "step-00000020");
        assert.equal(error.details.hint, `Remove ${path} to continue from the checkpoint of step 15`);
        return true;
      });
      rmSync(join(out, "checkpoints", "step-00000020"), { recursive: true });
      const events = await resume(out);
      assert.equal(events.at(-1)!.step, 22);
    });
  }

  it("says so if there is no other", async () => {
    const out = copyOf();
    rmSync(join(out, "checkpoints", "step-00000015"), { recursive: true });
    writeFileSync(fileOf(out, 20, "trainer.json"), "{");
    await assert.rejects(resume(out), /There is no older checkpoint/);
  });
});

describe("metrics.jsonl", () => {
  it("has every checkpoint, also one whose event a kill prevented", async () => {
    const out = copyOf();
    const path = join(out, "metrics.jsonl");
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    const last = lines.findLastIndex((line) => line.includes('"type":"checkpoint"'));
    writeFileSync(path, `${lines.slice(0, last).join("\n")}\n`);
    await resume(out);
    const events = readFileSync(path, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string; step: number; best: boolean });
    const told = events.filter(({ type }) => type === "checkpoint").map(({ step }) => step);
    assert.deepEqual(told, [5, 10, 15, 20, 22]);
    assert.equal(curveOf(out).length, curveOf(whole).length + 2);
  });
});

describe("files of a run with other contents", () => {
  /** Values in place of others: other types, out of range, deep and endless lists. */
  const DEEP = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  const values = [null, -1, 1e300, 0.5, "x", true, [], {}, [null], { rank: {} }];
  /**
   * All values in `npm run test:all`, otherwise one in five; deep lists, which take long to read, only in some places.
   */
  const valuesAt = (i: number): readonly unknown[] => {
    const some = values.filter((_, j) => TESTING_ALL || (i + j) % 5 === 0);
    return i % (TESTING_ALL ? 8 : 24) === 0 ? [...some, "DEEP"] : some;
  };
  const attempt = async (what: string, run: () => Promise<unknown>): Promise<void> => {
    try {
      await run();
    } catch (error) {
      assert.ok(error instanceof GPT2Error, `${what}: ${(error as Error).stack}`);
    }
  };
  const paths = (value: unknown, at: string[] = []): string[][] =>
    typeof value === "object" && value !== null && at.length < 3
      ? [at, ...Object.entries(value).flatMap(([key, inner]) => paths(inner, [...at, key]))]
      : [at];
  const write = (value: unknown): string => JSON.stringify(value).replace('"DEEP"', DEEP);
  const replaced = (json: string, path: readonly string[], value: unknown): string => {
    const copy = JSON.parse(json) as Record<string, unknown>;
    if (path.length === 0) return write(value);
    let inner = copy;
    for (const key of path.slice(0, -1)) inner = inner[key] as Record<string, unknown>;
    inner[path.at(-1)!] = value;
    return write(copy);
  };

  it("trainer.json and dataset.json are refused with a typed error, or have valid values", {
    skip: LIKE_OTHERS,
  }, async () => {
    const out = copyOf();
    const backend = await anyBackend();
    const create = async (): Promise<void> => {
      // No step is made: an accepted value must not have reached a kernel.
      await Trainer.create({ backend, out, resume: true });
    };
    for (const file of [fileOf(out, 20, "trainer.json"), join(data, "dataset.json")]) {
      const json = readFileSync(file, "utf8");
      for (const [i, path] of paths(JSON.parse(json)).entries()) {
        for (const value of valuesAt(i)) {
          writeFileSync(file, replaced(json, path, value));
          await attempt(`${path.join(".")} = ${JSON.stringify(value)?.slice(0, 20)}`, create);
        }
      }
      writeFileSync(file, json);
    }
    await create();
  });

  it("the same for examples.json and labelled.json", async () => {
    const config = gpt2Config({ nLayer: 1, nEmbd: 8, nHead: 1, nCtx: 24, vocabSize: 257 });
    const pairs = jsonl("few.jsonl", [
      { prompt: "a", completion: " b" },
      { prompt: "c", completion: " d" },
    ]);
    const labels = jsonl("few-labels.jsonl", [
      { text: "a", label: "x" },
      { text: "b", label: "y" },
    ]);
    const common = { tokenizer: byteTokenizer(), valFraction: 0 };
    await prepareExamples([pairs], { ...common, out: join(dir, "few-examples") });
    await prepareLabelled([labels], { ...common, out: join(dir, "few-labels"), kind: "classification" });
    const settings = settingsFor(config, { batchSize: 1 });
    for (const [folder, name] of [
      ["few-examples", "examples.json"],
      ["few-labels", "labelled.json"],
    ] as const) {
      const file = join(dir, folder, name);
      const json = readFileSync(file, "utf8");
      for (const [i, path] of paths(JSON.parse(json)).entries()) {
        for (const value of valuesAt(i)) {
          writeFileSync(file, replaced(json, path, value));
          await attempt(`${name}: ${path.join(".")} = ${JSON.stringify(value)}`, async () =>
            TrainingData.open(join(dir, folder), config, settings).close(),
          );
        }
      }
      writeFileSync(file, json);
      TrainingData.open(join(dir, folder), config, settings).close();
    }
  });

  it("sequences longer than the model's context are refused before anything is trained", async () => {
    const out = copyOf();
    const file = fileOf(out, 20, "trainer.json");
    const state = JSON.parse(readFileSync(file, "utf8")) as { settings: object };
    writeFileSync(
      file,
      JSON.stringify({ ...state, settings: { ...state.settings, seqLength: 4096, batchTokens: 8192 } }),
    );
    await assert.rejects(resume(out), {
      name: "CheckpointError",
      message: /reading .*trainer|seqLength: expected at most 24, the model's context, got 4096/,
    });
  });
});

describe("examples and labels", () => {
  const pairs = Array.from({ length: 30 }, (_, i) => ({ prompt: `${i} is`, completion: ` ${i % 2 ? "odd" : "even"}` }));
  const tokenizer = byteTokenizer();
  const config = { nLayer: 1, nEmbd: 8, nHead: 1, nCtx: 24, vocabSize: 257 };
  const settings = { batchSize: 2, batchTokens: 96, steps: 4, valEvery: 0, sampleEvery: 0, saveEvery: 2 };

  it("continue only with the batch size for which they were packed; text with any", async () => {
    const folder = join(dir, "examples");
    await prepareExamples([jsonl("pairs.jsonl", pairs)], { out: folder, tokenizer, valFraction: 0 });
    const out = join(dir, "on-examples");
    await trainTiny({ data: folder, out, config, settings });
    await assert.rejects(trainTiny({ out, resume: true, settings: { steps: 6, batchSize: 1 } }), {
      name: "UsageError",
      message: /resuming: batchSize: expected 2, as the run was started with, got 1.*packed/s,
    });
    await trainTiny({ out, resume: true, settings: { steps: 6 } });
    await resume(copyOf(), { settings: { steps: 22, batchSize: 4 } });
  });

  it("are all learned if nothing is validated", { skip: LIKE_OTHERS }, async () => {
    const text = join(dir, "text.txt");
    writeFileSync(text, Array.from({ length: 40 }, (_, i) => `Document ${i} of text.`).join("\n<|endoftext|>\n"));
    const labelled = pairs.map(({ prompt, completion }) => ({ text: prompt, label: completion }));
    const cases = [
      { data: text, file: "dataset.json" },
      { data: join(dir, "pairs.jsonl"), file: "examples.json" },
      { data: jsonl("labels.jsonl", labelled), file: "labelled.json", task: "classify" as const },
    ];
    for (const [i, { file, ...options }] of cases.entries()) {
      const splits = async (valEvery: number): Promise<string[]> => {
        const out = join(dir, `fine-${i}-${valEvery}`);
        await finetune({
          backend: await anyBackend(),
          out,
          settings: { valEvery, seqLength: 16, batchSize: 1 },
          ...options,
        });
        const info = JSON.parse(readFileSync(join(out, "data", file), "utf8")) as { splits: object };
        return Object.keys(info.splits);
      };
      assert.deepEqual(await splits(0), ["train"], file);
      assert.deepEqual(await splits(5), ["train", "val"], file);
    }
  });

  it("a label whose only texts the random draw would hold out is learned all the same", async () => {
    const settings = { valFraction: 0.1, seed: 1337 };
    const rare = Array.from({ length: 1000 }, (_, i) => `rare ${i}`).find((text) => isHeldOut([text], settings))!;
    const lines = [
      ...Array.from({ length: 40 }, (_, i) => ({ text: `common ${i}`, label: "common" })),
      ...Array.from({ length: 40 }, (_, i) => ({ text: `usual ${i}`, label: "usual" })),
      ...Array.from({ length: 12 }, () => ({ text: rare, label: "rare" })),
    ];
    const out = join(dir, "rare");
    const info = await prepareLabelled([jsonl("rare.jsonl", lines)], {
      out,
      kind: "classification",
      tokenizer,
      ...settings,
    });
    assert.deepEqual(info.labels, ["common", "rare", "usual"]);
    assert.ok(info.splits.val!.texts > 0, "others are still held out");
    assert.equal(info.splits.train.texts + info.splits.val!.texts, lines.length);
    assert.deepEqual(readLabelledInfo(out), JSON.parse(JSON.stringify(info)));
    // Files that the user chose to hold out are treated differently.
    const val = jsonl("val.jsonl", [{ text: "new", label: "unheard-of" }]);
    const chosen = prepareLabelled([join(dir, "rare.jsonl")], {
      out: join(dir, "no"),
      kind: "classification",
      tokenizer,
      valInputs: [val],
    });
    await assert.rejects(chosen, /held-out texts with labels of the others.*got unheard-of/s);
  });
});
