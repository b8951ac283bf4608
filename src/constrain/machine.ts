import { ConstraintError, ConstraintLimitError } from "../errors.js";
import { Analysis } from "./analysis.js";
import { ByteSet } from "./byte-set.js";
import { type Grammar, type Part, terminalOf } from "./grammar.js";
import { type Position, StackStore, type Stacks } from "./stacks.js";
import { DEAD, type Terminal } from "./terminal.js";

/** A terminal that is being read, and what follows it. */
export interface Thread {
  readonly terminal: Terminal;
  readonly state: number;
  readonly stacks: Stacks;
}

/** All that a text may be in the middle of. Equal ones are the same object. */
export interface State {
  readonly threads: readonly Thread[];
  /** Whether the text may end here. */
  readonly accepts: boolean;
  /** The bytes that may follow. */
  readonly first: ByteSet;
}

/** Nesting beyond which no text goes: deeper threads are dropped. */
const MOST_DEPTH = 1000;
/** Ways to read a text at once, and steps to find them after one byte. */
const MOST_THREADS = 2000;
const MOST_VISITS = 20_000;
/** States and stacks kept. */
const MOST_KEPT = 20_000;
/** New expressions that one step may make: states of terminals. */
const MOST_NEW = 100_000;

/**
 * Reads a text byte by byte. Naively: hold every stack of positions at which the grammar may be, with the state of the
 * terminal on top; after a byte, advance each terminal, and where one may end, go on with the position below it. Stacks
 * are shared (`stacks.ts`), and states and their successors are remembered, so most bytes cost a look-up.
 */
export class Machine {
  readonly start: State;
  readonly #pool: Grammar["pool"];
  readonly #analysis: Analysis;
  readonly #stacks = new StackStore();
  readonly #terminals = new Map<Terminal, number>();
  #states = new Map<string, State>();
  #next = new Map<State, (State | null | undefined)[]>();
  #after = new Map<Stacks, State>();

