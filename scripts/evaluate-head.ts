/**
 * Fine-tunes a model, a GPT-2 or a BERT, as a detector of one generator's texts, and tests it on texts of all: a file of
 * {@link ClassifierRow} for scripts/release-figures.ts.
 *
 *     node dist/scripts/evaluate-head.js --pairs DIR --human books=valid.txt.gz [--model DIR] --detector NAME --work WORK --out head.json
 *
 * The other flags are those of scripts/evaluate-detectors.ts.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { architectureOf } from "../src/architectures/registry.js";
import { chooseBackend } from "../src/backend/choose.js";
import { BERT } from "../src/bert.js";
import { hashFiles } from "../src/evaluate/report-file.js";
import { GPT2 } from "../src/gpt2.js";
import { HeadDetector, trainHeadDetector } from "../src/misuse/classifier/head-detector.js";
import { openModel } from "../src/pretrained/load.js";
import { packageFile } from "../src/util/package-root.js";
import { type ClassifierRow, classifierRows } from "./detection/classifiers.js";
import { readDetectionFlags } from "./detection/flags.js";
import { DEFAULT_MODEL, partsOf } from "./detection/texts.js";
import type { Edit } from "./word-edits.js";

/** A BERT takes smaller steps. */
const RATES = { causal: 1e-4, bidirectional: 5e-5 };
const SHARES = [0.1, 0.3, 0.5];

const { sets, sources, ...flags } = await readDetectionFlags("evaluate-head");
const base = flags.model ?? packageFile("models/default");
const detector = flags.detector ?? "fine-tuned";
const [weights] = await hashFiles([join(base, "model.safetensors")]);
const edits: (readonly [Edit, number])[] =
  sources.synonyms.size > 0 ? SHARES.map((share) => ["paraphrase", share] as const) : [];

const rows: ClassifierRow[] = [];
for (const trained of [sets[0]!.generator, DEFAULT_MODEL]) {
  const { train, validation } = partsOf(sets, trained);
  const texts = createHash("sha256").update(JSON.stringify([weights!.sha256, train, validation]));
  const run = join(flags.work, `head-${texts.digest("hex").slice(0, 12)}`);
  if (!existsSync(join(run, "model"))) {
    console.error(`${detector}: training on ${train.length} texts, ${trained}`);
    const { backend } = await chooseBackend();
    const settings = { lr: RATES[await attentionOf(base)], precision: "bf16" } as const;
    await trainHeadDetector({ train, validation, calibration: [] }, { backend, from: base, out: run, settings });
    await backend.dispose();
  }
  const folder = join(run, "model");
  await using model = await ((await attentionOf(folder)) === "causal" ? GPT2 : BERT).load(folder);
  const head = new HeadDetector(model);
  const tested = { detector, trained, score: (of: readonly string[]) => head.score(of) };
  rows.push(...(await classifierRows(tested, sets, edits, sources)));
}
await writeFile(flags.out, `${JSON.stringify(rows, null, 1)}\n`);

async function attentionOf(folder: string): Promise<"causal" | "bidirectional"> {
  const checkpoint = await openModel(folder);
  checkpoint.close();
  return architectureOf(checkpoint.config).attention;
}
