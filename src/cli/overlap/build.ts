import { existsSync } from "node:fs";
import { UsageError } from "../../errors.js";
import { buildNgramFilter } from "../../evaluate/overlap/build-filter.js";
import { saveNgramFilter } from "../../evaluate/overlap/filter-file.js";
import { countFalsePositives, describeFilter, type FilterFacts } from "../../evaluate/overlap/ngram-filter.js";
import { formatBytes, formatCount, formatDuration, progress } from "../../util/progress.js";
import { interruptible } from "../interrupt.js";
import type { BuildFlags } from "./flags.js";

/** As many as the paper tried. */
const RANDOM_STRINGS = 1_000_000;

interface Built extends FilterFacts {
  readonly out: string;
  /** Of that many random strings, how many the filter claims to know. */
  readonly randomStrings: number;
  readonly randomStringsFound: number;
  readonly seconds: number;
}

/** `gpt2 overlap build`. */
export async function buildFilter(inputs: readonly string[], flags: BuildFlags): Promise<void> {
  const { out, n, rate, workers, field, splitOn } = flags;
  if (existsSync(out) && !flags.overwrite) {
    const hint = "Add --overwrite to replace it";
    throw new UsageError({ op: `gpt2 overlap build: --out ${out}`, expected: "a new file", got: "one there", hint });
  }
  const mode = flags.progress && !process.stderr.isTTY ? "plain" : "auto";
  const line = progress({ label: "overlap build", unit: "B", mode });
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
    process.stdout.write(flags.json ? `${JSON.stringify(built)}\n` : summary(built));
  }).finally(() => line.done());
}

function summary(built: Built): string {
  const { out, n, documents, words, ngrams, distinct, hashes, bits, bound, falsePositiveRate, seconds } = built;
  const count = (value: number) => value.toLocaleString("en");
  const time = seconds < 10 ? `${seconds.toFixed(1)} s` : formatDuration(seconds);
  return [
    `read   ${count(words)} words in ${count(documents)} ${documents === 1 ? "document" : "documents"}: ${count(ngrams)} ${n}-grams, about ${count(distinct)} different`,
    `made   ${out}: ${formatBytes(bits / 8)}, ${hashes} hashes, in ${time}`,
    `false  at most ${bound} of what is not there is found; by its bits ${falsePositiveRate.toPrecision(3)}; ` +
      `${count(built.randomStringsFound)} of ${count(built.randomStrings)} random strings`,
    "",
  ].join("\n");
}
