/** gpt2-ts/backend in a bundle for browsers: what needs no Node. */
export type {
  Backend,
  Bindings,
  Capabilities,
  DeviceArray,
  Executable,
  HostArray,
  PrepareOptions,
} from "../backend/backend.js";
export { type BackendChoice, type BackendOptions, type ChosenBackend, chooseBackend } from "../backend/choose.js";
export type { Precision } from "../backend/reference/array.js";
export { type ReferenceOptions, referenceBackend } from "../backend/reference/index.js";
export { type WasmBackend, type WasmOptions, type WasmPlace, wasmBackend } from "../backend/wasm/index.js";
export type { ConversionFailure, WeightConversion } from "../backend/weight-conversion.js";
