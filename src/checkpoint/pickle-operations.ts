import { quote } from "../util/quote.js";
import { PickleGlobal, type PickleMachine, PickleRecord } from "./pickle-machine.js";

/** The operations of pickle protocols 2 to 5, by their codes; names as in Python's pickletools. */

type Operation = (m: PickleMachine) => void;

const LONGEST_NAME = 200;
const char = (c: string): number => c.charCodeAt(0);

const NUMBERS_AND_CONSTANTS: Readonly<Record<number, Operation>> = {
  [char("N")]: (m) => m.push(null), // NONE
  136: (m) => m.push(true), // NEWTRUE
  137: (m) => m.push(false), // NEWFALSE
  [char("J")]: (m) => m.push(m.cursor.i32()), // BININT
  [char("K")]: (m) => m.push(m.cursor.u8()), // BININT1
  [char("M")]: (m) => m.push(m.cursor.u16()), // BININT2
  138: (m) => m.push(integer(m, m.cursor.u8())), // LONG1
  [char("G")]: (m) => m.push(bigEndianDouble(m.cursor.take(8))), // BINFLOAT
};

const TEXT: Readonly<Record<number, Operation>> = {
  [char("X")]: (m) => text(m, m.cursor.u32()), // BINUNICODE
  140: (m) => text(m, m.cursor.u8()), // SHORT_BINUNICODE
  141: (m) => text(m, m.cursor.u64()), // BINUNICODE8
  // Python 2's str: read as text, which is its own unpickler's default.
  [char("T")]: (m) => text(m, m.cursor.u32()), // BINSTRING
  [char("U")]: (m) => text(m, m.cursor.u8()), // SHORT_BINSTRING
  [char("B")]: (m) => m.push(m.cursor.take(m.cursor.u32()).slice()), // BINBYTES
  [char("C")]: (m) => m.push(m.cursor.take(m.cursor.u8()).slice()), // SHORT_BINBYTES
  142: (m) => m.push(m.cursor.take(m.cursor.u64()).slice()), // BINBYTES8
  150: (m) => m.push(m.cursor.take(m.cursor.u64()).slice()), // BYTEARRAY8
};

const CONTAINERS: Readonly<Record<number, Operation>> = {
  [char("(")]: (m) => m.mark(), // MARK
  [char(")")]: (m) => m.push(Object.freeze([])), // EMPTY_TUPLE
  [char("t")]: (m) => m.push(Object.freeze(m.popMark())), // TUPLE
  133: (m) => m.push(Object.freeze(m.popMany(1))), // TUPLE1
  134: (m) => m.push(Object.freeze(m.popMany(2))), // TUPLE2
  135: (m) => m.push(Object.freeze(m.popMany(3))), // TUPLE3
  [char("]")]: (m) => m.push([]), // EMPTY_LIST
  [char("l")]: (m) => m.push(m.popMark()), // LIST
  [char("a")]: (m) => append(m, m.popMany(1)), // APPEND
  [char("e")]: (m) => append(m, m.popMark()), // APPENDS
  [char("}")]: (m) => m.push(new Map()), // EMPTY_DICT
  [char("d")]: (m) => dict(m, m.popMark()), // DICT
  [char("s")]: (m) => setItems(m, m.popMany(2)), // SETITEM
  [char("u")]: (m) => setItems(m, m.popMark()), // SETITEMS
  143: (m) => m.push(new Set()), // EMPTY_SET
  145: (m) => m.push(new Set(m.popMark())), // FROZENSET
  144: (m) => addItems(m, m.popMark()), // ADDITEMS
};

const OBJECTS: Readonly<Record<number, Operation>> = {
  [char("c")]: (m) => m.push(m.findGlobal(`${m.cursor.line(LONGEST_NAME)}.${m.cursor.line(LONGEST_NAME)}`)), // GLOBAL
  147: stackGlobal, // STACK_GLOBAL
  [char("R")]: call, // REDUCE
  129: call, // NEWOBJ
  [char("b")]: build, // BUILD
  [char("Q")]: (m) => m.push(m.findPersistent(m.pop())), // BINPERSID
};

const MACHINE: Readonly<Record<number, Operation>> = {
  128: protocol, // PROTO
  149: (m) => void m.cursor.u64(), // FRAME: a hint for reading ahead
  [char(".")]: (m) => void (m.stopped = true), // STOP
  [char("0")]: (m) => void m.pop(), // POP
  [char("1")]: (m) => void m.popMark(), // POP_MARK
  [char("q")]: (m) => void m.memo.set(m.cursor.u8(), m.top()), // BINPUT
  [char("r")]: (m) => void m.memo.set(m.cursor.u32(), m.top()), // LONG_BINPUT
  148: (m) => void m.memo.set(m.memo.size, m.top()), // MEMOIZE
  [char("h")]: (m) => get(m, m.cursor.u8()), // BINGET
  [char("j")]: (m) => get(m, m.cursor.u32()), // LONG_BINGET
};

