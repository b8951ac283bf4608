import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { DataError } from "../../src/errors.js";
import { bunzip2 } from "../../src/evaluate/data/bzip2.js";
import { folderSource } from "../../src/evaluate/data/node-sources.js";
import { readFirst } from "../../src/evaluate/data/source.js";
import { jsonLines, sgmlSegments } from "../../src/evaluate/data/text-formats.js";
import { openZip } from "../../src/evaluate/data/zip.js";
import { packageFile } from "../../src/util/package-root.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";
import { DATA, memorySource } from "./support.js";

const packed = (name: string) => new Uint8Array(readFileSync(packageFile(`test/fixtures/evaluate/packed/${name}`)));
const text = new Uint8Array(readFileSync(packageFile("test/fixtures/text/looking-glass.txt")));

describe("bzip2", () => {
  it("is decompressed: a text; many blocks, runs and streams", () => {
    assert.deepEqual(bunzip2(packed("looking-glass.txt.bz2")), text);
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    const runs = [...all].flatMap((byte) => [3, 4, 5, 255, 259, 260].map((n) => new Uint8Array(n).fill(byte)));
    const parts = [new Uint8Array(300_000).fill(97), ...Array.from({ length: 200 }, () => all), ...runs];
    const want = Buffer.concat([...parts, Buffer.from("second stream")]);
    assert.ok(want.equals(bunzip2(packed("runs.bz2"))));
  });

  it("that is truncated or damaged is refused", () => {
    const bytes = packed("looking-glass.txt.bz2");
    for (let length = 0; length < bytes.length; length += 97) {
      assert.throws(() => bunzip2(bytes.subarray(0, length)), DataError, `${length} bytes`);
    }
    let refused = 0;
    const step = TESTING_ALL ? 41 : 247;
    for (let i = 0; i < bytes.length; i += step) {
      const changed = Uint8Array.from(bytes);
      changed[i]! ^= 1 << (i % 8);
      try {
        // The checksum over all blocks, at the end, repeats the blocks' own checksums, and is not read.
        assert.deepEqual(bunzip2(changed), text, `byte ${i}`);
      } catch (error) {
        assert.ok(error instanceof DataError, `byte ${i}: ${error}`);
        refused++;
      }
    }
    assert.ok(refused > bytes.length / step - 3);
  });
});

describe("zip archives", () => {
  it("give their files, stored or deflated", async () => {
    const archive = openZip(packed("two.zip"), "two.zip");
    assert.deepEqual(archive.names, ["data/stored.txt", "data/deflated.txt"]);
    assert.equal(new TextDecoder().decode(await archive.read("data/stored.txt")), "stored as it is\n");
    assert.deepEqual(await archive.read("data/deflated.txt"), text);
    await assert.rejects(archive.read("data/other.txt"), DataError);
  });

  it("that are damaged are refused", async () => {
    const bytes = packed("two.zip");
    for (const length of [0, 3, 21, 22, 100, bytes.length - 23, bytes.length - 1]) {
      assert.throws(() => openZip(bytes.subarray(0, length), "x"), DataError, `${length} bytes`);
    }
    const changed = Uint8Array.from(bytes);
    changed.fill(0xff, 200, 400);
    await assert.rejects(openZip(changed, "x").read("data/deflated.txt"), DataError);
  });
});

describe("zip entries", () => {
  it("that are damaged are refused by their checksum", async () => {
    const bytes = packed("two.zip");
    const right = await readAll(bytes);
    let refused = 0;
    const step = TESTING_ALL ? 5 : 61;
    for (let i = 0; i < bytes.length; i += step) {
      const changed = Uint8Array.from(bytes);
      changed[i]! ^= 1 << (i % 8);
      try {
        // Times, versions and comments are not part of the files' content; a changed name is another file.
        const got = await readAll(changed);
        for (const [name, content] of Object.entries(got)) if (name in right) assert.deepEqual(content, right[name]);
      } catch (error) {
        assert.ok(error instanceof DataError, `byte ${i}: ${error}`);
        refused++;
      }
    }
    assert.ok(refused > bytes.length / step / 2, `${refused} refused`);
  });

  it("stored ones too: a flipped bit of the text", async () => {
    const bytes = Uint8Array.from(packed("two.zip"));
    const at = Buffer.from(bytes).indexOf("stored as it is");
    bytes[at]! ^= 1;
    await assert.rejects(openZip(bytes, "x").read("data/stored.txt"), /x: data\/stored\.txt.*checksum/);
  });
});

