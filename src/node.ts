/** gpt2-ts in Node: all of index.ts, and what works with files, native code and threads. */
export { type BackendChoice, type BackendOptions, type ChosenBackend, chooseBackend } from "./backend/choose.js";
export { type NativeOptions, nativeBackend } from "./backend/native/index.js";
export { type PrepareExamplesOptions, prepareExamples } from "./data/examples/prepare-examples.js";
export { openDataset } from "./data/open-dataset.js";
export { type PrepareOptions, prepareData } from "./data/prepare.js";
export { fetchedSource, folderSource } from "./evaluate/data/node-sources.js";
export {
  type BuildFilterOptions,
  type BuildFilterProgress,
  buildNgramFilter,
} from "./evaluate/overlap/build-filter.js";
export { type FileOverlapOptions, fileOverlap } from "./evaluate/overlap/file-overlap.js";
export { loadNgramFilter, saveNgramFilter } from "./evaluate/overlap/filter-file.js";
export { type DownloadEvent, type FetchedModel, type LocateOptions, locateModel } from "./hub/node.js";
export * from "./index.js";
export {
  CONVERT_FORMATS,
  type ConvertedModel,
  type ConvertFormat,
  type ConvertOptions,
  convertModel,
} from "./pretrained/convert.js";
export {
  type AdapterCheckpoint,
  type AdapterToSave,
  type ModelForGguf,
  type ModelToSave,
  mergeAdapter,
  openAdapter,
  openCheckpoint,
  type SaveGgufOptions,
  type SaveOptions,
  saveAdapter,
  saveCheckpoint,
  saveGguf,
} from "./pretrained/node.js";
export { loadTokenizer, saveLlmcTokenizer, saveTokenizer } from "./tokenizer/files.js";
export type { TrainEvent } from "./train/events.js";
export { type FinetuneOptions, finetune } from "./train/finetune.js";
export { LORA_DEFAULTS, type LoraSettings } from "./train/lora-settings.js";
export { TRAIN_DEFAULTS, type TrainSettings } from "./train/settings.js";
export { Trainer, type TrainerOptions } from "./train/trainer.js";
