import type { StoredDtype } from "../dtype/stored.js";
import type { ByteSource } from "./byte-source.js";
import type { SafetensorsDtype } from "./safetensors.js";

/** A tensor as its file describes it, before anything about the model is known; a {@link SafetensorsTensor} is one. */
export interface RawTensor {
  /** The name in the file. */
  readonly name: string;
  /** A dtype by safetensors' name, or as in {@link StoredTensor}. */
  readonly dtype: SafetensorsDtype | StoredDtype;
  readonly shape: readonly number[];
  /** Whether a matrix is stored by columns, so that the file holds its transpose. */
  readonly transposed?: boolean;
  readonly source: ByteSource;
  /** Position in the file of the first byte; the values are contiguous. */
  readonly offset: number;
  readonly byteLength: number;
  /** Verifies the data's checksum, if the format has one. @throws {CheckpointError} it is damaged. */
  readonly check?: () => void;
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

/** Whether two tensors in files are equal, bit for bit. */
export function isCopy(a: RawTensor, b: RawTensor): boolean {
  const alike = a.dtype === b.dtype && sameShape(a.shape, b.shape);
  return alike && (a.transposed === true) === (b.transposed === true) && sameBytes(a, b);
}

function sameBytes(a: RawTensor, b: RawTensor): boolean {
  if (a.source === b.source && a.offset === b.offset) return true;
  const chunk = 2 ** 20;
  for (let start = 0; start < a.byteLength; start += chunk) {
    const length = Math.min(chunk, a.byteLength - start);
    const x = a.source.bytes(a.offset + start, length);
    const y = b.source.bytes(b.offset + start, length);
    for (let i = 0; i < length; i++) if (x[i] !== y[i]) return false;
  }
  return true;
}
