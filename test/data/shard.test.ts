import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { checkShardVocab, encodeShard, parseShard, SHARD_HEADER_BYTES, shardHeader } from "../../src/data/shard.js";
import { ShardFile, ShardSeriesWriter, ShardWriter } from "../../src/data/shard-file.js";
import { DataError } from "../../src/errors.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-shard-"));
after(() => rmSync(dir, { recursive: true }));

const ramp = (n: number) => Uint16Array.from({ length: n }, (_, i) => (i * 31) % 50257);

test("a shard's bytes are llm.c's: magic, version, count, zeros to 1024 bytes, uint16 tokens", () => {
  const bytes = Buffer.from(encodeShard([50256, 1, 258]));
  assert.equal(bytes.length, 1024 + 6);
  assert.deepEqual(
    [0, 4, 8].map((i) => bytes.readInt32LE(i)),
    [20240520, 1, 3],
  );
  assert.ok(bytes.subarray(12, 1024).every((b) => b === 0));
  assert.deepEqual([...bytes.subarray(1024)], [0x50, 0xc4, 1, 0, 2, 1]);
});

test("tokens are read back, also from an odd address and from a file", async () => {
  const tokens = ramp(3_000_001);
  const path = join(dir, "round.bin");
  const writer = await ShardWriter.create(path);
  for (let i = 0; i < tokens.length; i += 700_001) await writer.write(tokens.subarray(i, i + 700_001));
  assert.throws(() => new ShardFile(path), DataError, "no shard before it is whole");
  await writer.finish();
  const bytes = readFileSync(path);
  assert.ok(Buffer.from(encodeShard(tokens)).equals(bytes));
  const odd = new Uint8Array(bytes.length + 1).subarray(1);
  odd.set(bytes);
  assert.deepEqual(parseShard(odd), tokens);

  const file = new ShardFile(path);
  assert.equal(file.length, tokens.length);
  const part = new Uint16Array(1000);
  file.read(tokens.length - 1000, part);
  assert.deepEqual(part, tokens.slice(-1000));
  truncateSync(path, 1024 + 100);
  assert.throws(() => file.read(tokens.length - 1000, part), DataError);
  file.close();
});

test("a series is cut into shards of the requested size", async () => {
  const series = new ShardSeriesWriter(dir, "train", 1000);
  const tokens = ramp(2500);
  await series.write(tokens.subarray(0, 10));
  await series.write(tokens.subarray(10));
  await series.finish();
  assert.deepEqual(
    series.shards.map((s) => s.tokens),
    [1000, 1000, 500],
  );
  const parts = series.shards.flatMap((s) => [...parseShard(readFileSync(s.path))]);
  assert.deepEqual(parts, [...tokens]);
});

test("an unfinished shard is not one", async () => {
  for (const count of [10, 2 ** 20 + 5]) {
    const path = join(dir, `unfinished-${count}.bin`);
    const writer = await ShardWriter.create(path);
    await writer.write(ramp(count));
    await writer.close();
    assert.throws(() => new ShardFile(path), DataError);
  }
});

test("malformed shards are refused, naming the file and what was expected", () => {
  const good = Buffer.from(encodeShard(ramp(5)));
  const changed = (at: number, value: number) => {
    const bytes = Buffer.from(good);
    bytes.writeInt32LE(value, at);
    return bytes;
  };
  const cases: [string, Uint8Array, RegExp][] = [
    ["empty", new Uint8Array(0), /a header of 1024 bytes/],
    ["short", good.subarray(0, SHARD_HEADER_BYTES - 1), /a header of 1024 bytes/],
    ["a model", changed(0, 20240326), /expected magic 20240520, got 20240326/],
    ["version", changed(4, 7), /expected version 1/],
    ["cut", good.subarray(0, good.length - 1), /1034 bytes .* 5 tokens .* got 1033 bytes/],
    ["longer", Buffer.concat([good, Buffer.alloc(2)]), /got 1036 bytes/],
    ["negative", changed(8, -5), /-5 tokens/],
    ["unfinished", Buffer.concat([shardHeader(0), Buffer.alloc(10)]), /0 tokens/],
  ];
  for (const [name, bytes, message] of cases) {
    assert.throws(
      () => parseShard(bytes, name),
      (e) => e instanceof DataError && message.test(e.message) && e.message.includes(name),
    );
    const path = join(dir, "bad.bin");
    writeFileSync(path, bytes);
    assert.throws(
      () => new ShardFile(path),
      (e) => e instanceof DataError && message.test(e.message) && e.message.includes(path),
    );
  }
  assert.throws(() => new ShardFile(join(dir, "none.bin")), DataError);
});

test("ids that do not fit into 16 bits are refused", () => {
  assert.throws(() => encodeShard([1, 65536]), /65536 at position 1/);
  assert.throws(() => encodeShard([-1]), DataError);
  assert.throws(() => checkShardVocab(65537), DataError);
  checkShardVocab(65536);
});
