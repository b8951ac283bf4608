import type { Tokenizer } from "../../tokenizer/tokenizer.js";

/**
 * Splits a document into passages: each begins at a paragraph, which starts on its own line, and has at most `tokens` tokens.
 */
export function* passagesOf(
  document: string,
  tokenizer: Pick<Tokenizer, "encode">,
  tokens: number,
): Generator<number[], void, undefined> {
  const paragraphs = document.split(/\n+/).filter((paragraph) => paragraph.trim() !== "");
  for (let first = 0, next = 0; first < paragraphs.length; first = next) {
    let ids: number[] = [];
    for (next = first; next < paragraphs.length && ids.length < tokens; next++) {
      const text = next === first ? paragraphs[next]! : `\n\n${paragraphs[next]!}`;
      ids = ids.concat(Array.from(tokenizer.encode(text, { addSpecialTokens: false })));
    }
    yield ids.slice(0, tokens);
  }
}

/** At most `count` elements, evenly spread. */
export function spread<T>(list: readonly T[], count: number): T[] {
  if (list.length <= count) return [...list];
  return Array.from({ length: count }, (_, i) => list[Math.floor(((i + 0.5) * list.length) / count)]!);
}
