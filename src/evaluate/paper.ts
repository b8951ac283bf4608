import type { ModelConfig } from "../architectures/config.js";
import { GPT2_PRESETS } from "../architectures/gpt2/config.js";

/** The paper's four models, as it names them. */
export const PAPER_SIZES = ["117M", "345M", "762M", "1542M"] as const;
export type PaperSize = (typeof PAPER_SIZES)[number];

/** A figure of the paper's, and our metrics that may correspond to it. */
export interface PaperFigure {
  readonly name: string;
  /** The task, and names of its metrics. */
  readonly task: string;
  readonly metrics: readonly string[];
  /** Options that an evaluation has to have. */
  readonly options?: Readonly<Record<string, string>>;
  /** Values in the metric's own scale: 0.4599 for 45.99%. For all sizes, or only the largest. */
  readonly values: Readonly<Partial<Record<PaperSize, number>>>;
}

const PER_WORD = ["perplexity per word", "perplexity per word, line ends not counted", "perplexity per token"];

const sizes = (...values: readonly number[]): Partial<Record<PaperSize, number>> =>
  Object.fromEntries(PAPER_SIZES.map((size, i) => [size, values[i]!]));
const percent = (...values: readonly number[]) => sizes(...values.map((x) => x / 100));
/** A figure of the largest model only. */
const largest = (value: number): Partial<Record<PaperSize, number>> => ({ "1542M": value });

/** Radford et al. 2019: table 3, table 4, and the text of sections 3.4 to 3.8. */
export const PAPER_FIGURES: readonly PaperFigure[] = [
  {
    name: "LAMBADA perplexity",
    task: "lambada",
    metrics: ["perplexity", "perplexity per token", "perplexity of last token"],
    values: sizes(35.13, 15.6, 10.87, 8.63),
  },
  {
    name: "LAMBADA accuracy",
    task: "lambada",
    metrics: [
      "accuracy, stop words filtered",
      "accuracy, stop words and punctuation filtered",
      "accuracy by last token, stop words filtered",
      "accuracy by last token",
      "accuracy",
    ],
    values: percent(45.99, 55.48, 60.12, 63.24),
  },
  { name: "CBT-CN accuracy", task: "cbt-cn", metrics: ["accuracy"], values: percent(87.65, 92.35, 93.45, 93.3) },
  { name: "CBT-NE accuracy", task: "cbt-ne", metrics: ["accuracy"], values: percent(83.4, 87.1, 88.0, 89.05) },
  { name: "WikiText2 perplexity", task: "wikitext-2", metrics: PER_WORD, values: sizes(29.41, 22.76, 19.93, 18.34) },
  { name: "PTB perplexity", task: "ptb", metrics: PER_WORD, values: sizes(65.85, 47.33, 40.31, 35.76) },
  { name: "enwik8 bits per byte", task: "enwik8", metrics: ["bits per byte"], values: sizes(1.16, 1.01, 0.97, 0.93) },
  {
    name: "text8 bits per character",
    task: "text8",
    metrics: ["bits per byte"],
    values: sizes(1.17, 1.06, 1.02, 0.98),
  },
  { name: "WikiText103 perplexity", task: "wikitext-103", metrics: PER_WORD, values: sizes(37.5, 26.37, 22.05, 17.48) },
  { name: "1BW perplexity", task: "1bw", metrics: PER_WORD, values: sizes(75.2, 55.72, 44.575, 42.16) },
  {
    name: "Winograd accuracy",
    task: "winograd",
    metrics: ["accuracy, partial scoring", "accuracy, full scoring"],
    values: largest(70.7 / 100),
  },
  { name: "CoQA F1", task: "coqa", metrics: ["F1"], values: largest(55 / 100) },
  ...(["ROUGE-1", "ROUGE-2", "ROUGE-L"] as const).flatMap((rouge, i): PaperFigure[] => {
    const figure = (prompt: string, about: string, score: number): PaperFigure => ({
      name: `CNN/DM ${rouge}, ${about}`,
      task: "cnn-dm",
      metrics: rouge === "ROUGE-L" ? ["ROUGE-Lsum", "ROUGE-L"] : [rouge],
      options: { summary: prompt },
      values: largest(score / 100),
    });
    return [
      figure("tldr", "TL;DR:", [29.34, 8.27, 26.58][i]!),
      figure("no-hint", "no hint", [21.58, 4.03, 19.47][i]!),
      figure("lead-3", "lead-3", [40.38, 17.66, 36.62][i]!),
      figure("random-3", "random-3", [28.78, 8.63, 25.52][i]!),
    ];
  }),
  { name: "WMT-14 en-fr BLEU", task: "wmt14-en-fr", metrics: ["BLEU (13a)", "BLEU (intl)"], values: largest(5 / 100) },
  {
    name: "WMT-14 fr-en BLEU",
    task: "wmt14-fr-en",
    metrics: ["BLEU (13a)", "BLEU (intl)"],
    values: largest(11.5 / 100),
  },
  { name: "Natural Questions exact match", task: "nq", metrics: ["exact match"], values: largest(4.1 / 100) },
];

const PRESETS: Readonly<Record<PaperSize, keyof typeof GPT2_PRESETS>> = {
  "117M": "gpt2",
  "345M": "gpt2-medium",
  "762M": "gpt2-large",
  "1542M": "gpt2-xl",
};

/** The paper's model of the same shape, if there is one. */
export function paperSize({ nLayer, nEmbd, nHead }: ModelConfig): PaperSize | undefined {
  return PAPER_SIZES.find((size) => {
    const preset = GPT2_PRESETS[PRESETS[size]];
    return preset.nLayer === nLayer && preset.nEmbd === nEmbd && preset.nHead === nHead;
  });
}

/** The paper's figure for a metric of an evaluation. */
export function paperFigure(
  task: string,
  options: Readonly<Record<string, string>>,
  metric: string,
): PaperFigure | undefined {
  return PAPER_FIGURES.find((figure) => {
    const applies = Object.entries(figure.options ?? {}).every(([key, value]) => options[key] === value);
    return figure.task === task && applies && figure.metrics.includes(metric);
  });
}
