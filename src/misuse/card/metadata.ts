import { type AboutModel, NO_BASE } from "./about.js";
import type { CardResults } from "./results.js";

/** The card's YAML front matter for the Hugging Face hub. Missing facts are left out. */
export function cardMetadata(name: string, about: AboutModel, { evaluations }: CardResults): string {
  const { license, languages, baseModel, datasets, library } = about;
  const metrics = [...new Set(evaluations.flatMap((result) => result.metrics.map((metric) => metric.name)))];
  const lines = [
    ...list("language", languages),
    ...one("license", license),
    ...one("base_model", baseModel === NO_BASE ? undefined : baseModel),
    ...list("datasets", datasets),
    ...list("metrics", metrics),
    ...one("library_name", library),
    ...one("pipeline_tag", "text-generation"),
    ...list("tags", ["gpt2", "text-generation"]),
    ...modelIndex(name, evaluations),
  ];
  return `---\n${lines.map((line) => `${line}\n`).join("")}---\n`;
}

/** A JSON string is a YAML string too. */
const text = (value: string): string =>
  /^[a-z][a-z0-9.-]*$/.test(value) && !RESERVED.test(value) ? value : JSON.stringify(value);
/** Words that YAML 1.1 reads as booleans or nothing. */
const RESERVED = /^(y|n|yes|no|on|off|true|false|null)$/;

const one = (key: string, value: string | undefined): string[] =>
  value === undefined ? [] : [`${key}: ${text(value)}`];

const list = (key: string, values: readonly string[] | undefined): string[] =>
  values?.length ? [`${key}:`, ...values.map((value) => `- ${text(value)}`)] : [];

function modelIndex(name: string, evaluations: CardResults["evaluations"]): string[] {
  if (evaluations.length === 0) return [];
  const results = evaluations.flatMap(({ spec, metrics }) => {
    const known = metrics.filter(({ value }) => Number.isFinite(value));
    return known.length === 0
      ? []
      : [
          "  - task:",
          "      type: text-generation",
          "    dataset:",
          `      name: ${text(spec)}`,
          `      type: ${text(spec)}`,
          "    metrics:",
          ...known.flatMap((metric) => [
            `    - type: ${text(metric.name)}`,
            `      name: ${text(metric.name)}`,
            `      value: ${Number(metric.value.toPrecision(5))}`,
          ]),
        ];
  });
  return results.length === 0 ? [] : ["model-index:", `- name: ${text(name)}`, "  results:", ...results];
}
