import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { TokenConstraint } from "./constraint.js";
import { type ConstraintOptions, compileConstraint } from "./options.js";
import { TokenTrie } from "./token-trie.js";

/** Maximum number of cached constraints, with their masks. */
const MOST_KEPT = 32;
/** Maximum length of a cached constraint's key: longer constraints are rare. */
const LONGEST_KEY = 1 << 16;

interface Opened {
  readonly trie: TokenTrie;
  readonly constraints: Map<string, TokenConstraint>;
}

const opened = new WeakMap<Tokenizer, Opened>();

/**
 * Opens a constraint over a tokenizer's tokens. The token trie is built once for a tokenizer; the most recently used constraints are cached.
 *
 * @throws {ConstraintError} it is malformed, unsupported, too large, or unsatisfiable.
 */
export function openConstraint(options: ConstraintOptions, tokenizer: Tokenizer): TokenConstraint {
  let own = opened.get(tokenizer);
  if (!own) opened.set(tokenizer, (own = { trie: new TokenTrie(tokenBytes(tokenizer)), constraints: new Map() }));
  const key = JSON.stringify(options);
  let constraint = own.constraints.get(key);
  // The most recently used goes to the end.
  own.constraints.delete(key);
  const bytesOf = (id: number): Uint8Array => tokenizer.idToBytes(id);
  const encode = (utf8: Uint8Array) => tokenizer.encodeBytes(utf8, { addSpecialTokens: false, continues: true });
  constraint ??= new TokenConstraint(compileConstraint(options), own.trie, bytesOf, encode);
  if (key.length <= LONGEST_KEY) own.constraints.set(key, constraint);
  const [oldest] = own.constraints.keys();
  if (own.constraints.size > MOST_KEPT) own.constraints.delete(oldest!);
  return constraint;
}

/** The bytes of each token that stands for text; undefined for special tokens. */
function tokenBytes({ vocabulary, vocabSize }: Tokenizer): (Uint8Array | undefined)[] {
  const { bytes, offsets, added } = vocabulary;
  const special = new Set(added.filter((token) => token.special).map(({ id }) => id));
  return Array.from({ length: vocabSize }, (_, id) =>
    special.has(id) ? undefined : bytes.subarray(offsets[id]!, offsets[id + 1]!),
  );
}
