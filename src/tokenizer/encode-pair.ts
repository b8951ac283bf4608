import type { Tokenizer } from "./tokenizer.js";

export interface TokenPair {
  readonly context: number[];
  readonly continuation: number[];
}

/**
 * Tokens of a context and of its continuation, cut as in the LM evaluation harness: spaces at the end of the context
 * belong to the continuation, as GPT-2's tokens have them; the context is encoded alone, and the continuation is the
 * tokens of both together beyond the number of the context's. Between words the two make up the tokens of the whole text;
 * where a word is cut in the middle they may not spell it. Where no token is left (`unlik`, `ely` make fewer together),
 * which the harness refuses, each is encoded alone. An empty context is `<|endoftext|>`.
 */
export function encodePair(tokenizer: Tokenizer, endOfText: number, context: string, continuation: string): TokenPair {
  const encode = (text: string, continues = false): number[] =>
    Array.from(tokenizer.encode(text, { addSpecialTokens: false, continues }));
  if (context === "") return { context: [endOfText], continuation: encode(continuation) };
  const head = context.trimEnd();
  const ids = encode(context + continuation);
  // A context of nothing but spaces leaves none.
  if (head === "") return { context: [endOfText], continuation: ids };
  const before = encode(head);
  if (before.length < ids.length) return { context: before, continuation: ids.slice(before.length) };
  return { context: before, continuation: encode(context.slice(head.length) + continuation, true) };
}
