/** A node of the tree: tokens that all sequences below it share. */
interface Node {
  tokens: readonly number[];
  /** Children by their first token. */
  readonly children: Map<number, Node>;
  /** Slots whose content extends at least to the end of this node's tokens. */
  readonly slots: Set<number>;
}

export interface PrefixMatch {
  readonly slot: number;
  /** Number of common tokens. */
  readonly length: number;
}

const newNode = (tokens: readonly number[]): Node => ({ tokens, children: new Map(), slots: new Set() });

/**
 * Finds the slots of the cache with the longest prefix of a prompt. Naively:
 *
 *     for (const [slot, { key, tokens }] of contents) {
 *       if (key === wanted) lengths.set(slot, commonPrefix(tokens, prompt));
 *     }
 *     return the slots of the largest length;
 *
 * which compares the prompt with the contents of every slot. Here the contents, of busy and of idle slots, form a radix
 * tree: a node holds tokens that all slots below it share. A look-up walks down from the root, and reads each token of the
 * common prefix once, whatever the number of slots. Contents under different keys share nothing.
 */
export class PrefixIndex {
  readonly #roots = new Map<string, Node>();
  /** Key and content of each slot. */
  readonly #contents = new Map<number, { readonly key: string; readonly tokens: readonly number[] }>();

  /** Slots whose contents are indexed. */
  get size(): number {
    return this.#contents.size;
  }

  /** Sets a slot's content. No content removes the slot. */
  set(slot: number, key: string, tokens: readonly number[]): void {
    const old = this.#contents.get(slot);
    if (old && old.key === key && old.tokens.length === tokens.length && startsWith(tokens, old.tokens)) return;
    if (old && !(old.key === key && startsWith(tokens, old.tokens))) this.remove(slot);
    if (tokens.length === 0) return;
    let root = this.#roots.get(key);
    if (!root) this.#roots.set(key, (root = newNode([])));
    insert(root, slot, tokens);
    this.#contents.set(slot, { key, tokens });
  }

  remove(slot: number): void {
    const content = this.#contents.get(slot);
    if (!content) return;
    this.#contents.delete(slot);
    const root = this.#roots.get(content.key)!;
    let node = root;
    for (let at = 0; at < content.tokens.length; ) {
      const child = node.children.get(content.tokens[at]!)!;
      child.slots.delete(slot);
      at += child.tokens.length;
      if (child.slots.size === 0) node.children.delete(child.tokens[0]!);
      node = child;
    }
    if (root.children.size === 0) this.#roots.delete(content.key);
  }

  /** The slots with the longest prefix of `tokens`; none if not even the first token is found. */
  find(key: string, tokens: readonly number[]): { readonly slots: ReadonlySet<number>; readonly length: number } {
    let node = this.#roots.get(key);
    let slots: ReadonlySet<number> = new Set();
    let at = 0;
    while (node && at < tokens.length) {
      const child: Node | undefined = node.children.get(tokens[at]!);
      if (!child) break;
      const common = commonLength(child.tokens, tokens, at);
      at += common;
      slots = child.slots;
      if (common < child.tokens.length) break;
      node = child;
    }
    return { slots, length: at };
  }
}

function insert(root: Node, slot: number, tokens: readonly number[]): void {
  let node = root;
  for (let at = 0; at < tokens.length; ) {
    let child = node.children.get(tokens[at]!);
    if (!child) node.children.set(tokens[at]!, (child = newNode(tokens.slice(at))));
    const common = commonLength(child.tokens, tokens, at);
    if (common < child.tokens.length) child = split(node, child, common);
    child.slots.add(slot);
    at += common;
    node = child;
  }
}

/** Splits a node after `length` tokens. Returns the upper part. */
function split(parent: Node, node: Node, length: number): Node {
  const upper = newNode(node.tokens.slice(0, length));
  for (const slot of node.slots) upper.slots.add(slot);
  node.tokens = node.tokens.slice(length);
  upper.children.set(node.tokens[0]!, node);
  parent.children.set(upper.tokens[0]!, upper);
  return upper;
}

/** Number of leading tokens of `edge` that `tokens` has from `at` on. */
function commonLength(edge: readonly number[], tokens: readonly number[], at: number): number {
  const end = Math.min(edge.length, tokens.length - at);
  let n = 0;
  while (n < end && edge[n] === tokens[at + n]) n++;
  return n;
}

function startsWith(tokens: readonly number[], prefix: readonly number[]): boolean {
  return tokens.length >= prefix.length && commonLength(prefix, tokens, 0) === prefix.length;
}

/** Length of the common prefix. */
export function commonPrefix(a: readonly number[], b: readonly number[]): number {
  return commonLength(a, b, 0);
}
