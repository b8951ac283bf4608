/** Model files on disk. */
export { type FileMapper, openFileSource, setFileMapper } from "../checkpoint/file-source.js";
export { writeSafetensorsFile } from "../checkpoint/safetensors-file.js";
export { ggufTypes, type ModelForGguf, type SaveGgufOptions, saveGguf } from "./formats/gguf/save.js";
export { mergeAdapter } from "./merge-adapter.js";
export { openCheckpoint } from "./open.js";
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
export {
  type ModelToSave,
  type NamedTensor,
  type SaveDtype,
  type SaveFormat,
  type SaveOptions,
  saveCheckpoint,
} from "./save.js";
