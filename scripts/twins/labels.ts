import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { folderSource } from "../../src/evaluate/data/node-sources.js";
import { readBlimpPairs } from "../../src/evaluate/tasks/blimp.js";
import { packageFile } from "../../src/util/package-root.js";
import { LogisticRegression } from "./logistic.js";
import { gpt2, loadTwin, meanStates, type Twin, type TwinName } from "./twin.js";

interface Labelled {
  readonly text: string;
  readonly label: string;
}

/** Labelled texts, in three parts that share no source. */
export interface LabelledSet {
  readonly name: string;
  readonly train: readonly Labelled[];
  readonly validation: readonly Labelled[];
  readonly test: readonly Labelled[];
}

/** Task: which of eight subjects a textbook passage comes from. The words show it. */
export function subjects(share: number): LabelledSet {
  const read = (name: string): Labelled[] =>
    gunzipSync(readFileSync(packageFile(`scripts/classify-recipe/${name}.jsonl.gz`)))
      .toString()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Labelled);
  const all = read("train").map(({ text, label }) => ({ text, label }));
  const [train, validation] = [Math.ceil(800 * share), Math.ceil(200 * share)];
  return {
    name: "subjects",
    train: all.slice(0, train),
    validation: all.slice(train, train + validation),
    test: read("test").slice(0, Math.ceil(480 * share)),
  };
}

/**
 * Task: whether a BLiMP sentence is grammatical. Word order and agreement show it. Both sentences of a pair are in the
 * same part.
 */
export async function acceptability(folder: string, share: number): Promise<LabelledSet> {
  const { pairs } = await readBlimpPairs(folderSource(folder));
  const paradigms = new Set(pairs.map(({ paradigm }) => paradigm)).size;
  // Pairs come from the paradigms in turn.
  const part = (from: number, to: number): Labelled[] =>
    pairs.slice(from * paradigms, Math.ceil(from + (to - from) * share) * paradigms).flatMap(({ good, bad }) => [
      { text: good, label: "grammatical" },
      { text: bad, label: "not" },
    ]);
  return { name: "acceptability", train: part(100, 115), validation: part(200, 203), test: part(300, 308) };
}

/** Whether each test text got the right label. */
export interface LabelResult {
  readonly right: readonly number[];
  /** The setting chosen on the validation part: a learning rate, or a decay. */
  readonly chosen: number;
}

const RATES = ["3e-4", "1e-3"];
const DECAYS = [1e-3, 1e-2, 1e-1];

const accuracy = (right: readonly number[]): number => right.reduce((sum, x) => sum + x, 0) / right.length;

/** Fine-tunes the whole model with a new head at each learning rate, for three epochs. */
export async function fineTuned(
  name: TwinName,
  folder: string,
  set: LabelledSet,
  work: string,
  threads: number,
): Promise<LabelResult> {
  const write = (part: "train" | "validation"): string => {
    const path = join(work, `${set.name}-${part}.jsonl`);
    writeFileSync(path, set[part].map((one) => `${JSON.stringify(one)}\n`).join(""));
    return path;
  };
  const [train, validation] = [write("train"), write("validation")];
  let best: (LabelResult & { readonly validated: number }) | undefined;
  for (const rate of RATES) {
    const out = join(work, `${set.name}-${rate}`);
    const flags = ["--task", "classify", "--epochs", "3", "--lr", rate, "--patience", "0", "--precision", "bf16"];
    if (!existsSync(join(out, "model"))) {
      const machine = ["--threads", String(threads), "--out", out];
      const recipe = [train, "--val", validation, "--model", folder, ...flags];
      gpt2("finetune", ...(existsSync(join(out, "checkpoints")) ? ["--resume"] : recipe), ...machine);
    }
    const twin = await loadTwin(name, join(out, "model"), threads);
    const rightOf = async (texts: readonly Labelled[]): Promise<number[]> => {
      const given = await labelsOf(twin, texts);
      return given.map((label, i) => Number(label === texts[i]!.label));
    };
    const validated = accuracy(await rightOf(set.validation));
    if (best === undefined || validated > best.validated) {
      best = { right: await rightOf(set.test), chosen: Number(rate), validated };
    }
    await twin.model.dispose();
  }
  const { right, chosen } = best!;
  return { right, chosen };
}

async function labelsOf(twin: Twin, labelled: readonly Labelled[]): Promise<string[]> {
  const texts = labelled.map(({ text }) => text);
  if (twin.name === "gpt2") return (await twin.model.classify(texts)).map(({ label }) => label);
  return (await twin.model.classify(texts, { topK: 1 })).map(([best]) => best!.label);
}

/** Logistic regression on the mean of the final hidden states; the model stays frozen. */
export async function onFrozenStates(twin: Twin, set: LabelledSet): Promise<LabelResult> {
  const vectors = (texts: readonly Labelled[]): Promise<Float32Array[]> => {
    const given = texts.map(({ text }) => text);
    return meanStates(twin, given, false);
  };
  const labels = [...new Set(set.train.map(({ label }) => label))].sort();
  const numbers = (texts: readonly Labelled[]): number[] => texts.map(({ label }) => labels.indexOf(label));
  const [train, validation, test] = [
    await vectors(set.train),
    await vectors(set.validation),
    await vectors(set.test),
  ] as const;
  const rightOf = (model: LogisticRegression, of: readonly Float32Array[], texts: readonly Labelled[]): number[] =>
    numbers(texts).map((label, i) => Number(model.predict(of[i]!) === label));
  const fits = DECAYS.map((decay) => {
    const model = new LogisticRegression(train, numbers(set.train), labels.length, decay);
    return { decay, model, validated: accuracy(rightOf(model, validation, set.validation)) };
  });
  const best = fits.reduce((a, b) => (b.validated > a.validated ? b : a));
  return { right: rightOf(best.model, test, set.test), chosen: best.decay };
}