export const OPERATIONS: Readonly<Record<number, Operation>> = {
  ...NUMBERS_AND_CONSTANTS,
  ...TEXT,
  ...CONTAINERS,
  ...OBJECTS,
  ...MACHINE,
};

/** Existing operations that no torch.save writes: the text ones of protocol 0, and other ways to name classes. */
export const REFUSED_OPERATIONS: Readonly<Record<number, string>> = {
  [char("i")]: "INST",
  [char("o")]: "OBJ",
  [char("P")]: "PERSID",
  [char("2")]: "DUP",
  [char("g")]: "GET",
  [char("p")]: "PUT",
  [char("I")]: "INT",
  [char("L")]: "LONG",
  [char("F")]: "FLOAT",
  [char("S")]: "STRING",
  [char("V")]: "UNICODE",
  130: "EXT1",
  131: "EXT2",
  132: "EXT4",
  139: "LONG4",
  146: "NEWOBJ_EX",
  151: "NEXT_BUFFER",
  152: "READONLY_BUFFER",
};

function protocol(m: PickleMachine): void {
  const version = m.cursor.u8();
  if (version < 2 || version > 5) throw m.error("pickle protocol 2 to 5", `${version}`);
}

const LONGEST_INTEGER = 16;

/** Two's complement, little-endian; an empty sequence is zero. */
function integer(m: PickleMachine, length: number): number | bigint {
  if (length > LONGEST_INTEGER) throw m.error(`an integer of at most ${LONGEST_INTEGER} bytes`, `${length}`);
  const bytes = m.cursor.take(length);
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = value * 256n + BigInt(bytes[i]!);
  if (bytes.length > 0) value = BigInt.asIntN(8 * bytes.length, value);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function bigEndianDouble({ buffer, byteOffset }: Uint8Array): number {
  return new DataView(buffer, byteOffset, 8).getFloat64(0);
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function text(m: PickleMachine, length: number): void {
  // Copied, because decoders refuse views of shared memory.
  const bytes = m.cursor.take(length).slice();
  try {
    m.push(UTF8.decode(bytes));
  } catch {
    throw m.error("text in UTF-8", "other bytes");
  }
}

function append(m: PickleMachine, items: readonly unknown[]): void {
  const list = m.top();
  if (!Array.isArray(list) || Object.isFrozen(list)) throw m.error("a list to append to", quote(list));
  for (const item of items) list.push(item);
}

function dict(m: PickleMachine, items: readonly unknown[]): void {
  m.push(new Map());
  setItems(m, items);
}

function setItems(m: PickleMachine, items: readonly unknown[]): void {
  const target = m.top();
  if (!(target instanceof Map)) throw m.error("a dict to put items into", quote(target));
  if (items.length % 2 === 1) throw m.error("keys with values", "a key without one");
  for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1]);
}

function addItems(m: PickleMachine, items: readonly unknown[]): void {
  const target = m.top();
  if (!(target instanceof Set)) throw m.error("a set to add to", quote(target));
  for (const item of items) target.add(item);
}

function stackGlobal(m: PickleMachine): void {
  const [module, name] = m.popMany(2);
  if (typeof module !== "string" || typeof name !== "string") throw m.error("a name of two strings", quote(module));
  m.push(m.findGlobal(`${module}.${name}`));
}

/** A call, or the making of an object: the result is looked up in the list of names. Nothing is executed. */
function call(m: PickleMachine): void {
  const [callee, args] = m.popMany(2);
  if (!Array.isArray(args)) throw m.error("a tuple of arguments", quote(args));
  if (!(callee instanceof PickleGlobal && callee.call)) {
    throw m.error("the name of a type to make", callee instanceof PickleGlobal ? callee.name : quote(callee));
  }
  m.push(callee.call(args));
}

/** Sets the state of an object: the fields of a record. Attributes of a dict (a state dict's versions) are ignored. */
function build(m: PickleMachine): void {
  const state = m.pop();
  const target = m.top();
  if (!(state instanceof Map)) throw m.error("a dict of state", quote(state));
  if (target instanceof PickleRecord) for (const [key, value] of state) target.fields.set(key, value);
  else if (!(target instanceof Map)) throw m.error("an object to give state to", quote(target));
}

function get(m: PickleMachine, index: number): void {
  if (!m.memo.has(index)) throw m.error(`a memo entry with number ${index}`, "no such entry");
  m.push(m.memo.get(index));
}
