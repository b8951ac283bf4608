/** Model files in memory or behind any {@link ByteSource}: what runs in a browser. Files on disk: `node.ts`. */

export { decodeFloats, encodeFloats, FLOAT_BYTES, type FloatDtype, firstNonFinite } from "../dtype/floats.js";
export { type ByteSource, memorySource } from "./byte-source.js";
export {
  type Checkpoint,
  type CheckpointDescription,
  type CheckpointFormat,
  describeCheckpoint,
  FORMAT_NAMES,
  type TokenizerFiles,
} from "./checkpoint.js";
export { loadGguf } from "./gguf/load.js";
export { GgufMetadata, type GgufValue } from "./gguf/metadata.js";
export { type GgufFile, type GgufTensor, readGguf } from "./gguf/read.js";
export { type LlmcModel, readLlmcModel } from "./llmc.js";
export { type HuggingFaceSources, loadHuggingFace, loadLlmc } from "./load.js";
export { loadTorch, type TorchSources } from "./load-torch.js";
export {
  readSafetensors,
  type SafetensorsDtype,
  type SafetensorsFile,
  type SafetensorsTensor,
} from "./safetensors.js";
export { encodeSafetensors, type SafetensorsInput } from "./safetensors-writer.js";
export type { StoredLayout, StoredTensor } from "./stored-tensor.js";
export { loadTensorFlow, type TensorFlowSources } from "./tensorflow/load.js";
