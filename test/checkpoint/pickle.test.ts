import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { memorySource } from "../../src/checkpoint/byte-source.js";
import { pickleCursor, readPickle } from "../../src/checkpoint/pickle.js";
import { PickleGlobal, PickleRecord } from "../../src/checkpoint/pickle-machine.js";
import { readTorchFile } from "../../src/checkpoint/torch-file.js";
import { TorchTensor, torchNames } from "../../src/checkpoint/torch-names.js";
import { openTorch } from "../../src/pretrained/formats/torch.js";
import { memoryFiles } from "../../src/pretrained/model-files.js";
import { LIKE_OTHERS, TESTING_ALL } from "../helpers/tested-isas.js";
import { torchArchive } from "./torch-archive.js";

/** Text as Latin-1 bytes, numbers as bytes. */
function bytesOf(...parts: (string | number | readonly number[])[]): Uint8Array {
  const bytes = parts.map((part) =>
    typeof part === "string" ? Buffer.from(part, "latin1") : Uint8Array.from([part].flat()),
  );
  return new Uint8Array(Buffer.concat(bytes));
}

const u32 = (n: number): number[] => [...new Uint8Array(Uint32Array.of(n).buffer)];
/** BINUNICODE */
const str = (text: string): number[] => [...bytesOf("X", u32(text.length), text)];

function unpickle(bytes: Uint8Array): unknown {
  const names = {
    findGlobal: torchNames("x.pt", { records: /GPTConfig$/ }),
    findPersistent: (id: unknown) => ({ id }),
  };
  return readPickle(pickleCursor(memorySource("x.pt", bytes), 0, bytes.length), names);
}

const pickle = (...parts: Parameters<typeof bytesOf>): unknown => unpickle(bytesOf("\x80\x02", ...parts));

