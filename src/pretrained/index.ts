/** Model files in memory or behind any {@link ByteSource}, for browsers too. `node.ts` has files on disk. */

export { type ByteSource, memorySource } from "../checkpoint/byte-source.js";
export { GgufMetadata, type GgufValue } from "../checkpoint/gguf/metadata.js";
export { type GgufFile, type GgufTensor, readGguf } from "../checkpoint/gguf/read.js";
export { type LlmcModel, readLlmcModel } from "../checkpoint/llmc.js";
export {
  readSafetensors,
  type SafetensorsDtype,
  type SafetensorsFile,
  type SafetensorsTensor,
} from "../checkpoint/safetensors.js";
export { encodeSafetensors, type SafetensorsInput } from "../checkpoint/safetensors-writer.js";
export type { StoredLayout, StoredTensor } from "../checkpoint/stored-tensor.js";
export { decodeFloats, encodeFloats, FLOAT_BYTES, type FloatDtype, firstNonFinite } from "../dtype/floats.js";
export { type Checkpoint, type CheckpointDescription, describeCheckpoint, type TokenizerFiles } from "./checkpoint.js";
export { FORMATS, type Format, type FormatName, formatNamed } from "./formats.js";
export { openFile, openFolder } from "./identify.js";
export { type ModelFiles, memoryFiles } from "./model-files.js";
