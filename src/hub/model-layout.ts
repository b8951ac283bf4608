/** The rules for which files make up a model: a parameter, since this folder fetches files and knows no format. */
export interface ModelLayout {
  /**
   * The files of a repository that make up a model; the others are not fetched.
   *
   * @param files paths of all its files.
   * @param wanted one of them, to be fetched with the files that belong to it, instead of the model at the top.
   * @returns the reason, in words, if there is no model
   */
  select(files: readonly string[], wanted?: string): FileSelection | string;
  /** The files that belong to one at an address, where no listing exists. */
  beside(file: string): FilesBeside;
  /**
   * The shards that an index names, as paths beside it; undefined if it is not an index.
   *
   * @param json the index's text.
   */
  shardsOf(index: string, json: string): string[] | undefined;
}

export interface FileSelection {
  /** The path to open, relative to the repository: "" for all of it, or one file. */
  readonly open: string;
  /** To be fetched first, because it decides whether the others are wanted. */
  readonly config: string | undefined;
  /** Small files: tokenizer, settings, the index of shards. */
  readonly small: readonly string[];
  readonly weights: readonly string[];
  /** The one of `small` that names the weights. */
  readonly index: string | undefined;
}

export interface FilesBeside {
  /** A file that describes the model, which may be useless without it. */
  readonly config: { readonly file: string; readonly required: boolean } | undefined;
  /** Small files, fetched if they exist. */
  readonly small: readonly string[];
  /** Whether the file names shards, which are then fetched too. */
  readonly isIndex: boolean;
}
