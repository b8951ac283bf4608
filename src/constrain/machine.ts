import { ConstraintError, ConstraintLimitError } from "../errors.js";
import { Analysis } from "./analysis.js";
import { ByteSet } from "./byte-set.js";
import { type Grammar, type Part, terminalOf } from "./grammar.js";
import { type Position, StackStore, type Stacks } from "./stacks.js";
import { DEAD, type Terminal } from "./terminal.js";

/** A terminal being read, and the stacks below it. */
export interface Thread {
  readonly terminal: Terminal;
  readonly state: number;
  readonly stacks: Stacks;
}

/** All parses of the text so far. Equal states are the same object. */
export interface State {
  readonly threads: readonly Thread[];
  /** Whether the text may end here. */
  readonly accepts: boolean;
  /** The bytes that may follow. */
  readonly first: ByteSet;
}

/** Maximum nesting: deeper threads are dropped. */
const MOST_DEPTH = 1000;
/** Maximum number of parallel parses, and of steps after one byte. */
const MOST_THREADS = 2000;
const MOST_VISITS = 20_000;
/** Maximum number of states and stacks kept. */
const MOST_KEPT = 20_000;
/** Maximum number of new expressions (states of terminals) that one step may make. */
const MOST_NEW = 100_000;

/**
 * Reads a text byte by byte. Naively: keep every stack of grammar positions that the text so far allows, with the state of the
 * terminal on top; after a byte, advance each terminal, and where one may end, continue with the position below it. Here stacks
 * share their tails (`stacks.ts`), and states and their successors are cached, so most bytes cost one look-up.
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
      expected: "a constraint that some text satisfies",
      got: "only the empty text",
    });
  }

  /** The state after a byte, or null if the byte is not allowed. @throws {ConstraintLimitError} */
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

  /** Calls a function with a limit on the states that terminals may make. @throws {ConstraintLimitError} */
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

  /** The state after the terminal on top of the stacks has ended. */
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

  /** Clears the caches; states in use remain valid. */
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
  /** Parts already entered or continued, and with which stacks. */
  readonly #seen = new Map<Part | Position, Set<Stacks>>();
  /** For repetitions with possibly empty rounds: the largest number of rounds left, by the stacks below. */
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

  /** Enters a part. */
  enter(part: Part, stacks: Stacks): void {
    this.#do(() => this.#enter(part, stacks));
  }

  /** Continues below a finished part. */
  leave(stacks: Stacks): void {
    this.#do(() => this.#leave(stacks));
  }

  /** Adds a terminal in a state, in which it may have ended. */
  advance(terminal: Terminal, state: number, stacks: Stacks): void {
    if (!terminal.first(state).isEmpty) {
      let states = this.threads.get(terminal);
      if (!states) this.threads.set(terminal, (states = new Map()));
      const other = states.get(state);
      states.set(state, other ? this.#stacks.union(other, stacks) : stacks);
    }
    if (terminal.accepts(state)) this.leave(stacks);
  }

  /** Queues work instead of recursing. */
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
    // A possibly empty round is optional; of several numbers of rounds left, the largest includes the others.
    const empties = this.#analysis.isNullable(part.part);
    const least = empties ? 0 : min;
    if (least === 0) this.leave(below);
    if (max === 0 || (empties && !this.#hasMoreRounds(part, below, max))) return;
    const again = this.#stacks.position(part, 0, Math.max(0, least - 1), max - 1);
    this.enter(part.part, max === 1 ? below : this.#stacks.push(again, below));
  }
}
