import type { Tokenizer } from "./tokenizer.js";

export interface TokenPair {
  readonly context: number[];
  readonly continuation: number[];
}

/**
 * Tokens of a context and of what follows it, as the LM evaluation harness cuts them: spaces at the end of the context
 * belong to the continuation, as GPT-2's tokens have them; both are encoded together, and what is beyond the context's
 * own number of tokens is the continuation. Where the two make so few tokens together that none is left (`unlik`, `ely`),
 * each is encoded alone. An empty context is `<|endoftext|>`.
 */
export function encodePair(tokenizer: Tokenizer, endOfText: number, context: string, continuation: string): TokenPair {
  if (context === "") return { context: [endOfText], continuation: [...tokenizer.encode(continuation)] };
  const head = context.trimEnd();
  const ids = [...tokenizer.encode(context + continuation)];
  // A context of nothing but spaces would leave none.
  const cut = head === "" ? 0 : tokenizer.encode(head).length;
  if (cut === 0) return { context: [endOfText], continuation: ids };
  if (cut < ids.length) return { context: ids.slice(0, cut), continuation: ids.slice(cut) };
  const end = context.slice(head.length) + continuation;
  return { context: [...tokenizer.encode(head)], continuation: [...tokenizer.encode(end)] };
}
