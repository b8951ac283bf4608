import { printable } from "./printable.js";

const LONGEST = 100;

/** A value from a file, made safe and short enough for an error message. */
export function quote(value: unknown): string {
  if (Array.isArray(value)) return quoteList(value);
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value !== "string") return String(value);
  const text = value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value;
  return printable(JSON.stringify(text));
}

/** Quotes one level only: a hostile header may nest lists a million deep. */
function quoteList(values: readonly unknown[]): string {
  const shown = values.slice(0, 8).map((v) => (Array.isArray(v) ? "a list" : quote(v)));
  if (values.length > 8) shown.push(`… ${values.length} entries`);
  return `[${shown.join(", ")}]`;
}
