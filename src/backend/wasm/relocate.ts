import { MAX_TENSORS, OP_BYTES, TENSORS_AT } from "../op-layout.js";

/** A copy of encoded ops with addresses in blocks (see addressIn) made addresses in memory, given where each block is. */
export function relocate(ops: Uint8Array, bases: readonly number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ops);
  const view = new DataView(bytes.buffer);
  for (let op = 0; op < bytes.length; op += OP_BYTES) {
    for (let t = 0; t < MAX_TENSORS; t++) {
      const slot = op + TENSORS_AT + 8 * t;
      const index = view.getUint32(slot + 4, true);
      if (index === 0) continue; // absent
      view.setUint32(slot, bases[index - 1]! + view.getUint32(slot, true), true);
      view.setUint32(slot + 4, 0, true);
    }
  }
  return bytes;
}
