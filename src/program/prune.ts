import { isRead, isWritten } from "./op-spec.js";
import { specOf } from "./ops.js";
import type { BufferDecl, Op, Program } from "./program.js";

/**
 * Removes unread results from a Program: operations that only write temporary buffers which no kept operation reads, and
 * optional results of kept operations. So a model is written in full, and its frozen or recomputed parts cost nothing.
 * Naively unread operations are removed until there are none; one pass from the last operation to the first finds all,
 * because an operation's results are read by later ones only. Buffers count as a whole: if a part is read, every write to any
 * part is kept.
 */
export function prune(program: Program): Program {
  const needed = new Set<BufferDecl>();
  const isNeeded = (buffer: BufferDecl): boolean => buffer.external || needed.has(buffer);
  const ops: Op[] = [];
  for (const op of [...program.ops].reverse()) {
    const specs = Object.values(specOf(op.kind).tensors);
    if (!op.tensors.some((t, i) => t && isWritten(specs[i]!) && isNeeded(t.buffer))) continue;
    const tensors = op.tensors.map((t, i) => {
      const { access, optional } = specs[i]!;
      return t && access === "write" && optional && !isNeeded(t.buffer) ? null : t;
    });
    tensors.forEach((t, i) => {
      if (t && isRead(specs[i]!)) needed.add(t.buffer);
    });
    ops.push({ ...op, tensors });
  }
  ops.reverse();
  const used = new Set(ops.flatMap((op) => op.tensors.flatMap((t) => (t ? [t.buffer] : []))));
  return { ...program, ops, buffers: program.buffers.filter((buffer) => buffer.external || used.has(buffer)) };
}
