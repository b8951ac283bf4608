/**
 * What a model file is, by its first bytes, so that an error can name a format this package cannot read. Sources: each
 * format's own definition (PKZIP and pickle protocol headers, HDF5, GGUF, llm.c's magic numbers).
 */

export interface FileKind {
  /** The readers there are, or `other` with a description of what the file is instead. */
  readonly kind: "safetensors" | "pytorch" | "llm.c" | "gguf" | "tensorflow" | "other";
  readonly description: string;
}

/** Bytes that {@link identifyFile} looks at. */
export const IDENTIFY_BYTES = 16;

const other = (description: string): FileKind => ({ kind: "other", description });

const LLMC_MAGICS: Readonly<Record<number, FileKind>> = {
  20240326: { kind: "llm.c", description: "a llm.c model" },
  20240327: other("a llm.c debugging state"),
  20240328: other("a llm.c tokenizer"),
  20240520: other("a llm.c token shard"),
};

const SIGNATURES: readonly (readonly [bytes: readonly number[], kind: FileKind])[] = [
  [[0x47, 0x47, 0x55, 0x46], { kind: "gguf", description: "a GGUF file" }],
  [[0x50, 0x4b, 0x03, 0x04], { kind: "pytorch", description: "a zip archive, as torch.save writes" }],
  [[0x80, 0x02], { kind: "pytorch", description: "a Python pickle, as old versions of torch.save write" }],
  [[0x89, 0x48, 0x44, 0x46], other("an HDF5 file, as Keras writes (tf_model.h5)")],
  [[0x1f, 0x8b], other("a gzip-compressed file")],
  [[0x28, 0xb5, 0x2f, 0xfd], other("a zstd-compressed file")],
];

const SAFETENSORS: FileKind = { kind: "safetensors", description: "a safetensors file" };

const EXTENSIONS: readonly (readonly [pattern: RegExp, kind: FileKind])[] = [
  [/\.safetensors$/, SAFETENSORS],
  [/\.index$/, { kind: "tensorflow", description: "the index of a TensorFlow checkpoint" }],
  [/\.(meta|data-\d+-of-\d+)$/, other("part of a TensorFlow checkpoint; give its folder, or its .index file")],
  [/\.msgpack$/, other("a Flax checkpoint")],
  [/\.onnx$/, other("an ONNX model")],
  [/\.json$/, other("a JSON file; give the folder it is in")],
  [/\.bin$/, { kind: "llm.c", description: "a .bin file" }],
];

/**
 * @param head the first {@link IDENTIFY_BYTES} bytes, or the whole file if it is shorter.
 * @param name decides where the bytes don't.
 */
export function identifyFile(head: Uint8Array, name: string): FileKind {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const magic = head.length >= 4 ? LLMC_MAGICS[view.getInt32(0, true)] : undefined;
  if (magic !== undefined) return magic;
  for (const [bytes, kind] of SIGNATURES) if (bytes.every((byte, i) => head[i] === byte)) return kind;
  for (const [pattern, kind] of EXTENSIONS) if (pattern.test(name)) return kind;
  // A header length of less than 2^32 and the brace of its JSON, under a name that says nothing (a cache's blob).
  if (head.length > 8 && view.getUint32(4, true) === 0 && head[8] === 0x7b) return SAFETENSORS;
  return other("a file of a kind not known here");
}
