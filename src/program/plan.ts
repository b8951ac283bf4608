import type { BufferDecl, Program } from "./program.js";

/** The position of each planned buffer in the Program's one arena, in bytes, and the size of the arena. */
export interface MemoryPlan {
  readonly offsets: ReadonlyMap<BufferDecl, number>;
  readonly bytes: number;
}

const ALIGN = 256;

/**
 * Places the Program's temporary buffers in one arena so that buffers in use at the same time do not overlap. Naively each
 * buffer has memory of its own; here they are placed largest first, each at the lowest address that is free over its whole life.
 * Buffers named in `keep` stay readable after the run.
 */
export function planMemory(program: Program, elementBytes = 4, keep: ReadonlySet<string> = new Set()): MemoryPlan {
  const lives = new Map<BufferDecl, { from: number; to: number }>();
  program.ops.forEach((op, i) => {
    for (const t of op.tensors) {
      if (!t || t.buffer.external) continue;
      const life = lives.get(t.buffer);
      if (life) life.to = i;
      else lives.set(t.buffer, { from: i, to: i });
    }
  });
  for (const [buffer, life] of lives) if (keep.has(buffer.name)) life.to = program.ops.length;

  const offsets = new Map<BufferDecl, number>();
  const placed: { from: number; to: number; start: number; end: number }[] = [];
  let bytes = 0;
  const order = [...lives].sort(([a], [b]) => b.size - a.size || a.id - b.id);
  for (const [buffer, { from, to }] of order) {
    const size = Math.ceil((buffer.size * elementBytes) / ALIGN) * ALIGN;
    let start = 0;
    // `placed` is kept sorted by start, so one sweep finds the first gap.
    for (const other of placed) {
      if (other.to < from || other.from > to) continue;
      if (other.start >= start + size) break;
      start = Math.max(start, other.end);
    }
    const entry = { from, to, start, end: start + size };
    const index = placed.findIndex((p) => p.start > start);
    placed.splice(index < 0 ? placed.length : index, 0, entry);
    offsets.set(buffer, start);
    bytes = Math.max(bytes, entry.end);
  }
  return { offsets, bytes };
}
