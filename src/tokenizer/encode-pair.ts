import type { Tokenizer } from "./tokenizer.js";

export interface TokenPair {
  readonly context: number[];
  readonly continuation: number[];
}

/**
 * Tokens of a context and of its continuation, cut as in the LM evaluation harness: spaces at the end of the context
 * belong to the continuation, as GPT-2's tokens have them; both are encoded together, and the tokens beyond the number
 * that the context alone has are the continuation. Where none is left (`unlik`, `ely` make fewer together), each is
 * encoded alone. An empty context is `<|endoftext|>`.
 */
export function encodePair(tokenizer: Tokenizer, endOfText: number, context: string, continuation: string): TokenPair {
  const encode = (text: string, continues = false): number[] =>
    Array.from(tokenizer.encode(text, { addSpecialTokens: false, continues }));
  if (context === "") return { context: [endOfText], continuation: encode(continuation) };
  const head = context.trimEnd();
  const ids = encode(context + continuation);
  // A context of nothing but spaces would leave none.
  const cut = head === "" ? 0 : encode(head).length;
  if (cut === 0) return { context: [endOfText], continuation: ids };
  if (cut < ids.length) return { context: ids.slice(0, cut), continuation: ids.slice(cut) };
  return { context: encode(head), continuation: encode(context.slice(head.length) + continuation, true) };
}
