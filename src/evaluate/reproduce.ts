import { PAPER_FIGURES, type PaperFigure, type PaperSize } from "./paper.js";
import type { TaskResult } from "./run.js";

/**
 * The evaluations behind the paper's figures, each in the variants that the paper leaves open, as task names.
 *
 * @param nCtx of the model; strides are all and half of it
 */
export function reproductionSpecs(nCtx: number): string[] {
  const half = `stride=${Math.max(1, nCtx >> 1)}`;
  const wordLevel = (name: string) => [name, `${name}:${half}`, `${name}:plain`, `${name}:plain,${half}`];
  const wikitext = (name: string) => [
    ...wordLevel(name),
    ...["document", "raw", "harness", "harness,raw", "transformers,apart", "transformers,raw,apart"].map(
      (options) => `${name}:${options}`,
    ),
  ];
  return [
    ...["lambada", "lambada:normalized", "lambada:original", "lambada:detokenized"],
    ...["cbt-cn", "cbt-cn:test", "cbt-cn:plain", "cbt-ne", "cbt-ne:test", "cbt-ne:plain"],
    ...wikitext("wikitext-2"),
    ...wordLevel("ptb"),
    ...["enwik8", "text8"],
    ...wikitext("wikitext-103"),
    ...["1bw", "1bw:plain", "1bw:stream", "1bw:plain,stream"],
    ...["winograd", "coqa"],
    ...["cnn-dm", "cnn-dm:no-hint", "cnn-dm:lead-3", "cnn-dm:random-3"],
    ...["wmt14-en-fr", "wmt14-fr-en", "nq"],
  ];
}

const LARGEST: PaperSize = "1542M";

/** One of our values that may correspond to a figure of the paper's. */
export interface Candidate {
  readonly spec: string;
  readonly metric: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** A figure of the paper's beside our candidates. */
export interface FigureComparison {
  readonly figure: PaperFigure;
  readonly paper: number;
  /** The paper's model of the figure: the requested one, or the largest where the paper reports no other. */
  readonly size: PaperSize;
  /** All candidates, smallest first. */
  readonly candidates: readonly Candidate[];
  readonly nearest: Candidate;
  /** The largest candidate not above the paper's figure, and the smallest not below. */
  readonly below: Candidate | undefined;
  readonly above: Candidate | undefined;
}

/** Each of the paper's figures for which there is a result, with the variants around it. */
export function compareWithPaper(results: readonly TaskResult[], size: PaperSize): FigureComparison[] {
  return PAPER_FIGURES.flatMap((figure) => {
    const reported = figure.values[size] === undefined ? LARGEST : size;
    const paper = figure.values[reported];
    const candidates = results
      .flatMap((result) => candidatesFor(figure, result))
      .filter(({ value }) => Number.isFinite(value))
      .sort((a, b) => a.value - b.value);
    if (paper === undefined || candidates.length === 0) return [];
    const distance = ({ value }: Candidate) => Math.abs(value - paper);
    const nearest = candidates.reduce((best, candidate) => (distance(candidate) < distance(best) ? candidate : best));
    const below = candidates.findLast(({ value }) => value <= paper);
    const above = candidates.find(({ value }) => value >= paper);
    return [{ figure, paper, size: reported, candidates, nearest, below, above }];
  });
}

function candidatesFor({ task, metrics, options = {} }: PaperFigure, result: TaskResult): Candidate[] {
  const applies = Object.entries(options).every(([key, value]) => result.options[key] === value);
  if (result.task !== task || !applies) return [];
  return result.metrics
    .filter(({ name }) => metrics.includes(name))
    .map(({ name, value, interval }) => ({ spec: result.spec, metric: name, value, ...interval }));
}
