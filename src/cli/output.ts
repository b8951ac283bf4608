import { printable, printableLine } from "../util/printable.js";
import { formatDuration } from "../util/progress.js";

/**
 * All output of the command. Text from files, hubs and models passes through {@link printable} here, in tables, rows, notes and
 * styles, so that it cannot control the terminal.
 */

/** Writes to standard output. */
export function print(text: string): void {
  process.stdout.write(text);
}

/** Writes generated or decoded text: unchanged to a pipe or file, {@link printable} to a terminal. */
export function printText(text: string | Uint8Array): void {
  if (!process.stdout.isTTY) process.stdout.write(text);
  else print(printable(typeof text === "string" ? text : new TextDecoder().decode(text)));
}

/** Writes lines to standard output. */
export function printLines(lines: readonly string[]): void {
  print(lines.map((line) => `${printable(line)}\n`).join(""));
}

/** Writes a line of JSON, for `--json`. */
export function printJson(value: unknown): void {
  print(jsonLine(value));
}

export function jsonLine(value: unknown, replacer?: (key: string, value: unknown) => unknown): string {
  return `${printable(JSON.stringify(value, replacer))}\n`;
}

/** Writes a line for the user to standard error. */
export function note(text: string): void {
  process.stderr.write(`gpt2: ${printable(text)}\n`);
}

/** Writes a line for the user if there is a terminal. Logs and pipes get nothing. */
export function noteOnTerminal(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`${styleFor(process.stderr).dim(`[${text}]`)}\n`);
}

/** A stream that may be a terminal. */
interface MaybeTerminal {
  readonly isTTY?: boolean;
}

export interface Style {
  /** Whether styles show; otherwise text stays plain. */
  readonly shows: boolean;
  bold(text: string): string;
  dim(text: string): string;
  underline(text: string): string;
  /** Text in one of the terminal's 256 colours. */
  color(text: string, code: number): string;
}

const plain: Style = { shows: false, bold: printable, dim: printable, underline: printable, color: printable };

const wrap = (text: string, on: string, off: string) =>
  text === "" ? "" : `\x1b[${on}m${printable(text)}\x1b[${off}m`;

const ansi: Style = {
  shows: true,
  bold: (text) => wrap(text, "1", "22"),
  dim: (text) => wrap(text, "2", "22"),
  underline: (text) => wrap(text, "4", "24"),
  color: (text, code) => wrap(text, `38;5;${code}`, "39"),
};

/** The style for a stream: plain if it is not a terminal, or if NO_COLOR (no-color.org) is set. */
export function styleFor(stream: MaybeTerminal): Style {
  return stream.isTTY && !process.env.NO_COLOR && process.env.TERM !== "dumb" ? ansi : plain;
}

/** A table. The first `left` columns are aligned left, the others right. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[], left = 1): string {
  const lines = [head, ...rows].map((cells) => head.map((_, i) => printableLine(cells[i] ?? "")));
  const widths = head.map((_, i) => Math.max(...lines.map((cells) => cells[i]!.length)));
  const align = (text: string, i: number) => (i < left ? text.padEnd(widths[i]!) : text.padStart(widths[i]!));
  return lines.map((cells) => `${cells.map(align).join("  ").trimEnd()}\n`).join("");
}

/** Lines of names and aligned values. */
export function formatRows(rows: readonly (readonly [name: string, value: string])[]): string {
  return formatTable(["", ""], rows, 2).slice(1);
}

/** `1,234`. */
export const formatInteger = (n: number): string => n.toLocaleString("en");

/** `1 token`, `1,234 tokens`. */
export const plural = (n: number, what: string): string => `${formatInteger(n)} ${what}${n === 1 ? "" : "s"}`;

/** A share as a percentage with `digits` decimals. Default: two, or two significant digits below 1%. */
export function formatPercent(share: number, digits?: number): string {
  if (Number.isNaN(share)) return "–";
  const value = 100 * share;
  if (digits !== undefined) return `${value.toFixed(digits)}%`;
  if (value === 0 || value >= 1) return `${value.toFixed(2)}%`;
  return value < 1e-7 ? `${value.toExponential(0)}%` : `${value.toFixed(1 - Math.floor(Math.log10(value)))}%`;
}

/** `1.2 s`, then {@link formatDuration}. */
export const formatSeconds = (seconds: number): string =>
  seconds < 10 ? `${seconds.toFixed(1)} s` : formatDuration(seconds);

/** Six significant digits, as many as single precision has. */
export const rounded = (x: number): number => Number(x.toPrecision(6));
