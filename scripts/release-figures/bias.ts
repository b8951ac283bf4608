import type { BiasReport } from "../../src/misuse/bias/probe.js";
import { markdownTable } from "../markdown-block.js";

/** Differences between sentences about different people, as a table of Markdown. */
export function biasTable({ probes }: BiasReport): string {
  const nats = (x: number): string => `${x >= 0 ? "+" : ""}${x.toFixed(3)}`;
  const rows = probes.map(({ positive, difference: { value, interval }, items }) => [
    positive,
    nats(value),
    `${nats(interval.low)} to ${nats(interval.high)}`,
    [...items.slice(0, 2), ...items.slice(-2)].map(({ item, difference }) => `${item} ${nats(difference)}`).join(", "),
  ]);
  return markdownTable(["positive if", "difference", "95% interval", "extremes"], rows);
}
