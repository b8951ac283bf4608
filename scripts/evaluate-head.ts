/**
 * Fine-tunes the default model as a detector of one generator's texts, and tests it on texts of others: a file of
 * {@link ClassifierRow} for scripts/release-figures.ts.
 *
 *     node dist/scripts/evaluate-head.js --pairs DIR --human valid.txt.gz --work WORK --out head.json
 */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chooseBackend } from "../src/backend/choose.js";
import { GPT2 } from "../src/gpt2.js";
import { HeadDetector, trainHeadDetector } from "../src/misuse/classifier/head-detector.js";
import { separation } from "./detection/curves.js";
import { ownSets, pairSets, partsOf } from "./detection/texts.js";
import type { ClassifierRow } from "./evaluate-detectors.js";

const { values } = parseArgs({
  options: {
    pairs: { type: "string" },
    human: { type: "string", multiple: true },
    work: { type: "string" },
    texts: { type: "string", default: "100" },
    out: { type: "string" },
  },
});
const { pairs, human, work, out } = values;
if (!pairs || !human || !work || !out) {
  console.error(
    "usage: node dist/scripts/evaluate-head.js --pairs DIR --human FILE --work DIR --out FILE [--texts 100]",
  );
  process.exit(2);
}
const TRAINED = ["gpt2-xl", "top-k 40"];

const most = Number(values.texts);
const base = await GPT2.load();
const sets = [...(await pairSets(pairs, most)), ...(await ownSets(base, human, most, work))];
await base.dispose();
const generators = [...new Set(sets.map(({ generator }) => generator))];
const rows: ClassifierRow[] = [];
for (const trained of TRAINED) {
  const run = join(work, `head-${trained.replaceAll(" ", "-")}`);
  if (!existsSync(join(run, "model"))) {
    const { backend } = await chooseBackend();
    const { train, validation } = partsOf(sets, trained);
    console.error(`training on ${train.length} texts, ${trained}`);
    await trainHeadDetector({ train, validation, calibration: [] }, { backend, out: run });
    await backend.dispose();
  }
  const model = await GPT2.load(join(run, "model"));
  const detector = new HeadDetector(model);
  for (const tested of generators) {
    const { test } = partsOf(sets, tested);
    const odds = await detector.score(test.map(({ text }) => text));
    const of = (machine: boolean) => odds.filter((_, i) => test[i]!.machine === machine);
    rows.push({ trained, tested, separation: separation(of(false), of(true)) });
  }
  await model.dispose();
}
await writeFile(out, `${JSON.stringify(rows, null, 1)}\n`);
