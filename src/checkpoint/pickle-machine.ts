import { CheckpointError } from "../errors.js";
import { quote } from "../util/quote.js";
import type { ByteCursor } from "./byte-cursor.js";

/** The value of a name in a pickle. */
export class PickleGlobal {
  /** `collections.OrderedDict` */
  readonly name: string;
  /** Replaces a call, or making an object of the class. Absent for a name that is only passed on. */
  readonly call: ((args: readonly unknown[]) => unknown) | undefined;

  constructor(name: string, call?: (args: readonly unknown[]) => unknown) {
    this.name = name;
    this.call = call;
  }
}

/** An object of a class that has only fields, such as a dataclass. */
export class PickleRecord {
  readonly fields = new Map<unknown, unknown>();
}

/** The values of names and references in a pickle. */
export interface PickleNames {
  /** Resolves a name; undefined refuses it. */
  readonly findGlobal: (name: string) => PickleGlobal | undefined;
  /** Resolves a reference to something outside the pickle; without this one they are refused. */
  readonly findPersistent?: (id: unknown) => unknown;
}

/** The machine's state, on which operations work. */
export class PickleMachine {
  readonly cursor: ByteCursor;
  readonly memo = new Map<number, unknown>();
  stopped = false;
  readonly #names: PickleNames;
  readonly #stack: unknown[] = [];
  /** Heights of the stack at each MARK. */
  readonly #marks: number[] = [];

  constructor(cursor: ByteCursor, names: PickleNames) {
    this.cursor = cursor;
    this.#names = names;
  }

  result(): unknown {
    const value = this.pop();
    if (this.#stack.length > 0) throw this.error("one value at the end", `${this.#stack.length + 1}`);
    return value;
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }

  pop(): unknown {
    this.#need(1);
    return this.#stack.pop();
  }

  /** Removes and returns the last `count` values, in the order they were pushed. */
  popMany(count: number): unknown[] {
    this.#need(count);
    return this.#stack.splice(this.#stack.length - count);
  }

  top(): unknown {
    this.#need(1);
    return this.#stack.at(-1);
  }

  mark(): void {
    this.#marks.push(this.#stack.length);
  }

  /** Removes and returns the values pushed since the last mark, and removes the mark. */
  popMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.error("a mark on the stack", "no mark");
    return this.#stack.splice(mark);
  }

  #need(count: number): void {
    if (this.#stack.length - count >= (this.#marks.at(-1) ?? 0)) return;
    throw this.error(`${count} values on the stack`, "fewer");
  }

  findGlobal(name: string): PickleGlobal {
    const found = this.#names.findGlobal(name);
    if (found !== undefined) return found;
    const hint =
      "A pickle can name any function to be run on loading; this reader runs none. Save only the state dict and plain values, or save as safetensors";
    throw this.error("only the names that PyTorch needs for tensors", `${quote(name)}, which is not read`, hint);
  }

  findPersistent(id: unknown): unknown {
    if (this.#names.findPersistent) return this.#names.findPersistent(id);
    throw this.error("no reference to anything outside the pickle", "a reference");
  }

  error(expected: string, got: string, hint?: string): CheckpointError {
    const op = `reading ${this.cursor.file}: pickle, before byte ${this.cursor.position}`;
    return new CheckpointError({ op, expected, got, ...(hint !== undefined && { hint }) });
  }
}
