/** Model files on disk. */
export type { NamedTensor, TensorSource } from "../checkpoint/encode-tensor.js";
export { type FileMapper, openFileSource } from "../checkpoint/file-source.js";
export { writeSafetensorsFile } from "../checkpoint/safetensors-file.js";
export { mergeAdapter } from "./merge-adapter.js";
export type { ModelToSave, SaveFormat, SaveOptions } from "./model-to-save.js";
export { type FileAccess, openCheckpoint } from "./open.js";
export type { AdapterCheckpoint } from "./peft/load.js";
export {
  type AdapterDescription,
  describeAdapter,
  isAdapter,
  openAdapter,
  readAdapterSettings,
  replacesVectors,
} from "./peft/open.js";
export { type AdapterToSave, fillAdapterFolder, saveAdapter } from "./peft/save.js";
export { saveCheckpoint } from "./save.js";
