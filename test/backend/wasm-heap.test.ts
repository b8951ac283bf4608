import assert from "node:assert/strict";
import { it } from "node:test";
import { createMemory, Heap, PAGE } from "../../src/backend/wasm/heap.js";
import { OutOfMemoryError } from "../../src/errors.js";
import { RandomStream } from "../../src/util/random.js";

it("memory is zero, aligned, and never handed out twice", () => {
  const { memory, pages } = createMemory(1, false);
  const heap = new Heap(memory, pages);
  const random = new RandomStream(5);
  const blocks: { at: number; bytes: number; mark: number }[] = [];
  for (let i = 1; i <= 600; i++) {
    if (blocks.length > 0 && random.below(2) === 0) {
      const [block] = blocks.splice(random.below(blocks.length), 1);
      const { at, bytes, mark } = block!;
      assert.ok(Buffer.from(memory.buffer, at, bytes).equals(Buffer.alloc(bytes, mark)));
      heap.free(at, bytes);
    } else {
      const bytes = random.below(20) === 0 ? random.below(3 << 20) : random.below(5000);
      const at = heap.alloc(bytes);
      assert.equal(at % 64, 0);
      assert.ok(at >= PAGE && at + bytes <= memory.buffer.byteLength);
      const contents = Buffer.from(memory.buffer, at, bytes);
      assert.ok(contents.equals(Buffer.alloc(bytes)));
      blocks.push({ at, bytes, mark: (i % 255) + 1 });
      contents.fill((i % 255) + 1);
    }
  }
  for (const { at, bytes } of blocks) heap.free(at, bytes);
  assert.equal(heap.used, 0);
});

it("freed blocks are merged and reused before the memory grows", () => {
  const heap = new Heap(createMemory(1, false).memory);
  const blocks = Array.from({ length: 16 }, () => heap.alloc(1 << 20));
  const size = heap.memory.buffer.byteLength;
  for (const at of [...blocks.filter((_, i) => i % 2), ...blocks.filter((_, i) => i % 2 === 0)]) heap.free(at, 1 << 20);
  heap.alloc(16 << 20);
  assert.equal(heap.memory.buffer.byteLength, size);
});

it("pages added by others are left alone", () => {
  const heap = new Heap(createMemory(1, false).memory);
  heap.alloc(1000);
  const theirs = heap.memory.grow(3) * PAGE;
  for (let i = 0; i < 40; i++) {
    const at = heap.alloc(300_000);
    assert.ok(at + 300_000 <= theirs || at >= theirs + 3 * PAGE, `${at}`);
  }
});

it("the limit is an error that names it, and smaller requests still succeed", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 40 });
  const heap = new Heap(memory, 40);
  heap.alloc(20 * PAGE);
  assert.throws(
    () => heap.alloc(25 * PAGE),
    (error: Error) =>
      error instanceof OutOfMemoryError && error.message.includes(`${20 * PAGE} in use of at most ${40 * PAGE}`),
  );
  heap.alloc(19 * PAGE);
  assert.throws(() => heap.alloc(1), OutOfMemoryError);
});
