import type { Detection, Uncalibrated } from "../../misuse/detect/detect.js";
import { BUCKET_STYLES, piecesOf } from "../../misuse/detect/picture/pieces.js";
import { SCORES, type ScoreName } from "../../misuse/detect/scores.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { formatPercent, formatTable, plural, rounded, type Style, styleFor } from "../output.js";

/** The output of `gpt2 detect` for a text. */

export function detectionReport(detection: Detection, tokenizer: Tokenizer): string {
  const style = styleFor(process.stdout);
  const picture = style.shows ? `${colored(detection, tokenizer, style)}\n\n` : "";
  const notes = detectionNotes(detection).map((line) => `${line}\n`);
  return `${picture}${bucketTable(detection, style)}\n${scoreTable(detection)}\n${notes.join("")}`;
}

function colored(detection: Detection, tokenizer: Tokenizer, style: Style): string {
  const pieces = piecesOf(tokenizer, detection);
  return pieces.map(({ text, bucket }) => style.color(text, BUCKET_STYLES[bucket]!.terminal)).join("");
}

function bucketTable({ buckets, tokens }: Detection, style: Style): string {
  const rows = BUCKET_STYLES.map(({ label, terminal }, i) => {
    const share = formatPercent(buckets[i]! / tokens.length, 1).padStart(6);
    return `${style.color(label.padEnd(9), terminal)}  ${share}\n`;
  });
  return `${plural(tokens.length, "token")}, by rank in the model's predictions\n${rows.join("")}`;
}

function scoreTable({ scores, falsePositives }: Detection): string {
  const rows = (Object.keys(scores) as ScoreName[]).map((name) => {
    const rate = falsePositives[name];
    const share = rate ? formatPercent(rate.rate) : "not known";
    const interval = rate ? rate.interval.map((x) => formatPercent(x)).join(" to ") : "";
    return [SCORES[name].name, scores[name]!.toFixed(4), share, interval];
  });
  return formatTable(["score", "value", "human texts that score as high", "95% interval"], rows);
}

const REASONS: Readonly<Record<Uncalibrated, string>> = {
  "too short": "The text is too short: there are no false-positive rates below 32 tokens.",
  "no calibration":
    "There is no calibration for this model, so it is not known how often human texts score as high: gpt2 detect --calibrate makes one.",
  "calibration of another model":
    "The calibration was made with other weights, so it is not known how often human texts score as high.",
};

/** Explains the scores, and their limits. */
export function detectionNotes({ calibration, uncalibrated, tokens }: Detection): string[] {
  const caution = "No score proves who wrote a text.";
  if (uncalibrated !== undefined) return [REASONS[uncalibrated], caution];
  const part = calibration!.tokens < tokens.length ? `, by the text's first ${calibration!.tokens} tokens` : "";
  return [`Human texts: ${calibration!.name}${part}. The rates hold only for texts of that kind.`, caution];
}

export function detectionJson(detection: Detection, tokenizer: Tokenizer) {
  const { tokens, statistics, buckets, scores, falsePositives, calibration, uncalibrated } = detection;
  const entries = Object.entries(scores).map(([name, value]) => [name, rounded(value)]);
  return {
    tokenCount: tokens.length,
    scores: Object.fromEntries(entries),
    falsePositives,
    calibration: calibration ?? null,
    uncalibrated: uncalibrated ?? null,
    notes: detectionNotes(detection),
    buckets: { top10: buckets[0], top100: buckets[1], top1000: buckets[2], below: buckets[3] },
    tokens,
    texts: tokens.map((id) => tokenizer.decode([id])),
    logprobs: Array.from(statistics.logprobs, rounded),
    ranks: Array.from(statistics.ranks),
    entropies: Array.from(statistics.means, (mean) => rounded(-mean)),
  };
}
