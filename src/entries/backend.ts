/** gpt2-ts/backend: what runs Programs. */
import type { Backend } from "../backend/backend.js";
import type { NativeOptions } from "../backend/native/index.js";
import { type WasmOptions, wasmBackend as wasm } from "../backend/wasm/index.js";
import { needNode } from "../util/runtime.js";

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
export type { WasmOptions, WasmPlace } from "../backend/wasm/index.js";
export type { ConversionFailure, WeightConversion } from "../backend/weight-conversion.js";
export type { NativeOptions };

/**
 * The C kernels, compiled when the package was installed, on a team of threads.
 *
 * @throws {BackendError} the kernels were not built, or the instruction set is not there.
 * @throws {UsageError} this is a browser, or the number of threads is impossible.
 */
export async function nativeBackend(options: NativeOptions = {}): Promise<Backend> {
  needNode("the native backend", "In a page use wasmBackend");
  return (await import("#node/backend/native/index.js")).nativeBackend(options);
}

/**
 * The same kernels compiled to WebAssembly, in browsers and in Node.
 *
 * @throws {BackendError} no WebAssembly SIMD, or what the options ask for can't be had.
 * @throws {UsageError} an impossible number of threads.
 */
export async function wasmBackend(options: WasmOptions = {}): Promise<Backend> {
  return wasm(options);
}