describe("pickles", () => {
  it("are read as data", () => {
    assert.equal(pickle("N."), null);
    assert.deepEqual(pickle("(", "\x88\x89", "t."), [true, false]);
    assert.deepEqual(pickle("]", "(K", 7, "M", [1, 2], "J", u32(-5), "e."), [7, 513, -5]);
    assert.deepEqual(pickle("(G", [...new Uint8Array(Float64Array.of(-1.5).buffer)].reverse(), "l."), [-1.5]);
    assert.deepEqual(
      pickle("}", "(", str("a"), "K", 1, str("b"), "]u."),
      new Map<string, unknown>([
        ["a", 1],
        ["b", []],
      ]),
    );
    const self = pickle("}q", 0, str("self"), "h", 0, "s.") as Map<string, unknown>;
    assert.equal(self.get("self"), self);
    assert.equal(pickle("K", 1, "0(K", 2, "1K", 3, "."), 3);
    assert.deepEqual(pickle("\x8f(K", 1, "K", 1, "\x90."), new Set([1]));
    assert.deepEqual(pickle("C", 3, [1, 2, 3], "."), Uint8Array.of(1, 2, 3));
    assert.deepEqual(pickle("\x8a", 0, "\x8a", 1, 0xff, "\x8a", 9, [0, 0, 0, 0, 0, 0, 0, 0, 1], "\x87."), [
      0,
      -1,
      2n ** 64n,
    ]);
    assert.deepEqual(pickle("\x8c", 2, "hi", "\x94h", 0, "\x86."), ["hi", "hi"]);
    assert.deepEqual(pickle("X", u32(2), [0xc3, 0xa9], "."), "é");
  });

  it("contain only tensors and plain values", () => {
    assert.deepEqual(pickle("ccollections\nOrderedDict\n)R."), new Map());
    assert.deepEqual(pickle("ctorch\nSize\n(K", 2, "K", 3, "t\x85R."), [2, 3]);
    assert.ok(pickle("ctorch\nfloat16\n.") instanceof PickleGlobal);
    const record = pickle("c__main__\nGPTConfig\n)\x81}", str("n_head"), "K", 4, "sb.");
    assert.ok(record instanceof PickleRecord);
    assert.equal(record.fields.get("n_head"), 4);
  });

  it("written by Python, in every protocol with bytes, give its values", (t) => {
    const program = [
      "import pickle, sys, collections",
      "value = {'a': [1, 2.5, -3, 10**12, None, True], 'b': ('x', 'é' * 300, b'bytes'), 3: {4, 5}, 'd': {'e': []}}",
      "value['o'] = collections.OrderedDict(z=1, y=(1, 2, 3, 4))",
      "print([list(pickle.dumps(value, protocol)) for protocol in (3, 4, 5)])",
    ].join("\n");
    let output: string;
    try {
      output = execFileSync("python3", ["-c", program], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    } catch {
      t.skip("there is no python3");
      return;
    }
    const want = new Map<unknown, unknown>([
      ["a", [1, 2.5, -3, 1e12, null, true]],
      ["b", ["x", "é".repeat(300), Uint8Array.from([..."bytes"].map((c) => c.charCodeAt(0)))]],
      [3, new Set([4, 5])],
      ["d", new Map([["e", []]])],
      [
        "o",
        new Map<string, unknown>([
          ["z", 1],
          ["y", [1, 2, 3, 4]],
        ]),
      ],
    ]);
    for (const bytes of JSON.parse(output) as number[][]) assert.deepEqual(unpickle(Uint8Array.from(bytes)), want);
  });
});

/** The classic attacks, as seen by a reader that executes nothing. */
describe("hostile pickles", () => {
  const cases: [name: string, parts: Parameters<typeof bytesOf>, message: RegExp][] = [
    [
      "os.system by REDUCE",
      ["cposix\nsystem\n", str("echo owned"), "\x85R."],
      /"posix\.system", which is not read.*runs none/,
    ],
    ["os.system by STACK_GLOBAL", [str("os"), str("system"), "\x93."], /"os\.system", which is not read/],
    ["eval", ["c__builtin__\neval\n", str("1"), "\x85R."], /"__builtin__\.eval"/],
    ["getattr", ["cbuiltins\ngetattr\n."], /"builtins\.getattr"/],
    ["torch's own loader", ["ctorch\nload\n."], /"torch\.load"/],
    [
      "an attribute of an allowed name",
      ["ccollections\nOrderedDict.__reduce__\n."],
      /"collections\.OrderedDict\.__reduce__"/,
    ],
    ["a name of JavaScript's", ["c__proto__\nconstructor\n."], /"__proto__\.constructor"/],
    ["an object's own property", ["ctoString\n\n."], /"toString\."/],
    ["INST", ["(S'ls'\nios\nsystem\n."], /got STRING/],
    ["INST itself", ["(ios\nsystem\n."], /got INST/],
    ["OBJ", ["(o."], /got OBJ/],
    ["an extension code", ["\x82\x01."], /got EXT1/],
    ["a call of a number", ["K", 1, ")R."], /the name of a type to make, got 1/],
    ["a call of a name that is no type", ["ctorch\nfloat16\n)R."], /the name of a type to make, got torch\.float16/],
    ["a call of a string", [str("os.system"), ")R."], /the name of a type to make, got "os\.system"/],
    ["a call without a tuple", ["ctorch\nSize\nNR."], /a tuple of arguments, got null/],
    ["state of a type", ["ctorch\nSize\n}b."], /an object to give state to/],
    ["a tensor of nothing", ["ctorch._utils\n_rebuild_tensor_v2\n)R."], /a tensor with a storage, got undefined/],
    ["items for a tuple", [")(K", 1, "e."], /a list to append to/],
    ["keys without values", ["}(K", 1, "u."], /keys with values/],
    ["a value from below a mark", ["K", 1, "(0."], /1 values on the stack, got fewer/],
    ["two values", ["K", 1, "K", 2, "."], /one value at the end, got 2/],
    ["nothing", ["."], /1 values on the stack/],
    ["no mark", ["t."], /a mark on the stack, got no mark/],
    ["an unknown memory", ["h", 7, "."], /a memo entry with number 7, got no such entry/],
    ["a string of 4 GiB", ["X", u32(0xffffffff), "abc"], /4294967295 more bytes at byte 7, got 3/],
    ["bytes of 2^63", ["\x8e", [0, 0, 0, 0, 0, 0, 0, 0x80], "abc"], /9223372036854776000 more bytes/],
    ["a name without an end", [`c${"a".repeat(1000)}`], /a line of at most 200 bytes/],
    ["a huge integer", ["\x8a\xff", "\xff".repeat(255), "."], /at most 16 bytes, got 255/],
    ["text that is not UTF-8", ["X", u32(1), "\xff."], /text in UTF-8/],
    ["no end", ["K", 1], /1 more bytes at byte 4, got 0/],
    ["protocol 9", ["\x80\x09."], /pickle protocol 2 to 5, got 9/],
  ];
  for (const [name, parts, message] of cases) {
    it(`refuses ${name}`, () => assert.throws(() => pickle(...parts), { name: "CheckpointError", message }));
  }

  it("reads deep nesting without recursion", () => {
    const deep = pickle("K", 1, "\x85".repeat(TESTING_ALL ? 1_000_000 : 100_000), ".");
    assert.ok(Array.isArray(deep));
    assert.throws(() => pickle("(".repeat(1_100_000), "."), /at most 1048576 operations, got more/);
  });

  it("keeps a tuple that contains the previous tuple twice, thirty levels deep, without expanding it", () => {
    // 2^30 leaves, were it walked or written out.
    const bomb = bytesOf("\x80\x02", "K", 1, "q\x00h\x00\x86".repeat(30), ".");
    const files = memoryFiles("x.pt", { "x.pt": torchArchive(bomb, {}) });
    assert.throws(() => openTorch("x.pt", files), { message: /a dict of tensors, got \[a list, a list\]/ });
  });

  it("bounds the objects that a file can make", { skip: LIKE_OTHERS }, () => {
    const before = process.memoryUsage().heapUsed;
    assert.throws(() => pickle("}".repeat(2_000_000), "."), /at most 1048576 operations/);
    assert.ok(process.memoryUsage().heapUsed - before < 500 * 2 ** 20);
  });

  const storage = (...more: Parameters<typeof bytesOf>) =>
    ["(", str("storage"), "ctorch\nFloatStorage\n", ...more, "tQ"] as const;
  const archives: [name: string, parts: Parameters<typeof bytesOf>, message: RegExp][] = [
    ["a reference to a file", [str("/etc/passwd"), "Q."], /a reference to a storage of numbers, got "\/etc\/passwd"/],
    [
      "a storage of strings",
      ["(", str("storage"), str("torch.FloatStorage"), str("0"), "Nt", "Q."],
      /a reference to a storage/,
    ],
    ["a storage of no size", [...storage(str("0"), "NK", 0, "\x88"), "."], /a whole storage, got part/],
    ["a storage of negative size", [...storage(str("0"), "NJ", u32(-1)), "."], /a reference to a storage/],
  ];
  for (const [name, parts, message] of archives) {
    it(`refuses ${name}`, () => {
      const file = torchArchive(bytesOf("\x80\x02", ...parts), { 0: new Uint8Array(16) });
      assert.throws(() => readTorchFile(memorySource("x.pt", file)), { name: "CheckpointError", message });
    });
  }

  /** Tensors with a false view of a storage of four floats. */
  const views: [
    name: string,
    key: string,
    count: number,
    offset: number[],
    shape: number[],
    strides: number[],
    message: RegExp,
  ][] = [
    ["no such entry", "7", 4, [0], [4], [1], /an entry "archive\/data\/7", got no such entry/],
    [
      "an entry outside its folder",
      "../../data.pkl",
      4,
      [0],
      [4],
      [1],
      /an entry "archive\/data\/\.\.\/\.\.\/data\.pkl", got no such entry/,
    ],
    ["a storage of another size", "0", 5, [0], [4], [1], /a storage of 5 F32, got 16 bytes/],
    ["a view beyond the storage", "0", 4, [1], [4], [1], /within its storage of 16 bytes, got 16 bytes at 4/],
    ["a view of overlapping rows", "0", 4, [0], [3, 2], [1, 1], /strides \[1, 1\]\. It is a view of another tensor/],
    ["a view that repeats one value", "0", 4, [0], [1000, 1000], [0, 0], /strides \[0, 0\]/],
    [
      "more elements than numbers go",
      "0",
      4,
      [0],
      new Array<number>(100).fill(255),
      new Array<number>(100).fill(1),
      /contiguous by rows/,
    ],
  ];
  for (const [name, key, count, [offset = 0], shape, strides, message] of views) {
    it(`refuses ${name}`, () => {
      const tuple = (values: readonly number[]) => ["(", values.flatMap((v) => [0x4d, v & 255, v >> 8]), "t"] as const;
      const file = torchArchive(
        bytesOf(
          ...["\x80\x02", "ctorch._utils\n_rebuild_tensor_v2\n("],
          ...storage(str(key), "NK", count),
          ...["K", offset, ...tuple(shape), ...tuple(strides), "\x89Nt", "R."],
        ),
        { 0: new Uint8Array(16) },
      );
      const { value, locate } = readTorchFile(memorySource("x.pt", file));
      assert.ok(value instanceof TorchTensor);
      assert.throws(() => locate("t", value), { name: "CheckpointError", message });
    });
  }
});
