import type { Tokenizer } from "../../tokenizer/tokenizer.js";

export interface TokenPair {
  readonly context: number[];
  readonly continuation: number[];
}

/**
 * Tokens of a context and of what follows it, as the LM evaluation harness cuts them: spaces at the end of the context
 * belong to the continuation, as GPT-2's tokens have them; both are encoded together, and what is beyond the context's
 * own number of tokens is the continuation. An empty context is `<|endoftext|>`.
 */
export function encodePair(tokenizer: Tokenizer, endOfText: number, context: string, continuation: string): TokenPair {
  if (context === "") return { context: [endOfText], continuation: [...tokenizer.encode(continuation)] };
  const head = context.trimEnd();
  const ids = [...tokenizer.encode(context + continuation)];
  // A context of nothing but spaces would leave none.
  const cut = head === "" ? 0 : tokenizer.encode(head).length;
  return cut === 0
    ? { context: [endOfText], continuation: ids }
    : { context: ids.slice(0, cut), continuation: ids.slice(cut) };
}
