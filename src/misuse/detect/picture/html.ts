import type { Tokenizer } from "../../../tokenizer/tokenizer.js";
import type { Detection } from "../detect.js";
import { SCORES, type ScoreName } from "../scores.js";
import { BUCKET_STYLES, escapeMarkup, type Piece, piecesOf } from "./pieces.js";

const STYLE = `body { font: 16px/1.7 sans-serif; max-width: 50em; margin: 2em auto; padding: 0 1em; color: #222; background: #fff }
.text { white-space: pre-wrap; overflow-wrap: anywhere }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: 0.1em 1em 0.1em 0; text-align: left; font-weight: normal }
svg { width: 16em; margin-right: 1em }
${BUCKET_STYLES.map(({ fill }, i) => `.b${i} { background: ${fill} }`).join("\n")}`;

/**
 * GLTR's picture as a page: the text, each token on the colour of its rank bucket, with rank, probability and entropy in a
 * tooltip; histograms of probability and entropy; the scores.
 *
 * @param notes lines below the table that explain the scores
 */
export function detectionHtml(tokenizer: Tokenizer, detection: Detection, notes: readonly string[]): string {
  const pieces = piecesOf(tokenizer, detection);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>How a model predicts this text</title>
<style>
${STYLE}
</style>
<h1>How a model predicts this text</h1>
<p>${legend(detection)}</p>
<p class="text">${pieces.map(pieceHtml).join("")}</p>
<p>${histograms(detection)}</p>
${scoreTable(detection)}
${notes.map((line) => `<p>${escapeMarkup(line)}</p>`).join("\n")}
</html>
`;
}

function pieceHtml({ text, rank, probability, entropy, bucket }: Piece): string {
  const title = `rank ${rank}, p ${probability.toPrecision(2)}, entropy ${entropy.toFixed(2)}`;
  return `<span class="b${bucket}" title="${title}">${escapeMarkup(text)}</span>`;
}

function legend({ buckets, tokens }: Detection): string {
  const share = (i: number): string => ((100 * buckets[i]!) / tokens.length).toFixed(1);
  return BUCKET_STYLES.map(({ label }, i) => `<span class="b${i}">${label}: ${share(i)}%</span>`).join(" ");
}

function scoreTable({ scores, falsePositives }: Detection): string {
  const rows = Object.entries(scores).map(([name, value]) => {
    const { name: label, about } = SCORES[name as ScoreName];
    const rate = falsePositives[name as ScoreName];
    const text = rate ? `${(100 * rate.rate).toPrecision(2)}%` : "not known";
    return `<tr><td title="${escapeMarkup(about)}">${label}</td><td>${value.toFixed(4)}</td><td>${text}</td></tr>`;
  });
  return `<table><tr><th>score</th><th>value</th><th>human texts that score as high</th></tr>
${rows.join("\n")}
</table>`;
}

function histograms({ statistics }: Detection): string {
  const probabilities = Array.from(statistics.logprobs, Math.exp);
  const entropies = Array.from(statistics.means, (mean) => -mean);
  const widest = Math.max(1, Math.ceil(Math.max(...entropies)));
  return [
    histogram("probability of the token", probabilities, 1),
    histogram("entropy of the prediction, nats", entropies, widest),
  ].join("\n");
}

const BINS = 10;

function histogram(title: string, values: readonly number[], end: number): string {
  const counts = new Array<number>(BINS).fill(0);
  for (const value of values) counts[Math.min(BINS - 1, Math.floor((BINS * value) / end))]!++;
  const most = Math.max(...counts);
  const bars = counts.map((count, i) => {
    const height = (80 * count) / most;
    const range = `${((i * end) / BINS).toFixed(1)} to ${(((i + 1) * end) / BINS).toFixed(1)}`;
    return `<rect x="${i * 20}" y="${(85 - height).toFixed(1)}" width="18" height="${height.toFixed(1)}" fill="#667"><title>${range}: ${count}</title></rect>`;
  });
  return `<svg viewBox="0 0 200 115" font-size="11"><title>${title}</title>${bars.join("")}<text y="98">0</text><text x="200" y="98" text-anchor="end">${end}</text><text x="100" y="112" text-anchor="middle">${title}</text></svg>`;
}