  /** @throws {ConstraintError} nothing matches the grammar, or it is left-recursive. */
  constructor({ pool, root }: Grammar) {
    this.#pool = pool;
    this.#analysis = new Analysis(pool, root);
    const closure = new Closure(this, this.#stacks, this.#analysis);
    closure.enter(root, this.#stacks.empty);
    this.start = this.#state(closure);
    if (this.start.threads.length > 0) return;
    throw new ConstraintError({
      op: "constraint",
      expected: "one that some text satisfies",
      got: "only the empty text",
    });
  }

  /** The state after a byte, or null if no text goes on so. @throws {ConstraintLimitError} */
  step(state: State, byte: number): State | null {
    let next = this.#next.get(state);
    if (!next) {
      if (this.#next.size + this.#states.size + this.#stacks.size > MOST_KEPT) this.#forget();
      this.#next.set(state, (next = []));
    }
    let known = next[byte];
    if (known === undefined) known = next[byte] = state.first.has(byte) ? this.#step(state, byte) : null;
    return known;
  }

  /** Runs with a limit on the states that terminals may make. @throws {ConstraintLimitError} */
  limited<T>(run: () => T): T {
    return this.#pool.within(MOST_NEW, run);
  }

  #step({ threads }: State, byte: number): State | null {
    return this.limited(() => {
      const closure = new Closure(this, this.#stacks, this.#analysis);
      for (const { terminal, state, stacks } of threads) {
        const next = terminal.step(state, byte);
        if (next !== DEAD) closure.advance(terminal, next, stacks);
      }
      return closure.isEmpty ? null : this.#state(closure);
    });
  }

  /** The state once the terminal on top of stacks has ended. */
  after(stacks: Stacks): State {
    let state = this.#after.get(stacks);
    if (!state) {
      const closure = new Closure(this, this.#stacks, this.#analysis);
      closure.leave(stacks);
      this.#after.set(stacks, (state = this.#state(closure)));
    }
    return state;
  }

  terminal(part: Extract<Part, { kind: "expression" }>): Terminal {
    return terminalOf(this.#pool, part.expression);
  }

  #state({ threads: byTerminal, accepts }: Closure): State {
    const threads = [...byTerminal].flatMap(([terminal, states]) =>
      [...states].map(([state, stacks]) => ({ terminal, state, stacks })),
    );
    if (threads.length > MOST_THREADS) throw new ConstraintLimitError("ways to read a text", MOST_THREADS);
    const keys = threads.map(({ terminal, state, stacks }) => `${this.#number(terminal)}:${state}:${stacks.id}`);
    const key = `${accepts} ${keys.sort().join(" ")}`;
    let made = this.#states.get(key);
    if (!made) {
      const first = threads.reduce((set, { terminal, state }) => set.union(terminal.first(state)), ByteSet.none);
      this.#states.set(key, (made = { threads, accepts, first }));
    }
    return made;
  }

  #number(terminal: Terminal): number {
    let number = this.#terminals.get(terminal);
    if (number === undefined) this.#terminals.set(terminal, (number = this.#terminals.size));
    return number;
  }

  /** Drops what was remembered; states that are in use stay as they are. */
  #forget(): void {
    this.#states = new Map();
    this.#next = new Map();
    this.#after = new Map();
    this.#stacks.forget();
  }
}

/** The threads after a byte, found by following positions until each stands before a terminal. */
class Closure {
  readonly threads = new Map<Terminal, Map<number, Stacks>>();
  accepts = false;
  readonly #machine: Machine;
  readonly #stacks: StackStore;
  readonly #analysis: Analysis;
  /** What was entered, or continued, with which stacks. */
  readonly #seen = new Map<Part | Position, Set<Stacks>>();
  /** Of repetitions whose rounds may be empty: the most rounds left, by what is below. */
  readonly #rounds = new Map<Part, Map<Stacks, number>>();
  readonly #work: (() => void)[] = [];
  #visits = 0;
  #busy = false;

  constructor(machine: Machine, stacks: StackStore, analysis: Analysis) {
    this.#machine = machine;
    this.#stacks = stacks;
    this.#analysis = analysis;
  }

  get isEmpty(): boolean {
    return this.threads.size === 0 && !this.accepts;
  }

  /** Begins a part. */
  enter(part: Part, stacks: Stacks): void {
    this.#do(() => this.#enter(part, stacks));
  }

  /** Goes on below a part that is done. */
  leave(stacks: Stacks): void {
    this.#do(() => this.#leave(stacks));
  }

  /** A terminal is in a state, and may have ended. */
  advance(terminal: Terminal, state: number, stacks: Stacks): void {
    if (!terminal.first(state).isEmpty) {
      let states = this.threads.get(terminal);
      if (!states) this.threads.set(terminal, (states = new Map()));
      const other = states.get(state);
      states.set(state, other ? this.#stacks.union(other, stacks) : stacks);
    }
    if (terminal.accepts(state)) this.leave(stacks);
  }

  /** Runs work in turn instead of recursing. */
  #do(task: () => void): void {
    this.#work.push(task);
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#work.pop(); next; next = this.#work.pop()) {
      if (++this.#visits > MOST_VISITS) throw new ConstraintLimitError("steps after one byte", MOST_VISITS);
      next();
    }
    this.#busy = false;
  }

  #isNew(what: Part | Position, stacks: Stacks): boolean {
    let seen = this.#seen.get(what);
    if (!seen) this.#seen.set(what, (seen = new Set()));
    if (seen.has(stacks)) return false;
    seen.add(stacks);
    return true;
  }

  #hasMoreRounds(part: Part, below: Stacks, max: number): boolean {
    let rounds = this.#rounds.get(part);
    if (!rounds) this.#rounds.set(part, (rounds = new Map()));
    if ((rounds.get(below) ?? 0) >= max) return false;
    rounds.set(below, max);
    return true;
  }

  #enter(part: Part, stacks: Stacks): void {
    if (stacks.depth > MOST_DEPTH || !this.#analysis.isPossible(part) || !this.#isNew(part, stacks)) return;
    if (part.kind === "rule") this.enter(part.body, stacks);
    else if (part.kind === "choice") for (const each of part.parts) this.enter(each, stacks);
    else if (part.kind === "sequence") this.#goOn(this.#stacks.position(part, 0), stacks);
    else if (part.kind === "repeat") this.#goOn(this.#stacks.position(part, 0, part.min, part.max), stacks);
    else {
      const terminal = part.kind === "terminal" ? part.terminal : this.#machine.terminal(part);
      this.advance(terminal, terminal.start, stacks);
    }
  }

  #leave(stacks: Stacks): void {
    if (stacks.holdsEmpty) this.accepts = true;
    for (const { position, below } of stacks.tops) if (this.#isNew(position, below)) this.#goOn(position, below);
  }

  #goOn({ part, index, min, max }: Position, below: Stacks): void {
    if (part.kind === "sequence") {
      const last = index + 1 === part.parts.length;
      this.enter(part.parts[index]!, last ? below : this.#stacks.push(this.#stacks.position(part, index + 1), below));
      return;
    }
    // A round that may be empty need not come; of several numbers of them left, the largest holds the others.
    const empties = this.#analysis.isNullable(part.part);
    const least = empties ? 0 : min;
    if (least === 0) this.leave(below);
    if (max === 0 || (empties && !this.#hasMoreRounds(part, below, max))) return;
    const again = this.#stacks.position(part, 0, Math.max(0, least - 1), max - 1);
    this.enter(part.part, max === 1 ? below : this.#stacks.push(again, below));
  }
}
