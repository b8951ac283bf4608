import { byteLength, DTYPE_NAMES } from "../../dtype/dtype.js";
import { OP_KINDS } from "../../program/ops.js";
import type { BufferDecl, Dim, Program } from "../../program/program.js";

/** sizeof(Op) and its fields in native/op.h. */
export const OP_BYTES = 264;
export const TENSORS_AT = 8;
export const MAX_TENSORS = 12;
const DIMS_AT = 104;
const SCALARS_AT = 168;
const REFS_AT = 232;
const SLOTS = 8;
/** The dtypes of an op's tensors stand above its kind: DTYPE_OF in native/op.h. */
const KIND_BITS = 16;
const DTYPE_BITS = 4;

/** A Program as the array of `Op` that gpt2_run takes; `addressOf` gives each buffer's place in memory. */
export function encodeProgram(program: Program, addressOf: (buffer: BufferDecl) => bigint): Uint8Array {
  const bytes = new Uint8Array(program.ops.length * OP_BYTES);
  const view = new DataView(bytes.buffer);
  const dimCode = (d: Dim): number => (typeof d === "number" ? d : -1 - program.syms.indexOf(d));
  program.ops.forEach((op, i) => {
    const base = i * OP_BYTES;
    let kind = BigInt(OP_KINDS.indexOf(op.kind));
    op.tensors.forEach((t, j) => {
      if (t) kind |= BigInt(DTYPE_NAMES.indexOf(t.buffer.dtype)) << BigInt(KIND_BITS + DTYPE_BITS * j);
      const address = t ? addressOf(t.buffer) + BigInt(byteLength(t.buffer.dtype, t.offset)) : 0n;
      view.setBigUint64(base + TENSORS_AT + 8 * j, address, true);
    });
    view.setBigUint64(base, kind, true);
    op.dims.forEach((d, j) => {
      view.setBigInt64(base + DIMS_AT + 8 * j, BigInt(dimCode(d)), true);
    });
    for (let j = 0; j < SLOTS; j++) {
      const scalar = op.scalars[j];
      const ref = typeof scalar === "object" ? program.scalars.indexOf(scalar.scalar) : -1;
      view.setFloat64(base + SCALARS_AT + 8 * j, typeof scalar === "number" ? scalar : 0, true);
      view.setInt32(base + REFS_AT + 4 * j, ref, true);
    }
  });
  return bytes;
}
