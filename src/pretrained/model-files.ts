import { type ByteSource, memorySource } from "../checkpoint/byte-source.js";
import { type JsonObject, readJsonSource } from "../checkpoint/strict-json.js";
import { CheckpointError } from "../errors.js";
import type { Checkpoint, TokenizerFiles } from "./checkpoint.js";

/** The files of a model's folder, on disk or in memory. */
export interface ModelFiles {
  /** The model's name in messages: the path or name that the user gave. */
  readonly path: string;
  has(name: string): boolean;
  names(): readonly string[];
  /** A file's name in messages: its path. */
  pathOf(name: string): string;
  /** @throws {CheckpointError} there is no such file, or it can't be read. */
  open(name: string): ByteSource;
}

/** Files in memory by name. */
export function memoryFiles(path: string, files: Readonly<Record<string, Uint8Array>>): ModelFiles {
  return {
    path,
    has: (name) => Object.hasOwn(files, name),
    names: () => Object.keys(files),
    pathOf: (name) => name,
    open(name) {
      const bytes = Object.hasOwn(files, name) ? files[name] : undefined;
      if (bytes !== undefined) return memorySource(name, bytes);
      throw new CheckpointError({ op: `opening ${path}`, expected: `a file ${name}`, got: "none" });
    },
  };
}

/** The opened files of a model, which are closed together. */
export class OpenFiles {
  readonly folder: ModelFiles;
  readonly #sources: ByteSource[] = [];

  constructor(folder: ModelFiles) {
    this.folder = folder;
  }

  open(name: string): ByteSource {
    const source = this.folder.open(name);
    this.#sources.push(source);
    return source;
  }

  /** A file that may be missing. */
  find(name: string): ByteSource | undefined {
    return this.folder.has(name) ? this.open(name) : undefined;
  }

  /** A file that the others need. */
  need(name: string, hint: string): ByteSource {
    if (this.folder.has(name)) return this.open(name);
    const details = { op: `opening ${this.folder.path}`, expected: this.folder.pathOf(name), got: "no such file" };
    throw new CheckpointError({ ...details, hint });
  }

  /** The part of a {@link Checkpoint} about its files. */
  describe(): Pick<Checkpoint, "path" | "files" | "close"> {
    const files = this.#sources.map(({ name, size }) => ({ path: name, size }));
    return { path: this.folder.path, files, close: () => this.close() };
  }

  close(): void {
    for (const source of this.#sources) source.close();
  }
}

/** Runs `read` with a model's files, and closes the opened ones if it throws. */
export function readingFiles<T>(files: ModelFiles, read: (opened: OpenFiles) => T): T {
  const opened = new OpenFiles(files);
  try {
    return read(opened);
  } catch (error) {
    opened.close();
    throw error;
  }
}

/** A small JSON file that may be missing. */
export function jsonIn(files: ModelFiles, name: string): { json: JsonObject; path: string } | undefined {
  if (!files.has(name)) return undefined;
  const source = files.open(name);
  try {
    return { json: readJsonSource(source), path: source.name };
  } finally {
    source.close();
  }
}

export const CONFIG_FILE = "config.json";
/** Why a model can't be read without its {@link CONFIG_FILE}. */
export const CONFIG_HINT = "It gives the model's sizes, and belongs in the same folder as the weights";

const HUGGING_FACE_TOKENIZER = {
  vocabJson: "vocab.json",
  mergesTxt: "merges.txt",
  tokenizerJson: "tokenizer.json",
  vocabTxt: "vocab.txt",
} as const;

/** Tokenizer files beside the weights, by the format's names for them. */
export function tokenizerFilesIn(
  files: ModelFiles,
  names: { readonly [K in keyof TokenizerFiles]: string } = HUGGING_FACE_TOKENIZER,
): { readonly tokenizerFiles?: TokenizerFiles } {
  const found = Object.entries(names).filter(([, name]) => files.has(name));
  if (found.length === 0) return {};
  return { tokenizerFiles: Object.fromEntries(found.map(([key, name]) => [key, files.pathOf(name)])) };
}
