import { buildNgramFilter } from "../../evaluate/overlap/build-filter.js";
import { saveNgramFilter } from "../../evaluate/overlap/filter-file.js";
import { countFalsePositives, describeFilter, type FilterFacts } from "../../evaluate/overlap/ngram-filter.js";
import { formatBytes, formatCount, progress } from "../../util/progress.js";
import { refuseToReplace } from "../new-output.js";
import { progressMode } from "../options.js";
import { formatInteger, formatRows, formatSeconds, plural, print, printJson } from "../output.js";
import { interruptible } from "../signals.js";

/** The paper's choice. */
const RANDOM_STRINGS = 1_000_000;

export interface BuildFlags {
  readonly out: string;
  readonly n: number;
  readonly rate: number;
  readonly workers?: number;
  readonly field: string;
  readonly splitOn?: string;
  readonly overwrite?: true;
  readonly progress?: true;
  readonly json?: true;
}

interface Built extends FilterFacts {
  readonly out: string;
  /** Number of random strings looked up, and of those that the filter contains by mistake. */
  readonly randomStrings: number;
  readonly randomStringsFound: number;
  readonly seconds: number;
}

/** `gpt2 overlap build`. */
export async function buildFilter(inputs: readonly string[], flags: BuildFlags): Promise<void> {
  const { out, n, rate, workers, field, splitOn } = flags;
  refuseToReplace("overlap build", out, "file", flags.overwrite);
  const line = progress({ label: "overlap build", unit: "B", mode: progressMode(flags) });
  const started = performance.now();
  await interruptible(async (signal) => {
    const filter = await buildNgramFilter(inputs, {
      ...{ n, rate, workers, separator: splitOn, textField: field, signal },
      onProgress: ({ phase, bytesRead, bytesTotal, ngrams }) => {
        line.setTotal(2 * bytesTotal);
        const what = phase === "count" ? "counting" : "adding";
        line.update(bytesRead + (phase === "count" ? 0 : bytesTotal), `${what}, ${formatCount(ngrams)} ${n}-grams`);
      },
    });
    await saveNgramFilter(out, filter);
    line.done();
    const built: Built = {
      out,
      ...describeFilter(filter),
      randomStrings: RANDOM_STRINGS,
      randomStringsFound: countFalsePositives(filter, RANDOM_STRINGS),
      seconds: (performance.now() - started) / 1000,
    };
    if (flags.json) printJson(built);
    else print(summary(built));
  }).finally(() => line.done());
}

function summary(built: Built): string {
  const { out, n, documents, words, ngrams, distinct, hashes, bits, bound, falsePositiveRate, seconds } = built;
  const { randomStrings, randomStringsFound } = built;
  const read = `${plural(words, "word")} in ${plural(documents, "document")}: ${formatInteger(ngrams)} ${n}-grams`;
  return formatRows([
    ["read", `${read}, about ${formatInteger(distinct)} distinct`],
    ["made", `${out}: ${formatBytes(bits / 8)}, ${hashes} hashes, in ${formatSeconds(seconds)}`],
    [
      "false",
      `positives at most ${bound}; by the bits set ${falsePositiveRate.toPrecision(3)}; ` +
        `${formatInteger(randomStringsFound)} of ${formatInteger(randomStrings)} random strings`,
    ],
  ]);
}
