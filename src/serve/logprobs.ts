import type { Alternative } from "../generate/generate.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";

/** A token of an answer or of an echoed prompt. */
export interface ScoredToken {
  readonly token: number;
  /** Undefined for a text's first token. */
  readonly logprob: number | null;
  readonly alternatives: readonly Alternative[];
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Names already used, for each tokenizer: a request for many alternatives names the same tokens many times. */
const namesByTokenizer = new WeakMap<Tokenizer, Map<number, string>>();

/** A unique name for a token: its text, or if its bytes are not valid UTF-8, those bytes as `bytes:\xe4`. */
export function tokenName(tokenizer: Tokenizer | undefined, id: number): string {
  if (!tokenizer) return `token_id:${id}`;
  let names = namesByTokenizer.get(tokenizer);
  if (!names) namesByTokenizer.set(tokenizer, (names = new Map()));
  let name = names.get(id);
  if (name === undefined) names.set(id, (name = nameOf(bytesOf(tokenizer, id))));
  return name;
}

function nameOf(bytes: readonly number[]): string {
  try {
    return decoder.decode(Uint8Array.from(bytes));
  } catch {
    return `bytes:${bytes.map((b) => `\\x${b.toString(16).padStart(2, "0")}`).join("")}`;
  }
}

/** A token's bytes; none for an id without a token (padding of a vocabulary). */
export function bytesOf(tokenizer: Tokenizer, id: number): number[] {
  return id < tokenizer.vocabSize ? [...tokenizer.idToBytes(id)] : [];
}

/** `logprobs` of a completion. */
export class CompletionLogprobs {
  readonly tokens: string[] = [];
  readonly token_logprobs: (number | null)[] = [];
  readonly top_logprobs: (Record<string, number> | null)[] = [];
  readonly text_offset: number[] = [];
  /** Includes token ids, for clients that continue with another token. */
  readonly alternatives?: { readonly id: number; readonly token: string; readonly logprob: number }[][];

  constructor(withIds: boolean) {
    if (withIds) this.alternatives = [];
  }

  /** @param offset characters of text before these tokens. Returns the number after them. */
  static of(tokenizer: Tokenizer | undefined, tokens: readonly ScoredToken[], offset: number, withIds: boolean) {
    const result = new CompletionLogprobs(withIds);
    let at = offset;
    for (const { token, logprob, alternatives } of tokens) {
      const name = tokenName(tokenizer, token);
      result.tokens.push(name);
      result.token_logprobs.push(logprob);
      result.top_logprobs.push(logprob === null ? null : named(tokenizer, alternatives, name, logprob));
      result.alternatives?.push(
        alternatives.map((a) => ({ id: a.token, token: tokenName(tokenizer, a.token), logprob: a.logprob })),
      );
      result.text_offset.push(at);
      at += name.startsWith("bytes:") || !tokenizer ? 0 : [...name].length;
    }
    return { logprobs: result, offset: at };
  }
}

/** The likeliest tokens, and the one that was sampled. */
function named(
  tokenizer: Tokenizer | undefined,
  alternatives: readonly Alternative[],
  taken: string,
  logprob: number,
): Record<string, number> {
  const entries = alternatives.map(({ token, logprob }) => [tokenName(tokenizer, token), logprob] as const);
  return { ...Object.fromEntries(entries), [taken]: logprob };
}

/** `logprobs.content` of a chat. @param withIds adds ids, for clients that continue with another token */
export function chatLogprobs(tokenizer: Tokenizer, tokens: readonly ScoredToken[], withIds: boolean) {
  const one = (token: number, logprob: number | null) => {
    const bytes = bytesOf(tokenizer, token);
    const text = new TextDecoder().decode(Uint8Array.from(bytes));
    return { token: text, logprob, bytes, ...(withIds && { id: token }) };
  };
  return tokens.map(({ token, logprob, alternatives }) => {
    return { ...one(token, logprob), top_logprobs: alternatives.map((a) => one(a.token, a.logprob)) };
  });
}
