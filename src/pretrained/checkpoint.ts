import type { ModelConfig } from "../architectures/config.js";
import type { TaskHead } from "../architectures/task-head.js";
import type { StoredLayout, StoredTensor } from "../checkpoint/stored-tensor.js";
import type { StoredDtype } from "../dtype/stored.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { WordPieceTokenizer } from "../tokenizer/wordpiece/tokenizer.js";
import type { StoredHead } from "./formats/task-head.js";
import type { FormatName } from "./formats.js";
import type { StoredSampling } from "./generation-config.js";
import type { SentenceModules } from "./sentence-modules.js";

/** Tokenizer files beside the weights. */
export interface TokenizerFiles {
  readonly vocabJson?: string;
  readonly mergesTxt?: string;
  readonly tokenizerJson?: string;
  /** BERT's WordPiece vocabulary. */
  readonly vocabTxt?: string;
  /** llm.c's gpt2_tokenizer.bin. */
  readonly llmcBin?: string;
}

/** An opened model: its configuration, and every tensor of the tensor table, still in its file. */
export interface Checkpoint {
  readonly format: FormatName;
  /** The folder or file that was opened. */
  readonly path: string;
  /** For a model with an adapter folded in: the path of the model alone, which has the tokenizer beside it. */
  readonly basePath?: string | undefined;
  readonly files: readonly { readonly path: string; readonly size: number }[];
  readonly config: ModelConfig;
  /** The storage dtype of most parameters. */
  readonly dtype: StoredDtype;
  /** Exactly the tensors of `tensorTable(config)`, in its order. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The head of a classifier or regressor, which replaces the output head. */
  readonly head?: StoredHead | undefined;
  /** Texts in the weights' file (safetensors `__metadata__`, GGUF `general.`). */
  readonly metadata: Readonly<Record<string, string>>;
  readonly bosTokenId?: number | undefined;
  /** Tokens that end a text, none if empty. Undefined if the format does not say; then the tokenizer decides. */
  readonly eosTokenIds?: readonly number[] | undefined;
  /** Sampling settings by the model's author (generation_config.json). */
  readonly sampling?: StoredSampling;
  readonly tokenizerFiles?: TokenizerFiles;
  /** Makes the tokenizer of the weights' file. Undefined, or resolves to undefined, if there is none. */
  readonly loadTokenizer?: () => Promise<Tokenizer | undefined>;
  /** The same for a BERT's tokenizer. */
  readonly loadWordPiece?: () => Promise<WordPieceTokenizer | undefined>;
  /** How to make embeddings, if the weights' file defines it. */
  readonly sentence?: SentenceModules | undefined;
  /** Closes the files. Tensors cannot be read afterwards, but arrays that use them in place stay valid. */
  close(): void;
}

export interface CheckpointDescription {
  readonly format: FormatName;
  readonly path: string;
  readonly files: readonly { readonly path: string; readonly size: number }[];
  readonly config: ModelConfig;
  /** The head of a classifier or regressor. */
  readonly head?: TaskHead;
  readonly parameters: number;
  readonly dtype: StoredDtype;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tokenizerFiles: TokenizerFiles;
  /** Whether the weights' file contains a tokenizer. */
  readonly tokenizerInFile: boolean;
  readonly tensors: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly dtype: StoredDtype;
    readonly storedAs: StoredLayout;
    readonly bytes: number;
    readonly file: string;
  }[];
}

/** The contents of a model as plain data for JSON: the output of `gpt2 info`. */
export function describeCheckpoint(checkpoint: Checkpoint): CheckpointDescription {
  const { format, path, files, config, head, dtype, metadata, tokenizerFiles = {} } = checkpoint;
  const stored = [...checkpoint.tensors.values(), ...(head ? head.tensors.values() : [])];
  const tensors = stored.map(({ name, shape, dtype, storedAs, byteLength, file }) => {
    return { name, shape, dtype, storedAs, bytes: byteLength, file };
  });
  const parameters = tensors.reduce((n, { shape }) => n + shape.reduce((size, d) => size * d, 1), 0);
  const tokenizerInFile = checkpoint.loadTokenizer !== undefined;
  const task = head && { head: { kind: head.kind, labels: head.labels } };
  return {
    format,
    path,
    files,
    config,
    ...task,
    parameters,
    dtype,
    metadata,
    tokenizerFiles,
    tokenizerInFile,
    tensors,
  };
}

/** The type that holds the most bytes. */
export function mainDtype(tensors: Iterable<StoredTensor>): StoredDtype {
  const bytes = new Map<StoredDtype, number>();
  for (const { dtype, byteLength } of tensors) bytes.set(dtype, (bytes.get(dtype) ?? 0) + byteLength);
  return [...bytes].reduce((most, entry) => (entry[1] > most[1] ? entry : most))[0];
}
