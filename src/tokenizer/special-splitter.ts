import { UsageError } from "../errors.js";

/** Finds special tokens in a text: the leftmost, and of those that start there the longest. */
export class SpecialSplitter {
  readonly #pattern: RegExp;
  readonly #special: ReadonlyMap<string, number>;

  /** @throws {UsageError} one of `allowed` is not a special token of this vocabulary. */
  constructor(special: ReadonlyMap<string, number>, allowed: readonly string[]) {
    for (const text of allowed) {
      if (special.has(text)) continue;
      throw new UsageError({
        op: "encoding: allowedSpecial",
        expected: `special tokens of this vocabulary (${[...special.keys()].join(", ") || "it has none"})`,
        got: JSON.stringify(text),
      });
    }
    const escaped = allowed
      .toSorted((a, b) => b.length - a.length)
      .map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
    this.#pattern = new RegExp(escaped.length > 0 ? escaped.join("|") : "(?!)", "g");
    this.#special = special;
  }

  /** Calls back with each stretch of plain text that is not empty, and each special token, in order. */
  split(text: string, onText: (text: string) => void, onSpecial: (id: number) => void): void {
    let from = 0;
    for (const match of text.matchAll(this.#pattern)) {
      if (match.index > from) onText(text.slice(from, match.index));
      onSpecial(this.#special.get(match[0])!);
      from = match.index + match[0].length;
    }
    if (from < text.length) onText(from === 0 ? text : text.slice(from));
  }
}
