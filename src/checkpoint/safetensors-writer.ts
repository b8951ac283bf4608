import { CheckpointError } from "../errors.js";
import { quote } from "../util/quote.js";
import { byteLengthOf, METADATA_KEY, SAFETENSORS_BITS, type SafetensorsDtype } from "./safetensors.js";
import { MAX_JSON_BYTES } from "./strict-json.js";

export interface SafetensorsSpec {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}

/** The layout of a file, known before any data is, so that tensors can be written in any order. */
export interface SafetensorsLayout {
  /** The length prefix and the JSON, with which the file starts. */
  readonly header: Uint8Array;
  /** Size of the whole file, in bytes. */
  readonly size: number;
  /** Each tensor's range in the file. */
  readonly ranges: ReadonlyMap<string, { readonly offset: number; readonly byteLength: number }>;
}

/** Data starts at a multiple of this, so that a mapped file's tensors can be used in place by vector code. */
const DATA_ALIGNMENT = 64;

/**
 * Lays out a file: widest element type first, so that every tensor is aligned to its elements, and by name within one width.
 * The same tensors give the same bytes in whatever order they come.
 *
 * @throws {CheckpointError} a repeated or reserved name, or a header over the format's limit.
 */
export function layoutSafetensors(
  specs: readonly SafetensorsSpec[],
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsLayout {
  const sorted = [...specs].sort(byWidthThenName);
  const json: Record<string, unknown> = Object.keys(metadata).length === 0 ? {} : { [METADATA_KEY]: metadata };
  const begins = new Map<string, { begin: number; byteLength: number }>();
  let end = 0;
  for (const { name, dtype, shape } of sorted) {
    const op = `writing safetensors: tensor ${quote(name)}`;
    if (begins.has(name) || name === METADATA_KEY) {
      throw new CheckpointError({ op, expected: `unique names other than ${METADATA_KEY}`, got: quote(name) });
    }
    const byteLength = byteLengthOf(dtype, shape, op);
    begins.set(name, { begin: end, byteLength });
    // Not an assignment: a tensor named __proto__ would vanish.
    Object.defineProperty(json, name, {
      value: { dtype, shape, data_offsets: [end, end + byteLength] },
      enumerable: true,
    });
    end += byteLength;
  }
  const header = encodeHeader(json);
  const ranges = new Map(
    [...begins].map(([name, { begin, byteLength }]) => [name, { offset: header.length + begin, byteLength }]),
  );
  return { header, size: header.length + end, ranges };
}

function byWidthThenName(a: SafetensorsSpec, b: SafetensorsSpec): number {
  return SAFETENSORS_BITS[b.dtype] - SAFETENSORS_BITS[a.dtype] || (a.name < b.name ? -1 : 1);
}

function encodeHeader(json: Record<string, unknown>): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(json));
  const length = Math.ceil((8 + text.length) / DATA_ALIGNMENT) * DATA_ALIGNMENT;
  if (length - 8 > MAX_JSON_BYTES) {
    const expected = `a header of at most ${MAX_JSON_BYTES} bytes`;
    throw new CheckpointError({ op: "writing safetensors", expected, got: `${length - 8}` });
  }
  const header = new Uint8Array(length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length - 8), true);
  header.set(text, 8);
  return header;
}

export interface SafetensorsInput extends SafetensorsSpec {
  readonly data: ArrayBufferView;
}

/** The bytes of a tensor, which must fill `byteLength` bytes of a file. */
export function tensorBytes({ name, dtype, shape, data }: SafetensorsInput, byteLength: number): Uint8Array {
  if (data.byteLength !== byteLength) {
    throw new CheckpointError({
      op: `writing safetensors: tensor ${quote(name)}`,
      expected: `${byteLength} bytes for ${dtype} ${quote(shape)}`,
      got: `${data.byteLength}`,
    });
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Encodes a whole file in memory: for small ones (adapters, tests) and browsers. */
export function encodeSafetensors(
  tensors: readonly SafetensorsInput[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const { header, size, ranges } = layoutSafetensors(tensors, metadata);
  const file = new Uint8Array(size);
  file.set(header);
  for (const tensor of tensors) {
    const { offset, byteLength } = ranges.get(tensor.name)!;
    file.set(tensorBytes(tensor, byteLength), offset);
  }
  return file;
}
