/** gpt2-ts/checkpoint: models in files, opened, saved and converted. */

export {
  CONVERT_FORMATS,
  type ConvertedModel,
  type ConvertFormat,
  type ConvertOptions,
  convertModel,
} from "../pretrained/convert.js";
export * from "../pretrained/node.js";
export type { SentenceModules } from "../pretrained/sentence-modules.js";
export * from "./checkpoint.browser.js";
