/** gpt2-ts/backend: what runs Programs. */

export { type NativeBackend, type NativeOptions, nativeBackend, nativeIsas } from "../backend/native/index.js";
export * from "./backend.browser.js";
