/** gpt2-ts/data in a bundle for browsers: token data in memory, templates. */

export { type DatasetOptions, type Split, TokenDataset, type TokenSource } from "../data/dataset.js";
export type { DatasetInfo, SourceInfo, SplitInfo } from "../data/dataset-info.js";
export { EpochOrder } from "../data/epoch-order.js";
export type { ExampleSplitInfo, ExamplesInfo } from "../data/examples/example-folder.js";
export {
  type ChatTemplate,
  type ExampleRecord,
  type FieldsTemplate,
  renderPrompt,
  TEMPLATES,
  type Template,
} from "../data/examples/template.js";
export type { PrepareProgress } from "../data/prepare.js";
