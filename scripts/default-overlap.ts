import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { packageFile } from "../src/util/package-root.js";
import { publishOverlap } from "./measure-overlap.js";

/**
 * Measures how much of evaluations, of the held-out books and of the default model's writing is in its training text:
 * models/default/overlap.json, and the section of its card.
 *
 *     node dist/scripts/default-overlap.js --corpus CORPUS --work WORK --eval EVAL
 *
 * CORPUS holds train-*.txt.gz and valid.txt.gz. The filter is kept in WORK. Without --eval the figures of the
 * evaluation sets stay as they are, provided that text and tokenizer do.
 */
const { values } = parseArgs({
  options: {
    corpus: { type: "string" },
    work: { type: "string" },
    eval: { type: "string" },
    workers: { type: "string", default: "1" },
    out: { type: "string", default: packageFile("models/default") },
  },
});
const { corpus, work, out } = values;
if (!corpus || !work) {
  console.error("usage: node dist/scripts/default-overlap.js --corpus DIR --work DIR [--eval DIR] [--workers N]");
  process.exit(2);
}
const trainFiles = readdirSync(corpus)
  .filter((name) => /^train-\d+\.txt\.gz$/.test(name))
  .sort()
  .map((name) => join(corpus, name));
const started = performance.now();
const { sets } = await publishOverlap({
  ...{ out, trainFiles, work, evalFolder: values.eval, workers: Number(values.workers) },
  validFile: join(corpus, "valid.txt.gz"),
});
console.log(`${out}: overlap of ${sets.length} sets in ${((performance.now() - started) / 1000).toFixed(0)} s`);
