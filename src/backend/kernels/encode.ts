import { byteLength, DTYPE_NAMES } from "../../dtype/dtype.js";
import { OP_KINDS } from "../../program/ops.js";
import type { BufferDecl, Dim, Program } from "../../program/program.js";
import {
  DIMS_AT,
  DTYPES_AT,
  KIND_AT,
  MAX_SCALARS,
  MAX_TENSORS,
  numberCode,
  OP_BYTES,
  REFS_AT,
  SCALARS_AT,
  TENSORS_AT,
} from "./op-layout.js";

/** Encodes a Program as the array of `Op` that gpt2_run takes; `addressOf` gives each buffer's address in memory. */
export function encodeProgram(program: Program, addressOf: (buffer: BufferDecl) => bigint): Uint8Array {
  const bytes = new Uint8Array(program.ops.length * OP_BYTES);
  const view = new DataView(bytes.buffer);
  const dimCode = (d: Dim): number => (typeof d === "number" ? d : -1 - program.syms.indexOf(d));
  program.ops.forEach((op, i) => {
    const base = i * OP_BYTES;
    view.setUint16(base + KIND_AT, OP_KINDS.indexOf(op.kind), true);
    op.tensors.forEach((t, j) => {
      if (!t) return;
      const { dtype } = t.buffer;
      view.setUint8(base + DTYPES_AT + j, DTYPE_NAMES.indexOf(dtype));
      const address = addressOf(t.buffer) + BigInt(byteLength(dtype, t.offset));
      view.setBigUint64(base + TENSORS_AT + 8 * j, address, true);
    });
    op.dims.forEach((d, j) => {
      view.setBigInt64(base + DIMS_AT + 8 * j, BigInt(dimCode(d)), true);
    });
    for (let j = 0; j < MAX_SCALARS; j++) view.setInt32(base + REFS_AT + 4 * j, -1, true);
    op.scalars.forEach((scalar, j) => {
      if (typeof scalar === "object") {
        view.setInt32(base + REFS_AT + 4 * j, program.scalars.indexOf(scalar.scalar), true);
      } else {
        view.setFloat64(base + SCALARS_AT + 8 * j, numberCode(scalar), true);
      }
    });
  });
  return bytes;
}

/**
 * A placeholder for the address of a byte in block number `index`, where the encoder does not know the addresses of blocks: the
 * number in the upper half of a pointer's 8 bytes, the offset in the lower.
 */
export function blockAddress(index: number, byteOffset: number): bigint {
  return (BigInt(index + 1) << 32n) | BigInt(byteOffset);
}

/** A copy of encoded ops with each {@link blockAddress} replaced by a 32-bit address, given the blocks' addresses. */
export function addBlockAddresses(ops: Uint8Array, blocks: readonly number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ops);
  const view = new DataView(bytes.buffer);
  for (let op = 0; op < bytes.length; op += OP_BYTES) {
    for (let t = 0; t < MAX_TENSORS; t++) {
      const slot = op + TENSORS_AT + 8 * t;
      const index = view.getUint32(slot + 4, true);
      if (index === 0) continue; // absent
      view.setUint32(slot, blocks[index - 1]! + view.getUint32(slot, true), true);
      view.setUint32(slot + 4, 0, true);
    }
  }
  return bytes;
}
