import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { TokenConstraint } from "./constraint.js";
import { type ConstraintOptions, compileConstraint } from "./options.js";
import { TokenTrie } from "./token-trie.js";

/** Constraints kept for the next text of the same kind, with the masks that they know. */
const MOST_KEPT = 32;
/** Longer ones are not kept: a text with them is rare, and their key is long. */
const LONGEST_KEY = 1 << 16;

interface Opened {
  readonly trie: TokenTrie;
  readonly constraints: Map<string, TokenConstraint>;
}

const opened = new WeakMap<Tokenizer, Opened>();

/**
 * A constraint over a tokenizer's tokens. The tree of tokens is made once for a tokenizer; the constraints used last are kept.
 *
 * @throws {ConstraintError} it is malformed, unsupported, too large, or nothing satisfies it.
 */
export function openConstraint(options: ConstraintOptions, tokenizer: Tokenizer): TokenConstraint {
  let own = opened.get(tokenizer);
  if (!own) opened.set(tokenizer, (own = { trie: new TokenTrie(tokenBytes(tokenizer)), constraints: new Map() }));
  const key = JSON.stringify(options);
  let constraint = own.constraints.get(key);
  // The one used last goes to the end.
  own.constraints.delete(key);
  const bytesOf = (id: number): Uint8Array => tokenizer.idToBytes(id);
  const encode = (utf8: Uint8Array) => tokenizer.encodeBytes(utf8, { addSpecialTokens: false, continues: true });
  constraint ??= new TokenConstraint(compileConstraint(options), own.trie, bytesOf, encode);
  if (key.length <= LONGEST_KEY) own.constraints.set(key, constraint);
  const [oldest] = own.constraints.keys();
  if (own.constraints.size > MOST_KEPT) own.constraints.delete(oldest!);
  return constraint;
}

/** Bytes of each token that stands for text: special ones don't. */
function tokenBytes({ vocabulary, vocabSize }: Tokenizer): (Uint8Array | undefined)[] {
  const { bytes, offsets, added } = vocabulary;
  const special = new Set(added.filter((token) => token.special).map(({ id }) => id));
  return Array.from({ length: vocabSize }, (_, id) =>
    special.has(id) ? undefined : bytes.subarray(offsets[id]!, offsets[id + 1]!),
  );
}
