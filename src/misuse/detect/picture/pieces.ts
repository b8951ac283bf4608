import type { Tokenizer } from "../../../tokenizer/tokenizer.js";
import { TokenText } from "../../trace/token-text.js";
import type { Detection } from "../detect.js";
import { rankBucket } from "../scores.js";

/** A run of whole characters: one token, or several that share a character. */
export interface Piece {
  readonly text: string;
  readonly rank: number;
  readonly probability: number;
  /** Entropy of the prediction, in nats. */
  readonly entropy: number;
  /** Index into {@link BUCKET_STYLES}. */
  readonly bucket: number;
}

/** Rank buckets in GLTR's colours; `terminal` is one of 256 colours. */
export const BUCKET_STYLES = [
  { label: "top 10", fill: "#adff80", terminal: 34 },
  { label: "top 100", fill: "#ffea80", terminal: 178 },
  { label: "top 1,000", fill: "#ff9280", terminal: 202 },
  { label: "below", fill: "#e5b0ff", terminal: 129 },
] as const;

/** The pieces of a text. Tokens that share a character have the numbers of the least likely one. */
export function piecesOf(tokenizer: Tokenizer, { tokens, statistics }: Detection): Piece[] {
  const text = new TokenText(tokenizer, tokens);
  const starts = Array.from(tokens.keys()).filter((t) => t === 0 || text.characterAt(t) >= 0);
  return starts.map((start, i) => {
    const end = starts[i + 1] ?? tokens.length;
    let worst = start;
    for (let t = start; t < end; t++) if (statistics.ranks[t]! > statistics.ranks[worst]!) worst = t;
    const rank = statistics.ranks[worst]!;
    return {
      text: text.text.slice(i === 0 ? 0 : text.characterAt(start), text.characterAt(end)),
      rank,
      probability: Math.exp(statistics.logprobs[worst]!),
      entropy: -statistics.means[worst]!,
      bucket: rankBucket(rank),
    };
  });
}

/** Escapes text for XML and HTML. Control characters, which both forbid, become U+FFFD. */
export function escapeMarkup(text: string): string {
  const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replace(/[&<>"]/g, (c) => entities[c]!).replace(/(?![\n\t])[\p{Cc}\p{Cs}\ufffe\uffff]/gu, "\ufffd");
}
