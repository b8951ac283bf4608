/** gpt2-ts/hub: models of the Hugging Face hub and from addresses, fetched into a cache. Node only. */
export * from "../hub/node.js";
export { locateModel } from "../pretrained/locate.js";
export type { LocateOptions } from "../pretrained/locate-options.js";
