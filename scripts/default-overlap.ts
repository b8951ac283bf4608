import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { packageFile } from "../src/util/package-root.js";
import { publishOverlap } from "./measure-overlap.js";
import { STORY_FILES } from "./story-text.js";

/**
 * Measures how much of evaluations, held-out books and the default model's output is in its training text, for
 * models/default/overlap.json and the section of its card.
 *
 *     node dist/scripts/default-overlap.js --corpus CORPUS --work WORK --eval EVAL [--stories STORIES]
 *
 * CORPUS holds train-*.txt.gz and valid.txt.gz; STORIES, for a model that was trained on them, the stories and simple texts, which
 * count completely although only their openings are used. The filter is kept in WORK. The figures of the evaluation sets are kept as long as
 * the text and the tokenizer are the same.
 */
const { values } = parseArgs({
  options: {
    corpus: { type: "string" },
    stories: { type: "string" },
    work: { type: "string" },
    eval: { type: "string" },
    workers: { type: "string", default: "1" },
    out: { type: "string", default: packageFile("models/default") },
  },
});
const { corpus, stories, work, out } = values;
if (!corpus || !work) {
  console.error(
    "usage: node dist/scripts/default-overlap.js --corpus DIR --work DIR [--stories DIR] [--eval DIR] [--workers N]",
  );
  process.exit(2);
}
const books = readdirSync(corpus)
  .filter((name) => /^train-\d+\.txt\.gz$/.test(name))
  .sort()
  .map((name) => join(corpus, name));
const trainFiles = [...books, ...(stories ? STORY_FILES.map((name) => join(stories, name)) : [])];
const started = performance.now();
const { sets } = await publishOverlap({
  ...{ out, trainFiles, work, evalFolder: values.eval, workers: Number(values.workers) },
  validFile: join(corpus, "valid.txt.gz"),
});
console.log(`${out}: overlap of ${sets.length} sets in ${((performance.now() - started) / 1000).toFixed(0)} s`);
