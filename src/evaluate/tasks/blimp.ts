import { DataError } from "../../errors.js";
import { type DataFile, type DataSource, readFirst, sha256, type UsedFile } from "../data/source.js";
import { jsonLines, stringField } from "../data/text-formats.js";
import { openZip } from "../data/zip.js";
import { meanMetric } from "../metrics/metric.js";
import type { RequestGenerator } from "../requests.js";
import { scoreChoices } from "../requests.js";
import { evaluation, type Outcome, type Task, type TaskSetup } from "../task.js";

const INFO = { name: "blimp", origin: "https://github.com/alexwarstadt/blimp (BLiMP.zip)" };

/** Two sentences that differ in what makes one of them ungrammatical. */
export interface BlimpPair {
  readonly good: string;
  readonly bad: string;
  /** Its set of a thousand pairs, and the phenomenon that the set tests. */
  readonly paradigm: string;
  readonly phenomenon: string;
}

interface BlimpOutcome extends Outcome {
  readonly paradigm: string;
  readonly phenomenon: string;
  readonly good: number;
  readonly bad: number;
  readonly right: boolean;
}

/** BLiMP (Warstadt et al. 2020): which sentence of a minimal pair is grammatical. Not in the paper. */
export const blimp: Task = {
  name: "blimp",
  version: 1,
  about:
    "which sentence of a pair is grammatical, by total log-probability: accuracy in all, by phenomenon and paradigm",
  options: {
    prompt: {
      about: "harness: a space before each sentence, as in the LM evaluation harness; plain: none",
      values: ["harness", "plain"],
    },
    paradigms: { about: "show each of the 67 paradigms too", values: ["together", "each"] },
  },
  prepare: async (setup) => {
    const { pairs, files } = await readBlimpPairs(setup.source);
    const accuracy = (name: string, counts: (o: BlimpOutcome) => boolean) =>
      meanMetric<BlimpOutcome>(name, (o) => (counts(o) ? o.right : undefined));
    const names = (key: "phenomenon" | "paradigm") => [...new Set(pairs.map((pair) => pair[key]))].sort();
    const each = setup.options.paradigms === "each" ? names("paradigm") : [];
    return evaluation<BlimpPair, BlimpOutcome>({
      items: pairs,
      blockSize: 256,
      run: (pair) => compare(pair, setup),
      texts: ({ good }) => [good],
      metrics: [
        accuracy("accuracy", () => true),
        ...names("phenomenon").map((name) => accuracy(name, (o) => o.phenomenon === name)),
        ...each.map((name) => accuracy(`paradigm ${name}`, (o) => o.paradigm === name)),
      ],
      files,
    });
  },
};

/** Reads the published archive, or its folder of 67 files: a pair of each paradigm in turn. */
export async function readBlimpPairs(source: DataSource): Promise<{ pairs: BlimpPair[]; files: UsedFile[] }> {
  for (const folder of ["blimp/data", "data"]) {
    const names = (await source.list(folder)).filter((name) => name.endsWith(".jsonl"));
    if (names.length === 0) continue;
    const files: DataFile[] = [];
    for (const path of names.map((name) => `${folder}/${name}`)) {
      const bytes = (await source.read(path))!;
      files.push({ path, bytes, sha256: await sha256(bytes) });
    }
    return { pairs: inTurn(files.map(readParadigm)), files };
  }
  const file = await readFirst(source, INFO, ["BLiMP.zip"]);
  const archive = openZip(file.bytes, file.path);
  const members = archive.names.filter((name) => /^data\/[^/.][^/]*\.jsonl$/.test(name)).sort();
  const paradigms = await Promise.all(
    members.map(async (path) => readParadigm({ path: `${file.path}: ${path}`, bytes: await archive.read(path) })),
  );
  return { pairs: inTurn(paradigms), files: [file] };
}

function readParadigm(file: Pick<DataFile, "path" | "bytes">): BlimpPair[] {
  return jsonLines(file).map((record, i) => {
    const field = (name: string) => stringField(record, name, `${file.path}, item ${i + 1}`);
    return {
      good: field("sentence_good"),
      bad: field("sentence_bad"),
      paradigm: field("UID"),
      phenomenon: field("linguistics_term"),
    };
  });
}

/** Interleaves paradigms, so that a limited run has some pairs of each. */
function inTurn(paradigms: readonly (readonly BlimpPair[])[]): BlimpPair[] {
  const longest = Math.max(0, ...paradigms.map(({ length }) => length));
  const pairs = Array.from({ length: longest }, (_, i) => paradigms.flatMap((pairs) => pairs.slice(i, i + 1))).flat();
  if (pairs.length > 0) return pairs;
  throw new DataError({ op: "data set blimp", expected: "files of sentence pairs", got: "none" });
}

function* compare({ good, bad, paradigm, phenomenon }: BlimpPair, setup: TaskSetup): RequestGenerator<BlimpOutcome> {
  const space = setup.options.prompt === "harness" ? " " : "";
  const [a, b] = yield* scoreChoices(setup, "", [space + good, space + bad]);
  return { paradigm, phenomenon, good: a!.logprob, bad: b!.logprob, right: a!.logprob > b!.logprob };
}
