/** Vocabularies, walks and a naive recognizer for the tests of constraints. */
import assert from "node:assert/strict";
import { TokenConstraint } from "../../src/constrain/constraint.js";
import { Machine, type State } from "../../src/constrain/machine.js";
import { type ConstraintOptions, compileConstraint } from "../../src/constrain/options.js";
import { idsOf, TokenTrie } from "../../src/constrain/token-trie.js";

const utf8 = new TextEncoder();

/** All bytes, and tokens of several bytes that cross the borders of terminals. */
export function smallVocabulary(more: readonly string[]): Uint8Array[] {
  return [...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)), ...more.map((text) => utf8.encode(text))];
}

export const JSON_TOKENS = [
  '{"',
  '":',
  '": "',
  '", "',
  '"}',
  '"}]',
  "true",
  "fal",
  "se",
  " [",
  "],",
  "],[",
  "12",
  "0.",
  "e+",
  "ab",
  "abc",
  '\\"',
  "\\u",
  "00",
  "é",
  "日",
  "日本",
  "\n  ",
  "  ",
  ", ",
  "name",
  '"name"',
  '","b":',
];

export const SMALL = smallVocabulary(JSON_TOKENS);
export const SMALL_TRIE = new TokenTrie(SMALL);

export function constraintOver(options: ConstraintOptions, tokens: readonly Uint8Array[] = SMALL): TokenConstraint {
  const trie = tokens === SMALL ? SMALL_TRIE : new TokenTrie(tokens);
  return new TokenConstraint(compileConstraint(options), trie, (id) => tokens[id]!);
}

/** Whether texts satisfy a constraint, byte by byte. */
export function acceptor(options: ConstraintOptions): (text: string) => boolean {
  const machine = new Machine(compileConstraint(options));
  return (text) => after(machine, machine.start, utf8.encode(text))?.accepts ?? false;
}

export const accepts = (options: ConstraintOptions, text: string): boolean => acceptor(options)(text);

/** Random numbers that are the same in every run. */
export function randomly(seed: number): (below: number) => number {
  let x = seed * 2654435761 + 1;
  return (below) => {
    x = (Math.imul(x ^ (x >>> 15), 2246822519) + 3266489917) >>> 0;
    return ((x ^ (x >>> 13)) >>> 0) % below;
  };
}

/**
 * Walks at random through a constraint, and compares each mask with the naive one: every token fed byte by byte, to a machine
 * of its own.
 *
 * @returns the text, and whether it is complete
 */
export function checkedWalk(options: ConstraintOptions, seed: number, most = 40): { text: string; complete: boolean } {
  const random = randomly(seed);
  const text = constraintOver(options).begin();
  const machine = new Machine(compileConstraint(options));
  let state = machine.start;
  const bytes: number[] = [];
  for (let i = 0; i < most && !text.isComplete; i++) {
    const naive = SMALL.map((_, id) => id).filter((id) => after(machine, state, SMALL[id]!) !== null);
    const ids = [...idsOf(text.mask)!];
    assert.deepEqual(ids, naive, `${JSON.stringify(options)} after ${JSON.stringify(decode(bytes))}`);
    if (text.mayEnd && random(4) === 0) break;
    assert.ok(ids.length > 0, `a dead end in ${JSON.stringify(options)} after ${JSON.stringify(decode(bytes))}`);
    const id = ids[random(ids.length)]!;
    text.accept(id);
    state = after(machine, state, SMALL[id]!)!;
    bytes.push(...SMALL[id]!);
  }
  return { text: decode(bytes), complete: text.mayEnd };
}

/** The state after these bytes, or null if they do not fit. */
function after(machine: Machine, start: State, bytes: Uint8Array): State | null {
  let state: State | null = start;
  for (const byte of bytes) if ((state = machine.step(state, byte)) === null) return null;
  return state;
}

export const decode = (bytes: readonly number[]): string => new TextDecoder().decode(Uint8Array.from(bytes));
