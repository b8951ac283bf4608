import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { ZstdDecoder } from "../../src/data/zstd.js";
import { RandomStream } from "../../src/util/random.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";
import { ZSTD_THREE_DOCUMENTS, ZSTD_TWO_FRAMES } from "./support.js";

async function decode(data: Uint8Array, size = data.length): Promise<Buffer> {
  const decoder = await ZstdDecoder.create();
  const parts: Uint8Array[] = [];
  for (let at = 0; at < data.length; at += size) parts.push(...decoder.push(data.subarray(at, at + size)));
  decoder.end();
  return Buffer.concat(parts);
}

/** A frame that readers skip (RFC 8878, 3.1.2). */
function skippable(content: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(0x184d2a53, 0);
  header.writeUInt32LE(content.length, 4);
  return Buffer.concat([header, content]);
}

describe("zstd", () => {
  it("gives the same in pieces of any size, with several frames and skippable frames", async () => {
    const two = await decode(ZSTD_TWO_FRAMES);
    assert.match(two.toString(), /^the rain in Spain.*and then $/s);
    const skip = [skippable(new Uint8Array(0)), skippable(ZSTD_TWO_FRAMES)];
    const all = Buffer.concat([skip[0]!, ZSTD_TWO_FRAMES, skip[1]!, ZSTD_THREE_DOCUMENTS, skip[0]!]);
    const whole = Buffer.concat([two, await decode(ZSTD_THREE_DOCUMENTS)]);
    for (const size of [1, 2, 3, 5, 7, 17, 18, 64, all.length]) assert.ok((await decode(all, size)).equals(whole));
    assert.equal((await decode(new Uint8Array(0))).length, 0);
  });

  it("detects content that does not match its checksum, whichever bit was changed", async () => {
    const right = await decode(ZSTD_THREE_DOCUMENTS);
    let [tried, refused] = [0, 0];
    for (let bit = 0; bit < 8 * ZSTD_THREE_DOCUMENTS.length; bit += TESTING_ALL ? 1 : 5) {
      tried++;
      const damaged = Buffer.from(ZSTD_THREE_DOCUMENTS);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      try {
        // A change may also have no effect: the window, the number of trailing zero bits.
        const hasChecksum = (damaged[4]! & 4) !== 0;
        const found = await decode(damaged);
        assert.ok(found.equals(right) || !hasChecksum, `bit ${bit}`);
      } catch (error) {
        assert.ok(error instanceof Error && error.name !== "AssertionError", `${error}`);
        refused++;
      }
    }
    assert.ok(refused > 0.93 * tried, `${refused} of ${tried}`);
  });

  it("detects where a frame is truncated", async () => {
    for (let end = 1; end < ZSTD_THREE_DOCUMENTS.length; end++) {
      await assert.rejects(decode(ZSTD_THREE_DOCUMENTS.subarray(0, end)), /unexpected end of data/);
    }
  });

  it("agrees with the reference program on content of any length and kind", async (t) => {
    if (spawnSync("zstd", ["--version"]).status !== 0) return t.skip("no zstd here");
    const random = new RandomStream(5);
    let turn = 0;
    for (const length of [0, 1, 2, 5, 17, 18, 300, 1 << 17, (1 << 17) + 1, ...(TESTING_ALL ? [700_000] : [])]) {
      for (const kind of ["random", "repeated", "text"]) {
        const content = Buffer.alloc(length);
        for (let i = 0; i < length; i++) {
          content[i] = kind === "random" ? random.below(256) : kind === "text" ? 97 + random.below(4) : 120;
        }
        const ways = [["-1"], ["-3", "--no-check"], ["-3", "--no-content-size"], ["-19"]];
        // Long content takes the most time, above all with the strongest compression; test:all covers every level.
        for (const flags of TESTING_ALL ? ways : [ways[turn++ % (length < 1000 ? 4 : 3)]!]) {
          const { stdout } = spawnSync("zstd", [...flags, "-q", "-c"], { input: content, maxBuffer: 1 << 24 });
          assert.ok((await decode(stdout, 65536)).equals(content), `${length} ${kind} ${flags}`);
        }
      }
    }
  });
});
