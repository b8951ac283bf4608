import type { HashedFile } from "../../evaluate/report-file.js";
import type { TrainEvent } from "../../train/events.js";
import { type AboutModel, type DataSource, NO_BASE } from "./about.js";
import { analyses } from "./analyses.js";
import { count, NOT_KNOWN, table } from "./markdown.js";
import { cardMetadata } from "./metadata.js";
import type { CardResults } from "./results.js";

/** Facts from the files of a model. */
export interface ModelFacts {
  readonly name: string;
  /** The architecture's name. */
  readonly architecture: string;
  readonly config: {
    readonly nLayer: number;
    readonly nEmbd: number;
    readonly nHead: number;
    readonly nCtx: number;
    readonly vocabSize: number;
  };
  readonly parameters: number;
  readonly dtype: string;
  /** Bytes of its files. */
  readonly bytes: number;
  readonly format: string;
  /** Hashes of the weight files, which tell figures of these weights from those of others. */
  readonly files: readonly HashedFile[];
  /** Events of the training run whose folder holds the model; empty if there is none. */
  readonly events: readonly TrainEvent[];
}

/**
 * A model card with the sections of Mitchell et al. 2019, filled from the model's files, results and its authors' statements.
 * Nothing is invented: a fact that none of them gives is "Not known."
 */
export function modelCard(facts: ModelFacts, about: AboutModel, results: CardResults): string {
  const name = about.name ?? facts.name;
  const sections = [
    ["Model details", details(facts, about)],
    ["Intended use", intendedUse(about)],
    ["Factors", about.factors ?? NOT_KNOWN],
    ["Metrics", metrics(results)],
    ["Evaluation data", evaluationData(about, results)],
    ["Training data", trainingData(facts, about)],
    ["Training", training(facts, about)],
    ["Quantitative analyses", analyses(results)],
    ["Ethical considerations", ethics(about, results)],
    ["Caveats and recommendations", caveats(about, results)],
  ] as const;
  const body = sections.map(([title, text]) => `## ${title}\n\n${text}\n`).join("\n");
  const description = about.description === undefined ? "" : `\n${about.description}\n`;
  return `${cardMetadata(name, about, results)}\n# ${name}\n${description}\n${body}${about.citation ? `\n## Citation\n\n${about.citation}\n` : ""}`;
}

function details(facts: ModelFacts, about: AboutModel): string {
  const { architecture, config, parameters, dtype, bytes, format, files } = facts;
  const { nLayer, nEmbd, nHead, nCtx, vocabSize } = config;
  return table(
    ["", ""],
    [
      ["developed by", about.authors ?? NOT_KNOWN],
      ["date", about.date ?? NOT_KNOWN],
      ["version", about.version ?? NOT_KNOWN],
      ["type", `${architecture}, a language model that predicts the next token`],
      ["shape", `${nLayer} layers, width ${count(nEmbd)}, ${nHead} heads, context ${count(nCtx)} tokens`],
      ["vocabulary", `${count(vocabSize)} tokens`],
      ["parameters", count(parameters)],
      ["files", `${format}, ${dtype}, ${(bytes / 1e6).toFixed(1)} MB`],
      ["SHA-256", files.map(({ file, sha256 }) => `${file} ${sha256}`).join(", ") || NOT_KNOWN],
      ["made from", about.baseModel === NO_BASE ? "random weights" : (about.baseModel ?? NOT_KNOWN)],
      ["licence", about.license ?? NOT_KNOWN],
      ["contact", about.contact ?? NOT_KNOWN],
    ],
  );
}

const intendedUse = ({ intendedUse: uses, outOfScopeUse }: AboutModel): string =>
  `${uses ?? NOT_KNOWN}\n\nOut of scope: ${outOfScopeUse ?? NOT_KNOWN}`;

function metrics({ evaluations }: CardResults): string {
  const names = [...new Set(evaluations.flatMap((result) => result.metrics.map((metric) => metric.name)))];
  if (names.length === 0) return NOT_KNOWN;
  return `${names.join("; ")}. Each with a 95% interval by bootstrap over the items.`;
}

