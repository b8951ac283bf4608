/** Which files make up a model: a parameter, since this folder fetches files and knows no format. */
export interface ModelLayout {
  /**
   * The files of a repository that a model is made of; the rest of it is left where it is.
   *
   * @param files paths of all files there are.
   * @param wanted one of them, with what belongs to it, instead of the model at the top.
   * @returns the reason, in words, if no model is there
   */
  select(files: readonly string[], wanted?: string): FileSelection | string;
  /** The files that belong to one at an address, where nothing lists the files there are. */
  beside(file: string): FilesBeside;
  /**
   * The shards that an index names, as paths beside it; undefined if it is no index.
   *
   * @param json its text.
   */
  shardsOf(index: string, json: string): string[] | undefined;
}

export interface FileSelection {
  /** The path to open, relative to the repository: "" for all of it, or one file. */
  readonly open: string;
  /** To fetch before all others, because it says whether they are wanted. */
  readonly config: string | undefined;
  /** Small ones: tokenizer, settings, the index of shards. */
  readonly small: readonly string[];
  readonly weights: readonly string[];
  /** One of `small`, which names the weights. */
  readonly index: string | undefined;
}

export interface FilesBeside {
  /** Describes the model; the file may be of no use without it. */
  readonly config: { readonly file: string; readonly required: boolean } | undefined;
  /** Small ones, wanted if they are there. */
  readonly small: readonly string[];
  /** Whether the file names shards, which are then needed. */
  readonly isIndex: boolean;
}
