import { join } from "node:path";
import { readDatasetInfo } from "../../data/dataset-info.js";
import { findShards } from "../../data/open-dataset.js";
import { prepareData } from "../../data/prepare.js";
import { UsageError } from "../../errors.js";
import { isFolder } from "../../util/is-folder.js";
import { formatCount, progress } from "../../util/progress.js";
import { loadNamedTokenizer } from "../model.js";

export interface TextOptions {
  /** The run's folder. */
  readonly out: string;
  /** `gpt2`, or the path of a tokenizer. */
  readonly tokenizer: string;
  /** Whether there are no validations, so nothing needs to be held out. */
  readonly noValidation: boolean;
}

/**
 * The path of the token shards: `path` itself or, for text, a data set made from it in the run's folder.
 *
 * @throws {DataError} the path does not exist; {@link UsageError} the run's folder holds data made from another text.
 */
export async function shardsOf(path: string, { out, tokenizer, noValidation }: TextOptions): Promise<string> {
  if (!isText(path)) return path;
  const folder = join(out, "data");
  const made = isFolder(folder) ? readDatasetInfo(folder) : undefined;
  if (made) {
    const inputs = made.sources.map(({ input }) => input);
    if (inputs.length === 1 && inputs[0] === path) return folder;
    throw new UsageError({
      op: `training on ${path}`,
      expected: `${folder} made from it`,
      got: `data made from ${inputs.join(", ")}`,
      hint: "Choose another --out",
    });
  }
  const line = progress({ label: "data", unit: "B" });
  try {
    await prepareData([path], {
      out: folder,
      ...(noValidation && { valFraction: 0 }),
      tokenizer: await loadNamedTokenizer(tokenizer),
      tokenizerName: tokenizer,
      onProgress: ({ bytesRead, bytesTotal, tokens }) => {
        line.setTotal(bytesTotal);
        line.update(bytesRead, `${formatCount(tokens)} tokens`);
      },
    });
  } finally {
    line.done();
  }
  return folder;
}

function isText(path: string): boolean {
  if (/[*?]|\.bin$/.test(path)) return false;
  return !isFolder(path) || findShards(path, "train").length === 0;
}
