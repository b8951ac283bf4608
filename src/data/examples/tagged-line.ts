import { DataError } from "../../errors.js";
import { quote } from "../../util/quote.js";
import { fieldsOf } from "../json-lines.js";
import type { FileLine } from "../read-lines.js";

/** A text in words, and a tag for each. */
export interface TaggedLine {
  readonly words: readonly string[];
  readonly tags: readonly string[];
}

/** The `tokens` (words) and `tags` of a line. @throws {DataError} they are not lists of texts of one length, or empty. */
export function taggedLine({ record, where }: FileLine): TaggedLine {
  const { tokens, tags } = record as { tokens?: unknown; tags?: unknown };
  const op = `reading ${where}`;
  if (tokens === undefined || tags === undefined) {
    throw new DataError({
      op,
      expected: '"tokens" and "tags", a list of words and a tag for each',
      got: fieldsOf(record),
    });
  }
  const texts = (list: unknown, field: string): string[] => {
    if (!Array.isArray(list)) throw new DataError({ op, expected: `a list as "${field}"`, got: quote(list) });
    const bad: unknown = list.find((text) => typeof text !== "string" || text === "");
    if (bad === undefined) return list as string[];
    throw new DataError({ op: `${op}: ${field}`, expected: "texts that are not empty", got: quote(bad) });
  };
  const [words, named] = [texts(tokens, "tokens"), texts(tags, "tags")];
  if (words.length === named.length && words.length > 0) return { words, tags: named };
  const got = words.length === 0 ? "none" : `${words.length} and ${named.length}`;
  throw new DataError({ op, expected: "words, and as many tags", got });
}
