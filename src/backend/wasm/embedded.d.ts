/**
 * The files that the WebAssembly backend needs in a browser, as a module that every bundler understands.
 * scripts/embed-wasm.ts writes it into dist/: the modules of assets/ in base64, and worker-browser.ts with all of its
 * imports as one classic script.
 */
export const modules: Readonly<Record<string, string>>;
export const worker: string;