function evaluationData({ evaluationData: data }: AboutModel, { evaluations }: CardResults): string {
  const sets = evaluations.map(({ spec, items }) => `\`${spec}\` (${count(items)} items)`);
  return [data, sets.length > 0 ? `${sets.join(", ")}.` : undefined].filter(Boolean).join("\n\n") || NOT_KNOWN;
}

function trainingData({ events }: ModelFacts, about: AboutModel): string {
  const start = events.findLast((event) => event.type === "start");
  const said = about.trainingData ?? NOT_KNOWN;
  const sources = about.dataSources ? sourceTable(about.dataSources) : undefined;
  const stated = about.dataLicenses ?? (sources ? "as the table says." : NOT_KNOWN);
  const licences = [`Licences of the data: ${stated}`, sources].filter(Boolean).join("\n\n");
  if (!start) return `${said}\n\n${licences}`;
  const held = start.valTokens === undefined ? "nothing is held out" : `${count(start.valTokens)} are held out`;
  return `${said}\n\n${licences}\n\n${count(start.trainTokens)} tokens, seen ${start.epochs.toPrecision(3)} times; ${held}.`;
}

function sourceTable(sources: readonly DataSource[]): string {
  const cell = (value: number | undefined): string => (value === undefined ? NOT_KNOWN : count(value));
  const rows = sources.map(({ source, license, documents, bytes }) => [source, license, cell(documents), cell(bytes)]);
  return table(["source", "licence", "documents", "bytes"], rows);
}

function training({ events }: ModelFacts, about: AboutModel): string {
  const start = events.findLast((event) => event.type === "start");
  const steps = events.filter((event) => event.type === "step");
  const validation = events.findLast((event) => event.type === "validation");
  const recipe = about.recipe ?? (start ? undefined : NOT_KNOWN);
  if (!start) return recipe!;
  const { settings, backend } = start;
  const hours = steps.reduce((sum, { seconds }) => sum + seconds, 0) / 3600;
  const rows: (readonly [string, string])[] = [
    ["optimizer", settings.optimizer],
    ["steps", count(steps.at(-1)?.step ?? start.step)],
    ["tokens per step", count(settings.batchTokens)],
    ["tokens in all", count(steps.at(-1)?.tokens ?? 0)],
    ["sequence", `${count(settings.seqLength)} tokens`],
    [
      "learning rate",
      `${settings.lr} to ${settings.minLr}, ${settings.schedule}, ${settings.warmupSteps} steps of warm-up`,
    ],
    ["weight decay, dropout", `${settings.weightDecay}, ${settings.dropout}`],
    ["seed", String(settings.seed)],
    ["time", `${hours.toFixed(1)} hours on ${backend}`],
  ];
  if (validation) {
    const bits = validation.bitsPerByte === undefined ? "" : `, ${validation.bitsPerByte.toFixed(4)} bits per byte`;
    rows.push([
      "last validation",
      `${validation.loss.toFixed(4)} nats per token${bits}, ${count(validation.tokens)} tokens`,
    ]);
  }
  return [recipe, table(["", ""], rows)].filter(Boolean).join("\n\n");
}

function ethics({ ethicalConsiderations }: AboutModel, { bias }: CardResults): string {
  const measured = bias.length > 0 ? "Differences between groups are measured under quantitative analyses." : undefined;
  return [ethicalConsiderations ?? NOT_KNOWN, measured].filter(Boolean).join("\n\n");
}

function caveats({ caveats: given }: AboutModel, results: CardResults): string {
  const { detections, separations, calibrations, watermarks } = results;
  const above = (known: boolean): string => (known ? "; see the figures above" : "");
  const detects = detections.length + separations.length + calibrations.length > 0;
  return [
    given ?? NOT_KNOWN,
    "A language model writes fluent text that may be false, copies phrases and passages of its training text, and repeats the views of its sources. Do not use it where someone relies on what it says, and label machine-written text as such.",
    `Its texts can carry a watermark by which they can be recognized later: \`gpt2 "…" --watermark gumbel --watermark-key-file key.txt\` adds the mark, \`gpt2 watermark\` finds it${above(watermarks.length > 0)}. Enough edits remove a mark, and anyone with the weights can generate text without it.`,
    `\`gpt2 detect\` scores texts that carry no mark${above(detects)}. No score proves who wrote a text.`,
  ].join("\n\n");
}
