import type { Tokenizer } from "./tokenizer.js";

export interface TokenPair {
  readonly context: number[];
  readonly continuation: number[];
}

/**
 * Tokens of a context and of its continuation, as in the LM evaluation harness: spaces at the end of the context
 * are moved to the continuation, to fit GPT-2's tokens; the context is encoded alone, and the continuation consists of those
 * tokens of both together that follow as many as the context has. If the texts meet between words, the two make up the tokens of
 * the whole text; if they meet inside a word, the tokens may not spell it. Where no token is left (`unlik` and `ely` together have
 * fewer), which the harness refuses, each is encoded alone. An empty context is `<|endoftext|>`.
 */
export function encodePair(tokenizer: Tokenizer, endOfText: number, context: string, continuation: string): TokenPair {
  const encode = (text: string, continues = false): number[] =>
    Array.from(tokenizer.encode(text, { addSpecialTokens: false, continues }));
  if (context === "") return { context: [endOfText], continuation: encode(continuation) };
  const head = context.trimEnd();
  const ids = encode(context + continuation);
  // A context of spaces only leaves none.
  if (head === "") return { context: [endOfText], continuation: ids };
  const before = encode(head);
  if (before.length < ids.length) return { context: before, continuation: ids.slice(before.length) };
  return { context: before, continuation: encode(context.slice(head.length) + continuation, true) };
}
