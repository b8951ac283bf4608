import { ByteCursor } from "./byte-cursor.js";
import type { ByteSource } from "./byte-source.js";
import { PickleMachine, type PickleNames } from "./pickle-machine.js";
import { OPERATIONS, REFUSED_OPERATIONS } from "./pickle-operations.js";

/**
 * Python's pickle format (docs.python.org, "pickletools"; protocols 2 to 5), as data. A pickle is a program for a stack
 * machine, and Python's own machine runs any function that the file names. This one executes nothing: `findGlobal` resolves a
 * name to one of a short list of data types, and any other name is an error. Values: None is null, an int a
 * number (a bigint beyond 2^53), bytes a Uint8Array, a list an array, a tuple a frozen array, a dict a Map, a set a Set.
 */

/**
 * Above any model's: a checkpoint of gpt2-xl with its optimizer takes 3 MB and 100,000 operations. The limits bound the
 * memory that a hostile file can take, since every operation adds at most one object.
 */
const MAX_BYTES = 2 ** 25;
const MAX_OPERATIONS = 2 ** 20;

/** A cursor for consecutive pickles from `start` on, which end before `end`. */
export function pickleCursor(source: ByteSource, start: number, end: number): ByteCursor {
  return new ByteCursor(source, start, Math.min(end, start + MAX_BYTES), "pickle");
}

/**
 * Reads one pickle, and leaves the cursor after it.
 *
 * @throws {CheckpointError} it is malformed, or names something that is not read.
 */
export function readPickle(cursor: ByteCursor, names: PickleNames): unknown {
  const machine = new PickleMachine(cursor, names);
  for (let count = 0; !machine.stopped; count++) {
    if (count === MAX_OPERATIONS) throw machine.error(`at most ${MAX_OPERATIONS} operations`, "more");
    step(machine);
  }
  return machine.result();
}

function step(machine: PickleMachine): void {
  const code = machine.cursor.u8();
  const operation = OPERATIONS[code];
  if (operation) {
    operation(machine);
    return;
  }
  const name = REFUSED_OPERATIONS[code];
  if (name !== undefined) throw machine.error("an operation that torch.save writes", name);
  throw machine.error("an operation of a pickle", `byte ${code}`, "The file is damaged");
}