async function readAll(bytes: Uint8Array): Promise<Record<string, Uint8Array>> {
  const archive = openZip(bytes, "two.zip");
  const files: Record<string, Uint8Array> = {};
  for (const name of archive.names) files[name] = await archive.read(name);
  return files;
}

describe("data sources", () => {
  it("look in the data set's folder, then beside it, and decompress by name", async () => {
    const info = { name: "set", origin: "https://example.org/set" };
    const folder = folderSource(packageFile("test/fixtures/evaluate/packed"));
    const { bytes, path, sha256 } = await readFirst(folder, info, ["missing.txt", "looking-glass.txt.bz2"]);
    assert.deepEqual(bytes, text);
    assert.equal(path, "looking-glass.txt.bz2");
    assert.match(sha256, /^[0-9a-f]{64}$/);
    const both = memorySource({ "set/a.txt": "inside", "a.txt": "beside" });
    assert.equal(new TextDecoder().decode((await readFirst(both, info, ["a.txt"])).bytes), "inside");
    assert.deepEqual(await folderSource(DATA).list("blimp/data"), [
      "anaphor_number_agreement.jsonl",
      "npi_present_1.jsonl",
      "regular_plural_subject_verb_agreement_1.jsonl",
      "wh_vs_that_no_gap.jsonl",
    ]);
    assert.deepEqual(await folderSource(DATA).list("nothing"), []);
  });

  it("look into archives", async () => {
    const info = { name: "set", origin: "https://example.org/set" };
    const archive = memorySource({ "set/two.zip": packed("two.zip") });
    const file = await readFirst(archive, info, ["missing.zip!data/stored.txt", "two.zip!data/stored.txt"]);
    assert.equal(new TextDecoder().decode(file.bytes), "stored as it is\n");
    assert.equal(file.path, "set/two.zip!data/stored.txt");
  });

  it("name missing files and where to get them", async () => {
    const info = { name: "set", origin: "https://example.org/set" };
    await assert.rejects(readFirst(folderSource("/nowhere"), info, ["a.txt", "b.txt"]), (error: Error) => {
      assert.ok(error instanceof DataError);
      assert.match(error.message, /set\/a\.txt or set\/b\.txt in \/nowhere.*https:\/\/example\.org\/set/);
      return true;
    });
  });
});

describe("text formats", () => {
  const file = (content: string) => ({ path: "x", bytes: new TextEncoder().encode(content) });

  it("JSON lines: objects, and the line number of anything else", () => {
    assert.deepEqual(jsonLines(file('{"a":1}\n\n{"b":2}\n')), [{ a: 1 }, { b: 2 }]);
    assert.throws(() => jsonLines(file('{"a":1}\n[2]\n')), /x, line 2.*a list/);
    assert.throws(() => jsonLines(file('{"a":\n')), /x, line 1/);
    assert.throws(() => jsonLines({ path: "x", bytes: Uint8Array.of(0xff, 0xfe) }), /UTF-8/);
  });

  it("SGML: segments with their documents, entities decoded", () => {
    const sgml =
      '<refset>\n<doc sysid="r" docid="d1">\n<seg id="1"> A &amp; B </seg>\n</doc><doc docid="d2"><seg id="1">C</seg></doc>';
    assert.deepEqual(sgmlSegments(file(sgml)), [
      { id: "d1/1", text: "A & B" },
      { id: "d2/1", text: "C" },
    ]);
    assert.throws(() => sgmlSegments(file("no segments")), DataError);
  });
});
