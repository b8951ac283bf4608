/** Zip archives with one field changed. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { memorySource } from "../../src/checkpoint/byte-source.js";
import { readZip } from "../../src/checkpoint/zip.js";
import { CheckpointError } from "../../src/errors.js";
import { zipArchive } from "./torch-archive.js";

const archive = zipArchive([
  { name: "one", data: Uint8Array.of(1, 2, 3) },
  { name: "two", data: Uint8Array.of(4, 5) },
]);

const read = (bytes: Uint8Array) => readZip(memorySource("a.zip", bytes));

/** A copy with a 16 or 32-bit number at a position after the n-th appearance of a signature. */
function changed(signature: string, at: number, value: number, { wide = true, nth = 0 } = {}): Uint8Array {
  const copy = Buffer.from(archive);
  let start = copy.indexOf(signature, 0, "latin1");
  for (let i = 0; i < nth; i++) start = copy.indexOf(signature, start + 1, "latin1");
  if (wide) copy.writeUInt32LE(value, start + at);
  else copy.writeUInt16LE(value, start + at);
  return new Uint8Array(copy);
}

const LOCAL = "PK\x03\x04";
const ENTRY = "PK\x01\x02";
const END64 = "PK\x06\x06";
const LOCATOR = "PK\x06\x07";
const short = { wide: false };

describe("a zip archive", () => {
  it("has entries by name, each with its position", () => {
    const entries = read(archive);
    assert.deepEqual([...entries.keys()], ["one", "two"]);
    assert.deepEqual([...entries.get("two")!.packed()], [4, 5]);
    const place = entries.get("one")!.locate();
    assert.deepEqual([...archive.subarray(place, place + 3)], [1, 2, 3]);
  });

  const refused: [name: string, bytes: Uint8Array, message: RegExp][] = [
    ["a directory that passes its end", changed(END64, 40, 2 ** 20), /a directory before byte/],
    ["far too many entries", changed(END64, 32, 2 ** 20), /in one piece/],
    [
      "far too many entries, consistently",
      (() => {
        const copy = changed(END64, 32, 100_001);
        const at = Buffer.from(copy).indexOf(END64, 0, "latin1");
        new DataView(copy.buffer, copy.byteOffset).setUint32(at + 24, 100_001, true);
        return copy;
      })(),
      /at most 100000 entries, got 100001/,
    ],
    ["another part", changed(LOCATOR, 4, 1), /in one piece, got an archive in several parts/],
    ["an end that is not there", changed(LOCATOR, 8, 5), /directory's end at 5, got other bytes/],
    ["an end beyond the file", changed(LOCATOR, 8, 2 ** 30), /within the file, got byte/],
    ["a directory of other bytes", changed(ENTRY, 0, 7), /an entry in the directory, got other bytes/],
    ["a name of a thousand and one bytes", changed(ENTRY, 28, 1001, short), /names of at most 1000 bytes, got 1001/],
    ["a name beyond the directory", changed(ENTRY, 28, 900, { wide: false, nth: 1 }), /truncated or damaged/],
    [
      "one name twice",
      new Uint8Array(Buffer.from(Buffer.from(archive).toString("latin1").replaceAll("two", "one"), "latin1")),
      /each entry once, got "one" twice/,
    ],
  ];
  for (const [name, bytes, message] of refused) {
    it(`is refused with ${name}`, () => {
      assert.throws(() => read(bytes), { name: CheckpointError.name, message });
    });
  }

  const unreadable: [name: string, bytes: Uint8Array, message: RegExp][] = [
    ["is encrypted", changed(ENTRY, 8, 1, short), /not encrypted, got an encrypted entry/],
    ["has a method that is not read", changed(ENTRY, 10, 12, short), /(uncompressed|stored).*got bzip2/],
    ["has its header in the directory", changed(ENTRY, 42, archive.length - 10), /a header before byte/],
    ["has no header where it should", changed(ENTRY, 42, 1), /a header at 1, got other bytes/],
    ["has another name's length in its header", changed(LOCAL, 26, 2, short), /a name of 3 bytes in its header, got 2/],
    ["has another name in its header", changed(LOCAL, 30, 0x01787878), /the same name in its header, got "xxx"/],
    ["reaches into the directory", changed(ENTRY, 20, 1000), /data before byte \d+, where the directory is, got 1000/],
    ["starts beyond the directory", changed(LOCAL, 28, 60_000, short), /data before byte/],
  ];
  for (const [name, bytes, message] of unreadable) {
    it(`lists an entry that ${name}, and refuses to read it`, () => {
      const entry = read(bytes).get("one")!;
      assert.throws(() => entry.packed(), { name: CheckpointError.name, message });
      assert.throws(() => entry.locate(), { name: CheckpointError.name, message });
    });
  }

  it("cannot locate an entry stored in another size", () => {
    assert.throws(
      () =>
        read(changed(ENTRY, 24, 4))
          .get("one")!
          .locate(),
      /4 bytes, stored, got 3/,
    );
  });
});
