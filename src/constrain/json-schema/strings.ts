import { ByteSet } from "../byte-set.js";
import { type CodePoints, complement, intersection, LAST_CODE_POINT, utf8 } from "../regex/code-points.js";
import { type Expression, Expressions } from "../regex/expressions.js";
import { DEAD, ExpressionTerminal, type Terminal } from "../terminal.js";
import { type TokenTrie, Walk } from "../token-trie.js";

const QUOTE = 0x22;

/** Characters that a JSON string holds unescaped. DEL is allowed there too, but written as \u007f. */
const RAW: CodePoints = complement([
  [0, 0x1f],
  [QUOTE, QUOTE],
  [0x5c, 0x5c],
  [0x7f, 0x7f],
]);
const SHORT_ESCAPES: Readonly<Record<number, string>> = {
  8: "b",
  9: "t",
  10: "n",
  12: "f",
  13: "r",
  34: '"',
  92: "\\",
};

/**
 * Characters inside a JSON string, each written in one way: as UTF-8, or if that is not possible as a short escape, or else
 * as \u00XX. So no key has two spellings.
 */
export function inString(pool: Expressions, ranges: CodePoints): Expression {
  const escaped = intersection(ranges, complement(RAW)).flatMap(([from, to]) => {
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
  const escapes = escaped.filter((c) => c < 0x80).map((c) => pool.sequence(pool.text("\\"), escapeOf(pool, c)));
  return pool.either(utf8(pool, intersection(ranges, RAW)), ...escapes);
}

function escapeOf(pool: Expressions, code: number): Expression {
  const short = SHORT_ESCAPES[code];
  if (short !== undefined) return pool.text(short);
  const hex = code.toString(16).padStart(4, "0");
  const digits = [...hex].map((digit) => pool.either(pool.text(digit), pool.text(digit.toUpperCase())));
  return pool.sequence(pool.text("u"), ...digits);
}

const anyCharacters = new WeakMap<Expressions, Expression>();

/** Any character of a JSON string. */
export function anyCharacter(pool: Expressions): Expression {
  let known = anyCharacters.get(pool);
  if (!known) anyCharacters.set(pool, (known = inString(pool, [[0, LAST_CODE_POINT]])));
  return known;
}

const OWN_POOL = new Expressions();
const CHARACTER = new ExpressionTerminal(OWN_POOL, anyCharacter(OWN_POOL));

/** The result of a walk from a character's state, whatever the bounds on the string's length. */
interface CharacterWalk {
  /** Nodes inside the string, with the number of characters begun since the start: for the mask. */
  readonly inside: readonly { readonly node: number; readonly begun: number }[];
  /** Nodes right after the closing quote, with the number of characters completed. */
  readonly closed: readonly { readonly node: number; readonly completed: number }[];
  /** Masks of the tokens inside the string that begin at most a given number of characters. */
  readonly masks: Uint32Array[];
}

/**
 * A JSON string with a bounded number of characters. Naively it is an expression, in which each length is a separate state with its
 * own walk over the whole vocabulary. Here a state is a character's state with a count beside it, so that all lengths and all
 * constraints share a few walks.
 */
export class StringTerminal implements Terminal {
  static readonly #known = new Map<string, StringTerminal>();
  readonly start = 0;
  readonly #min: number;
  readonly #max: number;
  /** Character states and counts, by state; the count is capped where it no longer matters. */
  readonly #states: { readonly character: number; readonly count: number }[] = [];
  readonly #ids = new Map<string, number>();

  /** @param max at least min */
  static of(min: number, max: number): StringTerminal {
    const key = `${min} ${max}`;
    let terminal = StringTerminal.#known.get(key);
    if (!terminal) {
      terminal = new StringTerminal(min, max);
      if (StringTerminal.#known.size < 1000) StringTerminal.#known.set(key, terminal);
    }
    return terminal;
  }

  private constructor(min: number, max: number) {
    this.#min = min;
    this.#max = max;
    for (const phase of [OPENING, CLOSED]) this.#state(phase, 0);
  }

  get bounds(): readonly [min: number, max: number] {
    return [this.#min, this.#max];
  }

  step(state: number, byte: number): number {
    const { character, count } = this.#states[state]!;
    if (character === OPENING) return byte === QUOTE ? this.#state(BETWEEN, 0) : DEAD;
    if (character === CLOSED) return DEAD;
    if (character === BETWEEN && byte === QUOTE) return count >= this.#min ? CLOSED_STATE : DEAD;
    if (character === BETWEEN && count >= this.#max) return DEAD;
    const next = CHARACTER.step(character, byte);
    if (next === DEAD) return DEAD;
    return CHARACTER.accepts(next) ? this.#state(BETWEEN, count + 1) : this.#state(next, count);
  }

  accepts(state: number): boolean {
    return state === CLOSED_STATE;
  }

  first(state: number): ByteSet {
    const { character, count } = this.#states[state]!;
    if (character === OPENING) return QUOTES;
    if (character === CLOSED) return ByteSet.none;
    const inside = count < this.#max ? CHARACTER.first(character) : ByteSet.none;
    return character === BETWEEN && count >= this.#min ? inside.union(QUOTES) : inside;
  }

  walk(trie: TokenTrie, state: number): Walk {
    const { character, count } = this.#states[state]!;
    // If a token is longer than the remaining count, the count makes no difference.
    const [least, most] = [this.#min - count, this.#max - count].map((n) =>
      Math.max(-1, Math.min(n, trie.longest + 1)),
    );
    return trie.walk(walkKey(character, least!, most!), () => this.#walk(trie, character, least!, most!));
  }

  #walk(trie: TokenTrie, character: number, least: number, most: number): Walk {
    const mask = new Uint32Array(trie.maskWords);
    const exits: number[] = [];
    if (character === OPENING) {
      const quote = trie.child(0, QUOTE);
      if (quote < 0) return new Walk(mask, exits);
      trie.allow(mask, quote);
      this.#add(trie, mask, exits, walkOf(trie, CHARACTER, BETWEEN, quote), least, most);
    } else if (character !== CLOSED) {
      this.#add(trie, mask, exits, walkOf(trie, CHARACTER, character, 0), least, most);
    }
    return new Walk(mask, exits);
  }

  #add(trie: TokenTrie, mask: Uint32Array, exits: number[], walk: CharacterWalk, least: number, most: number): void {
    const inside = insideMask(trie, walk, most);
    for (let i = 0; i < mask.length; i++) mask[i]! |= inside[i]!;
    for (const { node, completed } of walk.closed) {
      if (completed < least || completed > most) continue;
      trie.allow(mask, node);
      if (trie.ends[node]! > node + 1) exits.push(node);
    }
  }

  #state(character: number, count: number): number {
    const most = Number.isFinite(this.#max) ? this.#max : this.#min;
    const capped = Math.min(count, most);
    const key = `${character} ${capped}`;
    let id = this.#ids.get(key);
    if (id === undefined) {
      id = this.#states.push({ character, count: capped }) - 1;
      this.#ids.set(key, id);
    }
    return id;
  }
}

/** Additional states: before the opening quote, after the closing one. */
const BETWEEN = 0;
const OPENING = -1;
const CLOSED = -2;
const CLOSED_STATE = 1;
const QUOTES = ByteSet.of([QUOTE]);

const walkKeys = new Map<string, object>();

function walkKey(character: number, least: number, most: number): object {
  const name = `${character} ${least} ${most}`;
  let key = walkKeys.get(name);
  if (!key) walkKeys.set(name, (key = { name }));
  return key;
}

const characterWalks = new WeakMap<TokenTrie, Map<string, CharacterWalk>>();

/** The walk below a node, starting from a character's state. */
function walkOf(trie: TokenTrie, terminal: Terminal, state: number, root: number): CharacterWalk {
  let walks = characterWalks.get(trie);
  if (!walks) characterWalks.set(trie, (walks = new Map()));
  const key = `${state} ${root}`;
  let walk = walks.get(key);
  if (!walk) walks.set(key, (walk = walkCharacters(trie, terminal, state, root)));
  return walk;
}

function walkCharacters(trie: TokenTrie, terminal: Terminal, state: number, root: number): CharacterWalk {
  const { bytes, depths, ends, tokens } = trie;
  const inside: { node: number; begun: number }[] = [];
  const closed: { node: number; completed: number }[] = [];
  const states = new Int32Array(trie.longest + 1);
  const counts = new Int32Array(trie.longest + 1);
  const base = depths[root]!;
  states[0] = state;
  for (let node = root + 1; node < ends[root]!; ) {
    const depth = depths[node]! - base;
    const [from, count] = [states[depth - 1]!, counts[depth - 1]!];
    if (from === BETWEEN && bytes[node] === QUOTE) {
      closed.push({ node, completed: count });
      node = ends[node]!;
      continue;
    }
    const next = terminal.step(from, bytes[node]!);
    if (next === DEAD) {
      node = ends[node]!;
      continue;
    }
    const done = terminal.accepts(next);
    states[depth] = done ? BETWEEN : next;
    counts[depth] = done ? count + 1 : count;
    if (tokens[node]! >= 0) inside.push({ node, begun: count + 1 });
    node++;
  }
  return { inside, closed, masks: [] };
}

/** The tokens that stay inside the string and begin at most a given number of characters. */
function insideMask(trie: TokenTrie, { inside, masks }: CharacterWalk, most: number): Uint32Array {
  const known = masks[most + 1];
  if (known) return known;
  const mask = new Uint32Array(trie.maskWords);
  for (const { node, begun } of inside) if (begun <= most) trie.allow(mask, node);
  return (masks[most + 1] = mask);
}
