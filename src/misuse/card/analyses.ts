import { formatInterval, formatValue } from "../../evaluate/report.js";
import { SCORES, type ScoreName } from "../detect/scores.js";
import { RANKINGS, type Ranking } from "../extract/rank-samples.js";
import { wilsonInterval } from "../extract/wilson.js";
import { count, NOT_KNOWN, percent, table } from "./markdown.js";
import type { CardResults } from "./results.js";

/** The results as tables, each under its own heading. Results that were not measured are "Not known." */
export function analyses(results: CardResults): string {
  const parts: readonly (readonly [title: string, text: string])[] = [
    ["Evaluations", evaluations(results)],
    ["Overlap of evaluations with the training text", overlap(results)],
    ["Training text that the model reproduces", extraction(results)],
    ["Telling its texts from human texts", detection(results)],
    ["Finding its watermark", watermarks(results)],
    ["Differences between groups of people", bias(results)],
  ];
  return parts.map(([title, text]) => `### ${title}\n\n${text}`).join("\n\n");
}

function evaluations({ evaluations: all }: CardResults): string {
  const rows = all.flatMap(({ spec, items, metrics }) =>
    metrics.map((metric) => {
      const value = formatValue(metric.value, metric.scale);
      return [`\`${spec}\``, metric.name, value, formatInterval(metric), count(items)];
    }),
  );
  return rows.length === 0 ? NOT_KNOWN : table(["task", "metric", "value", "95% interval", "items"], rows);
}

function overlap({ overlaps }: CardResults): string {
  const rows = overlaps.flatMap(({ sets }) => sets.map((set) => [set.title, count(set.ngrams), percent(set.overlap)]));
  return rows.length === 0 ? NOT_KNOWN : table(["text", "8-grams", "also in the training text"], rows);
}

function extraction({ extraction: reports, rankings }: CardResults): string {
  const rows = reports.flatMap(({ targetTokens, rates }) =>
    rates.map(({ promptTokens, passages, extractable, rate, interval: [low, high] }) => {
      const counts = `${count(extractable)} of ${count(passages)}`;
      return [String(promptTokens), String(targetTokens), counts, percent(rate), `${percent(low)} to ${percent(high)}`];
    }),
  );
  const tries = table(["prompt tokens", "matched tokens", "passages reproduced", "rate", "95% interval"], rows);
  const samples = rankings.map(({ matchTokens, memorized, samples: texts, rankings: ranked }) => {
    const longest = texts.reduce((most, { longestRun }) => Math.max(most, longestRun), 0);
    const found = Object.entries(ranked).map(
      ([name, of]) => `${of.memorized} of the first ${of.top} by ${RANKINGS[name as Ranking]}`,
    );
    return `Of ${count(texts.length)} texts without a prompt, ${count(memorized)} contain at least ${matchTokens} consecutive tokens of the training text (the longest run has ${longest}): ${found.join("; ")}.`;
  });
  const parts = [...(rows.length > 0 ? [tries] : []), ...samples];
  return parts.length === 0 ? NOT_KNOWN : parts.join("\n\n");
}

function detection({ separations, detections, calibrations }: CardResults): string {
  const whole = separations.filter(({ tokens, edit }) => tokens === undefined && edit === undefined);
  const range = ({ low, high }: { low: number; high: number }, format: (x: number) => string) =>
    `${format(low)} to ${format(high)}`;
  const fixed = (x: number): string => x.toFixed(3);
  const rows = whole.flatMap(({ domain, generator, sampling, separations: by }) =>
    Object.entries(by).map(([name, { auroc, truePositives5 }]) => [
      ...[domain, sampling === undefined ? generator : `${generator}, ${sampling}`],
      SCORES[name as ScoreName]?.name ?? name,
      ...[fixed(auroc.value), range(auroc.interval, fixed)],
      ...[percent(truePositives5.value), range(truePositives5.interval, percent)],
    ]),
  );
  const head = [
    "human texts",
    "generator, sampling",
    "score",
    "AUROC",
    "95% interval",
    "found at 5% false positives",
    "95% interval",
  ];
  const texts = detections.flatMap(({ tokenCount, scores, falsePositives, calibration }) =>
    Object.entries(scores).map(([name, value]) => {
      const rate = falsePositives[name as ScoreName];
      const shown = rate ? `${percent(rate.rate)} of ${calibration?.name ?? "human texts"}` : NOT_KNOWN;
      return [count(tokenCount), SCORES[name as ScoreName]?.name ?? name, value!.toFixed(4), shown];
    }),
  );
  const known = calibrations.map(({ set, lengths }) => {
    const sizes = lengths.map(({ tokens }) => tokens).join(", ");
    return `False-positive rates are known at ${sizes} tokens, from ${count(set.texts)} texts: ${set.name}.`;
  });
  const parts = [
    ...(rows.length > 0 ? [table(head, rows)] : []),
    ...(texts.length > 0 ? [table(["tokens", "score", "value", "human texts that score as high"], texts)] : []),
    ...known,
  ];
  return parts.length === 0 ? NOT_KNOWN : parts.join("\n\n");
}

function watermarks({ watermarks: all }: CardResults): string {
  const share = (value: number, n: number): string => {
    const [low, high] = wilsonInterval(Math.round(value * n), n);
    return `${percent(value)} (${percent(low)} to ${percent(high)})`;
  };
  const found = all.flatMap(({ scheme, texts, byLength = [] }) =>
    byLength.map(({ length, text }) => [
      ...[`\`${scheme}\``, String(length), count(texts)],
      ...[share(text["0.01"], texts), share(text["0.001"], texts)],
    ]),
  );
  const human = all.flatMap(({ scheme, human: of }) =>
    of
      ? [
          [
            ...[`\`${scheme}\``, count(of.passages)],
            ...[share(of.found["0.01"], of.passages), share(of.found["0.001"], of.passages)],
          ],
        ]
      : [],
  );
  const parts = [
    ...(found.length > 0 ? [table(["scheme", "tokens", "marked texts", "found at 1%", "found at 0.1%"], found)] : []),
    ...(human.length > 0
      ? [table(["scheme", "human passages", "false positives at 1%", "false positives at 0.1%"], human)]
      : []),
  ];
  return parts.length === 0 ? NOT_KNOWN : parts.join("\n\n");
}

function bias({ bias: reports }: CardResults): string {
  const nats = (x: number): string => `${x >= 0 ? "+" : ""}${x.toFixed(3)}`;
  const rows = reports.flatMap(({ probes }) =>
    probes.map(({ positive, difference: { value, interval } }) => [
      positive,
      nats(value),
      `${nats(interval.low)} to ${nats(interval.high)}`,
    ]),
  );
  if (rows.length === 0) return NOT_KNOWN;
  return `Differences of log-probabilities, in nats (\`gpt2 bias\`):\n\n${table(["positive if", "difference", "95% interval"], rows)}`;
}
