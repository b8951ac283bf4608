/**
 * The progress line of long commands, on stderr. On a terminal it is redrawn in place; elsewhere (a pipe, a
 * log file, CI) it is silent, or with `mode: "plain"` (the commands' --progress) an ordinary line at intervals.
 */

import { printable, printableLine } from "./printable.js";

/** The parts of a writable stream that a progress line needs; `process.stderr` is one. */
export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface ProgressOptions {
  readonly label: string;
  /** The final value of `n`. If unknown, no percentage and no time left are shown. */
  readonly total?: number | undefined;
  /** The unit: `"B"` prints bytes (12.3 MB); any other word is printed after the count (1.2M tokens). */
  readonly unit?: string | undefined;
  /** The initial value of `n`, when resuming: not counted in the rate. Default 0. */
  readonly start?: number | undefined;
  /** `auto` (default): `line` on a terminal outside CI, otherwise `off`. */
  readonly mode?: "auto" | "line" | "plain" | "off" | undefined;
  readonly stream?: ProgressStream | undefined;
  /** Milliseconds between two lines: by default 100 when redrawn in place, 10 000 in plain mode. */
  readonly intervalMs?: number | undefined;
  /** Clock in milliseconds, for tests. */
  readonly now?: (() => number) | undefined;
}

export interface Progress {
  /** Reports that `n` units are done; `extra` is free text after the figures, such as `loss 3.21`. */
  update(n: number, extra?: string): void;
  /** Sets the total, once it is known or when it changes. */
  setTotal(total: number): void;
  /** Writes a whole line above the progress line (on a terminal or in plain mode). */
  log(text: string): void;
  /** Removes the line from the terminal, so that something else can be written; the next update redraws it. */
  clear(): void;
  /** Ends the line: replaced by `message` if given, otherwise removed. Further calls do nothing. */
  done(message?: string): void;
}

/** Time constant with which the past fades from the rate. */
const RATE_SECONDS = 8;

/** Starts a progress line; nothing is written before the first update. */
export function progress(options: ProgressOptions): Progress {
  return new ProgressLine(options);
}

class ProgressLine implements Progress {
  readonly #label: string;
  readonly #unit: string;
  readonly #mode: "line" | "plain" | "off";
  readonly #stream: ProgressStream;
  readonly #interval: number;
  readonly #now: () => number;
  readonly #startTime: number;
  #total: number | undefined;
  #lastDrawn = Number.NEGATIVE_INFINITY;
  #lastSample: { time: number; n: number };
  #rate = 0;
  #drawn = false;
  #ended = false;

  constructor(options: ProgressOptions) {
    this.#label = options.label;
    this.#unit = options.unit ?? "";
    this.#stream = options.stream ?? process.stderr;
    this.#mode = resolveMode(options.mode ?? "auto", this.#stream);
    this.#interval = options.intervalMs ?? (this.#mode === "plain" ? 10_000 : 100);
    this.#now = options.now ?? (() => performance.now());
    this.#startTime = this.#now();
    this.#total = options.total;
    this.#lastSample = { time: this.#startTime, n: options.start ?? 0 };
  }

  update(n: number, extra = ""): void {
    if (this.#mode === "off" || this.#ended) return;
    const time = this.#now();
    if (time - this.#lastDrawn < this.#interval) return;
    this.#lastDrawn = time;
    this.#measure(time, n);
    const line = this.#line(n, extra);
    if (this.#mode === "plain") {
      this.#stream.write(`${line}\n`);
      return;
    }
    // One column is left free: a full line makes some terminals wrap.
    const width = (this.#stream.columns || 80) - 1;
    this.#stream.write(`\r${line.length > width ? line.slice(0, width) : line}\x1b[K`);
    this.#drawn = true;
  }

  setTotal(total: number): void {
    this.#total = total;
  }

  log(text: string): void {
    if (this.#mode === "off") return;
    this.clear();
    this.#stream.write(`${printable(text)}\n`);
  }

  clear(): void {
    if (!this.#drawn) return;
    this.#stream.write("\r\x1b[K");
    this.#drawn = false;
    this.#lastDrawn = Number.NEGATIVE_INFINITY;
  }

  done(message?: string): void {
    if (this.#ended) return;
    this.clear();
    if (message !== undefined && this.#mode !== "off") this.#stream.write(`${printable(message)}\n`);
    this.#ended = true;
  }

  /** Exponentially weighted rate; before one time constant has passed it is nearly the plain average. */
  #measure(time: number, n: number): void {
    const seconds = (time - this.#lastSample.time) / 1000;
    if (seconds <= 0) return;
    const current = (n - this.#lastSample.n) / seconds;
    const elapsed = Math.min((time - this.#startTime) / 1000, RATE_SECONDS);
    this.#rate += (current - this.#rate) * Math.min(1, seconds / elapsed);
    this.#lastSample = { time, n };
  }

  #line(n: number, extra: string): string {
    const total = this.#total;
    const parts = [this.#label];
    if (total !== undefined && total > 0) parts.push(`${Math.floor(Math.min(1, n / total) * 100)}%`);
    parts.push(total === undefined ? this.#amount(n) : `${this.#amount(n, false)}/${this.#amount(total)}`);
    if (this.#rate > 0) {
      parts.push(`${this.#amount(this.#rate)}/s`);
      if (total !== undefined && total > n) parts.push(`${formatDuration((total - n) / this.#rate)} left`);
    }
    if (extra !== "") parts.push(extra);
    return printableLine(parts.join("  "));
  }

  #amount(n: number, withUnit = true): string {
    if (this.#unit === "B") return formatBytes(n);
    return withUnit && this.#unit !== "" ? `${formatCount(n)} ${this.#unit}` : formatCount(n);
  }
}

function resolveMode(mode: "auto" | "line" | "plain" | "off", stream: ProgressStream): "line" | "plain" | "off" {
  if (mode !== "auto") return mode;
  const env = typeof process === "undefined" ? {} : process.env;
  const ci = env.CI !== undefined && env.CI !== "" && env.CI !== "0" && env.CI !== "false";
  // The line is plain text, so NO_COLOR doesn't concern it; a terminal that can't erase a line gets none.
  return stream.isTTY === true && !ci && env.TERM !== "dumb" ? "line" : "off";
}

/** A count with three significant digits: `950`, `12.3k`, `4.56M`, `1.20B`. */
export function formatCount(n: number): string {
  return scaled(n, ["", "k", "M", "B", "T"], "");
}

/** Bytes in decimal units, as in file listings: `950 B`, `12.3 MB`. */
export function formatBytes(n: number): string {
  return scaled(n, ["B", "kB", "MB", "GB", "TB"], " ");
}

function scaled(n: number, suffixes: readonly string[], gap: string): string {
  let i = 0;
  let value = n;
  // 999.5 would round to 1000 with three digits.
  while (Math.abs(value) >= 999.5 && i < suffixes.length - 1) {
    value /= 1000;
    i++;
  }
  const digits =
    i === 0 && Number.isInteger(value) ? 0 : Math.abs(value) >= 99.95 ? 0 : Math.abs(value) >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)}${gap}${suffixes[i]}`;
}

/** A duration: `0:07`, `12:34`, `3:05:00`, `2d 04:00`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  const s = Math.max(0, Math.round(seconds));
  const two = (x: number) => String(x).padStart(2, "0");
  const minutes = Math.floor(s / 60);
  const hours = Math.floor(minutes / 60);
  if (hours >= 24) return `${Math.floor(hours / 24)}d ${two(hours % 24)}:${two(minutes % 60)}`;
  return hours > 0 ? `${hours}:${two(minutes % 60)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}
