import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ByteSource, memorySource } from "../../src/checkpoint/byte-source.js";
import { readSafetensors } from "../../src/checkpoint/safetensors.js";
import { readShardIndex } from "../../src/checkpoint/safetensors-index.js";
import { encodeSafetensors, layoutSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { CheckpointError } from "../../src/errors.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";
import { jsonBytes, rawSafetensors, smallSafetensors } from "./small-model.js";

function assertRefused(run: () => unknown, message: RegExp): void {
  assert.throws(run, (error: Error) => {
    assert.ok(error instanceof CheckpointError, `${error.stack}`);
    assert.match(error.message, message);
    assert.match(error.message, /expected .+got /s);
    assert.ok(error.message.length < 1000, `a message of ${error.message.length} characters`);
    return true;
  });
}

const read = (bytes: Uint8Array) => readSafetensors(memorySource("bad.safetensors", bytes));
const zeros = (n: number): Uint8Array => new Uint8Array(n);
const entry = (shape: unknown, begin: unknown, end: unknown, dtype: unknown = "F32") => {
  return { dtype, shape, data_offsets: [begin, end] };
};
/** A file of one tensor called `x`. */
const one = (x: unknown, data = 8): Uint8Array => rawSafetensors({ x }, zeros(data));
const good = entry([2], 0, 8);
const huge = 2 ** 53;

/** Levels of nesting: more calls than fit on any stack. */
const DEEP = TESTING_ALL ? 1_000_000 : 100_000;

const HEADERS: [name: string, file: Uint8Array, message: RegExp][] = [
  ["an empty file", zeros(0), /bad\.safetensors.*8 bytes.*0 bytes/],
  ["seven bytes", zeros(7), /8 bytes of header length.*7/],
  ["a length and nothing else", rawSafetensors("", zeros(0), 100n), /header of 100 bytes, got 0.*truncated/],
  ["an empty header", rawSafetensors("", zeros(4)), /starts with \{, got an empty header/],
  ["a header of 2 GB claimed", rawSafetensors({}, zeros(0), 2_000_000_000n), /at most 100000000 bytes, got 2000000000/],
  ["a header of 2^64 - 1 claimed", rawSafetensors({}, zeros(0), 2n ** 64n - 1n), /at most 100000000/],
  ["a header just over the limit", rawSafetensors({}, zeros(0), 100_000_001n), /at most 100000000/],
  [
    "a header longer than the file",
    rawSafetensors({ x: good }, zeros(8), 99_999_999n),
    /header of 99999999 bytes.*trunc/,
  ],
  ["text that is not JSON", rawSafetensors("{x}", zeros(0)), /header: expected JSON, got text that is not JSON/],
  ["JSON cut short", rawSafetensors('{"x": {"dtype"', zeros(0)), /expected JSON/],
  ["two JSON values", rawSafetensors("{}{}", zeros(0)), /expected JSON/],
  ["NaN in JSON", rawSafetensors('{"x": NaN}', zeros(0)), /expected JSON/],
  ["a list", rawSafetensors([], zeros(0)), /starts with \{/],
  ["white space first", rawSafetensors(" {}", zeros(0)), /starts with \{, got byte 32/],
  ["a byte order mark", rawSafetensors("\ufeff{}", zeros(0)), /starts with \{, got byte 239/],
  ["bytes that are not UTF-8", rawSafetensors(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d), zeros(0)), /UTF-8/],
  ["a NUL after the JSON", rawSafetensors("{}\0", zeros(0)), /expected JSON/],
  ["a key twice", rawSafetensors('{"x":1,"y":{},"x":2}', zeros(0)), /each key once, got the key "x" twice/],
  ["a key twice, once escaped", rawSafetensors('{"x":1,"\\u0078":2}', zeros(0)), /the key "x" twice/],
  ["a key twice inside a tensor", rawSafetensors('{"x":{"dtype":"F32","dtype":"F16"}}', zeros(0)), /"dtype" twice/],
  [
    "a key twice after lists and strings",
    rawSafetensors('{"a":[1,{"q":"{\\"a\\":["}],"a" : 2}', zeros(0)),
    /"a" twice/,
  ],
  [
    "metadata that is no object",
    rawSafetensors({ __metadata__: [] }, zeros(0)),
    /__metadata__: expected an object, got \[\]/,
  ],
  ["metadata that is null", rawSafetensors({ __metadata__: null }, zeros(0)), /__metadata__: expected an object/],
  [
    "metadata of numbers",
    rawSafetensors({ __metadata__: { a: 1 } }, zeros(0)),
    /__metadata__: "a": expected a string, got 1/,
  ],
  [
    "deeply nested objects",
    rawSafetensors(`{"x":${'{"x":'.repeat(DEEP)}1${"}".repeat(DEEP)}}`, zeros(0)),
    /"x".*dtype/,
  ],
  [
    "deeply nested lists",
    rawSafetensors(`{"x":{"dtype":"F32","shape":[${"[".repeat(DEEP)}${"]".repeat(DEEP)}]}}`, zeros(8)),
    /shape: .*got \[a list\]/,
  ],
];

const TENSORS: [name: string, file: Uint8Array, message: RegExp][] = [
  ["a tensor that is a number", one(1), /tensor "x": expected an object.*got 1/],
  ["a tensor that is null", one(null), /tensor "x": expected an object.*got null/],
  ["a tensor that is a list", one([]), /tensor "x": expected an object.*got \[\]/],
  ["no dtype", one({ shape: [2], data_offsets: [0, 8] }), /"x": dtype: expected one of.*got undefined/],
  ["an unknown dtype", one(entry([2], 0, 8, "F33")), /"x": dtype: expected one of BOOL.*got "F33"/],
  ["a dtype of the prototype", one(entry([2], 0, 8, "constructor")), /dtype: .*got "constructor"/],
  ["a dtype in small letters", one(entry([2], 0, 8, "f32")), /dtype: .*got "f32"/],
  ["no shape", one({ dtype: "F32", data_offsets: [0, 8] }), /"x": shape: expected a list of integers.*undefined/],
  ["a negative shape", one(entry([-2], 0, 8)), /"x": shape: .*got \[-2\]/],
  ["two negative sizes", one(entry([-1, -2], 0, 8)), /shape/],
  ["a fractional shape", one(entry([0.5, 4], 0, 8)), /shape: .*got \[0\.5, 4\]/],
  ["a shape of text", one(entry(["2"], 0, 8)), /shape: .*got \["2"\]/],
  ["a shape of -0", rawSafetensors('{"x":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}', zeros(0)), /shape/],
  ["a shape of 1e400", rawSafetensors('{"x":{"dtype":"F32","shape":[1e400],"data_offsets":[0,8]}}', zeros(8)), /shape/],
  ["a shape of 2^53", one(entry([huge], 0, 8)), /shape: expected a list of integers from 0 to 2\^53/],
  [
    "a shape whose product overflows 2^53",
    one(entry([2 ** 30, 2 ** 30], 0, 8)),
    /shape: expected fewer than 2\^50 bytes/,
  ],
  ["a shape whose product is 2^64", one(entry([2 ** 32, 2 ** 32], 0, 0)), /shape: expected fewer than 2\^50 bytes/],
  ["a million dimensions", one(entry(new Array(1e6).fill(1), 0, 8)), /expected 4 bytes.*1000000 entries.*8 bytes/],
  ["a larger shape than its bytes", one(entry([3], 0, 8)), /tensor "x": expected 12 bytes for F32 \[3\], got.*8 bytes/],
  ["a smaller shape than its bytes", one(entry([1], 0, 8)), /expected 4 bytes for F32 \[1\], got.*8 bytes/],
  ["a scalar of two values", one(entry([], 0, 8)), /expected 4 bytes for F32 \[\]/],
  ["half a byte", one(entry([1], 0, 1, "F4"), 1), /shape: expected whole bytes, got 4 bits of F4/],
  ["no offsets", one({ dtype: "F32", shape: [2] }), /"x": data_offsets: expected \[begin, end\].*undefined/],
  ["one offset", one({ ...good, data_offsets: [0] }), /data_offsets/],
  ["three offsets", one({ ...good, data_offsets: [0, 8, 8] }), /data_offsets/],
  ["offsets the wrong way round", one(entry([2], 8, 0)), /data_offsets: .*got \[8, 0\]/],
  ["a negative offset", one(entry([2], -8, 0)), /data_offsets: .*got \[-8, 0\]/],
  ["a fractional offset", one(entry([2], 0.5, 8.5)), /data_offsets/],
  ["an offset of 2^53", one(entry([2], huge, huge + 8)), /data_offsets/],
  ["an offset near 2^53", one(entry([2], huge - 16, huge - 8)), /expected \d+ bytes of data, got 8.*truncated/],
  ["data cut short", one(good, 7), /tensor "x": expected 8 bytes of data, got 7.*truncated/],
  ["no data", one(good, 0), /expected 8 bytes of data, got 0/],
  ["bytes after the last tensor", one(good, 9), /bad\.safetensors: expected \d+ bytes, the end of tensor "x", got/],
  ["data without tensors", rawSafetensors({}, zeros(1)), /the end of the header/],
  [
    "a hole before the first",
    one(entry([1], 4, 8)),
    /tensor "x": expected data from byte 0, where the header ends, got 4/,
  ],
  [
    "a hole between two",
    rawSafetensors({ x: entry([1], 0, 4), y: entry([1], 8, 12) }, zeros(12)),
    /tensor "y": expected data from byte 4, where tensor "x" ends, got 8\. The bytes between them belong to no tensor/,
  ],
  [
    "two that overlap",
    rawSafetensors({ x: entry([2], 0, 8), y: entry([2], 4, 12) }, zeros(12)),
    /tensor "y": expected data from byte 8, where tensor "x" ends, got 4\. The two overlap/,
  ],
  ["two in one place", rawSafetensors({ x: good, y: good }, zeros(8)), /tensor "y".*The two overlap/],
  ["an empty one inside another", rawSafetensors({ x: good, y: entry([0], 4, 4) }, zeros(8)), /"y".*The two overlap/],
  [
    "names that would move the cursor",
    rawSafetensors({ "\u001b[2J\u009b\n": 1 }, zeros(0)),
    /tensor "\\u001b\[2J\\u009b\\n"/,
  ],
  ["a name a megabyte long", rawSafetensors({ ["n".repeat(1e6)]: 1 }, zeros(0)), /n{100}…/],
];

describe("malformed safetensors", () => {
  for (const [name, file, message] of [...HEADERS, ...TENSORS]) {
    it(`refuses ${name}`, () => assertRefused(() => read(file), message));
  }

  it("refuses a file truncated anywhere", () => {
    const whole = smallSafetensors();
    assert.equal(read(whole).tensors.size, 28);
    for (let length = 0; length < whole.length; length += TESTING_ALL ? 1 : 3) {
      assertRefused(() => read(whole.subarray(0, length)), /bad\.safetensors/);
    }
  });

  it("reads no more than the header, whatever length it claims", () => {
    let asked = 0;
    const file = memorySource("bad.safetensors", rawSafetensors({ x: good }, zeros(8), 2n ** 33n));
    const counting: ByteSource = {
      ...file,
      bytes(offset, length) {
        asked += length;
        return file.bytes(offset, length);
      },
    };
    assertRefused(() => readSafetensors(counting), /at most/);
    assert.equal(asked, 8);
  });
});

describe("unusual but valid safetensors", () => {
  it("reads no tensors, empty tensors, scalars, packed types and awkward names", () => {
    assert.equal(read(rawSafetensors({}, zeros(0))).tensors.size, 0);
    const padded = read(rawSafetensors('{"__metadata__":{"":"é"}}   ', zeros(0)));
    assert.deepEqual(padded.metadata, { "": "é" });
    // Text that looks like a repeated key once its escapes are misread.
    const tricky = { a: '","a":"', "b\\": '\\"', b: '{"b":[' };
    assert.deepEqual(read(rawSafetensors({ __metadata__: tricky }, zeros(0))).metadata, tricky);
    const header = {
      10: entry([2, 2], 8, 10, "F4"),
      9: entry([0, 7], 8, 8),
      ["__proto__"]: entry([], 0, 8, "F64"),
      "": entry([4], 10, 13, "F6_E2M3"),
    };
    const { tensors } = read(
      rawSafetensors(
        header,
        Uint8Array.from({ length: 13 }, (_, i) => i),
      ),
    );
    assert.deepEqual([...tensors.keys()], ["__proto__", "9", "10", ""]);
    assert.deepEqual([...tensors.get("")!.data], [10, 11, 12]);
    assert.equal(tensors.get("9")!.data.length, 0);
  });
});

describe("writing safetensors", () => {
  const data = { a: new Uint8Array([1, 2, 3]), b: new BigInt64Array([4n]), c: new Int16Array([5, 6]) };
  const inputs = [
    { name: "a", dtype: "U8", shape: [3], data: data.a },
    { name: "__proto__", dtype: "I64", shape: [], data: data.b },
    { name: "c", dtype: "I16", shape: [2, 1], data: data.c },
    { name: "B", dtype: "F32", shape: [0], data: new Float32Array(0) },
  ] as const;

  it("gives the same bytes in any order, aligned, and reads back", () => {
    const file = encodeSafetensors(inputs, { by: "test" });
    assert.deepEqual(encodeSafetensors(inputs.toReversed(), { by: "test" }), file);
    const { tensors, metadata } = read(file);
    assert.deepEqual(metadata, { by: "test" });
    assert.deepEqual([...tensors.keys()], ["__proto__", "B", "c", "a"]);
    const [wide, , narrow, bytes] = [...tensors.values()];
    assert.equal(wide!.offset % 64, 0);
    assert.equal(new DataView(file.buffer).getBigInt64(wide!.offset, true), 4n);
    assert.deepEqual([...new Int16Array(file.buffer, narrow!.offset, 2)], [5, 6]);
    assert.deepEqual([...bytes!.data], [1, 2, 3]);
  });

  it("refuses repeated and reserved names and data of another size", () => {
    const [a] = inputs;
    assertRefused(() => encodeSafetensors([a, a]), /tensor "a": expected unique names/);
    assertRefused(() => layoutSafetensors([{ ...a, name: "__metadata__" }]), /__metadata__/);
    assertRefused(() => encodeSafetensors([{ ...a, shape: [4] }]), /tensor "a": expected 4 bytes for U8 \[4\], got 3/);
    assertRefused(() => layoutSafetensors([{ ...a, shape: [2 ** 40, 2 ** 40] }]), /2\^50/);
  });
});

describe("malformed indices", () => {
  const index = (value: unknown) =>
    readShardIndex(memorySource("model.safetensors.index.json", jsonBytes(value)), "safetensors");
  const escapes = [
    "../x.safetensors",
    "/etc/x.safetensors",
    "a/b.safetensors",
    "a\\b.safetensors",
    "C:x.safetensors",
    "..",
    ".x.safetensors",
    "",
    "x.bin",
    "x\0.safetensors",
    "x\n.safetensors",
    7,
    null,
    ["x.safetensors"],
  ];
  for (const file of escapes) {
    it(`refuses a shard named ${JSON.stringify(file)}`, () => {
      assertRefused(
        () => index({ weight_map: { w: file } }),
        /index\.json: weight_map: tensor "w": expected the plain name/,
      );
    });
  }

  it("refuses files that are not an index", () => {
    assertRefused(() => index(""), /index\.json: expected JSON, got an empty file/);
    assertRefused(() => index("[]"), /expected a JSON object, got \[\]/);
    assertRefused(() => index({}), /weight_map: expected an object/);
    assertRefused(() => index({ weight_map: [] }), /weight_map: expected an object/);
    assertRefused(() => index({ weight_map: {} }), /weight_map: expected at least one tensor/);
    assertRefused(() => index('{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}'), /the key "a" twice/);
  });
});
