import { EDIT_NAMES } from "../detection/tables.js";
import { markdownTable } from "../markdown-block.js";
import type { Edit } from "../word-edits.js";
import type { PerplexityOfTexts } from "./texts.js";

/** Shares of texts found at 1% and at 0.1% false positives. */
export type Found = Readonly<Record<"0.01" | "0.001", number>>;

/** The measurements of scripts/watermark-figures.ts for one scheme, or for texts without a mark. */
export interface SchemeFigures {
  readonly scheme: string;
  readonly texts: number;
  readonly quality?: {
    readonly perplexity: PerplexityOfTexts;
    /** Shares of distinct n-grams of 1 to 4 tokens. */
    readonly distinct: readonly number[];
  };
  readonly byLength?: readonly { readonly length: number; readonly text: Found }[];
  readonly afterEdits?: readonly {
    readonly edit: Edit;
    readonly shares: readonly { readonly amount: number; readonly changed: number; readonly found: Found }[];
  }[];
  readonly human?: { readonly passages: number; readonly found: Found; readonly ofKeys: readonly [number, number] };
}

/** The figures as tables of Markdown. */
export function watermarkTables(all: readonly SchemeFigures[]): string {
  const marked = all.filter(({ byLength }) => byLength);
  const [first] = marked;
  const { texts } = first!;
  const lengths = first!.byLength!.map(({ length }) => length);
  const shares = first!.afterEdits![0]!.shares.map(({ amount }) => amount);
  const known = all.filter(({ human }) => human);
  return [
    `${texts} texts of ${lengths.at(-1)} tokens for each scheme. Shares of them are accurate to within ${points(texts, 0.5)} points at worst (95%), and to within ${points(texts, 1)} where all texts are found.`,
    "Marked texts found, in percent, by number of tokens, at 1% / 0.1% false positives:",
    markdownTable(
      ["scheme", ...lengths.map(String)],
      marked.map(({ scheme, byLength }) => [code(scheme), ...byLength!.map(({ text }) => both(text))]),
    ),
    "The same for texts of at most 200 tokens, after a share of their words was edited:",
    markdownTable(
      ["scheme", "words", ...shares.map(percent)],
      marked.flatMap(({ scheme, afterEdits }) =>
        afterEdits!.map(({ edit, shares: of }) => [code(scheme), EDIT_NAMES[edit], ...of.map(editCell)]),
      ),
    ),
    "Perplexity under the model itself (95% by texts), and the share of distinct n-grams in a text:",
    markdownTable(
      ["scheme", "perplexity", "1", "2", "3", "4"],
      all.flatMap(({ scheme, quality }) =>
        quality ? [[scheme === "none" ? scheme : code(scheme), ...qualityCells(quality)]] : [],
      ),
    ),
    ...(known.length === 0
      ? []
      : [
          `False positives among ${known[0]!.human!.passages.toLocaleString("en")} human passages of the same lengths, under ten keys:`,
          markdownTable(
            ["scheme", "at 1%", "at 0.1%", "at 1%, by key"],
            known.map(({ scheme, human }) => [
              code(scheme),
              ...[human!.found["0.01"], human!.found["0.001"]].map(precise),
              human!.ofKeys.map(precise).join(" to "),
            ]),
          ),
        ]),
  ].join("\n\n");
}

const code = (scheme: string): string => `\`${scheme}\``;

const percent = (share: number): string => `${Math.round(100 * share)}%`;
const precise = (share: number): string => `${(100 * share).toFixed(2)}%`;

const both = (found: Found): string =>
  [found["0.01"], found["0.001"]].map((share) => Math.round(100 * share)).join(" / ");

/** With the share of words actually edited, where too few have a synonym. */
function editCell({ amount, changed, found }: { amount: number; changed: number; found: Found }): string {
  return amount - changed > 0.01 ? `${both(found)} (${percent(changed)})` : both(found);
}

const qualityCells = ({ perplexity, distinct }: NonNullable<SchemeFigures["quality"]>): string[] => [
  perplexityCell(perplexity),
  ...distinct.map((share) => share.toFixed(3)),
];

function perplexityCell({ value, low, high }: PerplexityOfTexts): string {
  const digits = value < 10 ? 2 : value < 1000 ? 1 : 0;
  const [at, from, to] = [value, low, high].map((x) => x.toFixed(digits));
  return `${at} (${from} to ${to})`;
}

/** Half the width of Wilson's 95% interval of a share of n texts, in points; for a share of 1 the whole width. */
function points(n: number, share: number): number {
  const z2 = 1.96 ** 2;
  if (share === 1) return Math.ceil((100 * z2) / (n + z2));
  return Math.round((100 * 1.96 * Math.sqrt(n * share * (1 - share) + z2 / 4)) / (n + z2));
}
