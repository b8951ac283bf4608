import { join } from "node:path";
import type { ByteSource } from "../../checkpoint/byte-source.js";
import { openFileSource } from "../../checkpoint/file-source.js";
import { DataError, UsageError } from "../../errors.js";
import { loadTokenizer } from "../../tokenizer/files.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { writeTokenizerJson } from "../../tokenizer/tokenizer-json.js";
import { INDEX_FILES, type IndexInfo, readIndexInfo } from "./index-info.js";
import type { SuffixIndex } from "./search.js";

/** A document of an indexed corpus. */
export interface IndexedDocument {
  /** The path of its file, as given when the index was made. */
  readonly path: string;
  /** Its index among the documents of that file. */
  readonly number: number;
  /** Positions of its tokens in the corpus, [start, end), without the separator before them. */
  readonly start: number;
  readonly end: number;
}

/** An index made by `gpt2 index`. Opening it reads a few kilobytes; searches read what they need from disk. */
export class TokenIndex implements SuffixIndex {
  readonly info: IndexInfo;
  readonly tokenizer: Tokenizer;
  readonly length: number;
  readonly #tokens: NumberFile;
  readonly #suffixes: NumberFile;
  readonly #documents: NumberFile;
  /** Number of documents before each file's. */
  readonly #firstDocuments: readonly number[];

  private constructor(info: IndexInfo, tokenizer: Tokenizer, files: readonly NumberFile[]) {
    this.info = info;
    this.tokenizer = tokenizer;
    this.length = info.tokens;
    [this.#tokens, this.#suffixes, this.#documents] = files as [NumberFile, NumberFile, NumberFile];
    let sum = 0;
    this.#firstDocuments = info.files.map(({ documents }) => (sum += documents) - documents);
  }

  /** @throws {DataError} there is no index, or it is damaged. */
  static async open(folder: string): Promise<TokenIndex> {
    const info = readIndexInfo(folder);
    const tokenizer = await loadTokenizer(join(folder, INDEX_FILES.tokenizer));
    const parts = [
      { name: INDEX_FILES.tokens, bytes: 2, count: info.tokens, limit: info.tokenizer.vocabSize },
      { name: INDEX_FILES.suffixes, bytes: 4, count: info.tokens, limit: info.tokens },
      { name: INDEX_FILES.documents, bytes: 4, count: info.documents, limit: info.tokens },
    ] as const;
    const files: NumberFile[] = [];
    try {
      for (const part of parts) files.push(new NumberFile(join(folder, part.name), part));
    } catch (error) {
      for (const file of files) file.close();
      throw error;
    }
    return new TokenIndex(info, tokenizer, files);
  }

  token(position: number): number {
    return this.#tokens.at(position);
  }

  suffix(rank: number): number {
    return this.#suffixes.at(rank);
  }

  /** The document of the token at a position of the corpus. */
  documentAt(position: number): IndexedDocument {
    // The last document that begins at or before the position.
    let [low, high] = [0, this.info.documents];
    while (low + 1 < high) {
      const middle = (low + high) >>> 1;
      if (this.#documents.at(middle) <= position) low = middle;
      else high = middle;
    }
    let file = this.info.files.length - 1;
    while (this.#firstDocuments[file]! > low) file--;
    const next = low + 1 < this.info.documents ? this.#documents.at(low + 1) : this.length;
    return {
      path: this.info.files[file]!.path,
      number: low - this.#firstDocuments[file]!,
      start: this.#documents.at(low) + 1,
      end: next,
    };
  }

  /** The text of tokens [start, end) of the corpus. */
  text(start: number, end: number): string {
    return this.tokenizer.decode(Array.from({ length: end - start }, (_, i) => this.token(start + i)));
  }

  close(): void {
    for (const file of [this.#tokens, this.#suffixes, this.#documents]) file.close();
  }
}

/**
 * Opens an index made with a model's tokenizer.
 *
 * @throws {UsageError} it was made with another tokenizer.
 */
export async function openIndexFor(tokenizer: Tokenizer | undefined, folder: string): Promise<TokenIndex> {
  const index = await TokenIndex.open(folder);
  if (tokenizer && sameVocabulary(tokenizer, index.tokenizer)) return index;
  index.close();
  const hint = "Make the index with the model's tokenizer: gpt2 index FILES --tokenizer MODEL";
  const got = `one made with ${index.info.tokenizer.name}`;
  throw new UsageError({
    op: `opening index ${folder}`,
    expected: "an index made with the model's tokenizer",
    got,
    hint,
  });
}

/** Whether two tokenizers have the same token ids. */
function sameVocabulary(a: Tokenizer, b: Tokenizer): boolean {
  return a.vocabSize === b.vocabSize && writeTokenizerJson(a.vocabulary) === writeTokenizerJson(b.vocabulary);
}

/** Numbers in a page of memory, which are read together. */
const PAGE = 4096;
/** Number of pages kept in memory: every search begins with the same dozen steps. */
const KEPT_PAGES = 4096;

/** A file of little-endian unsigned integers of 2 or 4 bytes, read in pages. */
class NumberFile {
  readonly #source: ByteSource;
  readonly #bytes: 2 | 4;
  readonly #limit: number;
  readonly #count: number;
  readonly #pages = new Map<number, DataView>();

  constructor(path: string, { bytes, count, limit }: { bytes: 2 | 4; count: number; limit: number }) {
    this.#source = openFileSource(path);
    this.#bytes = bytes;
    this.#limit = limit;
    this.#count = count;
    if (this.#source.size === bytes * count) return;
    const got = `${this.#source.size}`;
    this.close();
    throw new DataError({ op: `opening ${path}`, expected: `${bytes * count} bytes`, got, hint: MAKE_AGAIN });
  }

  /** @throws {DataError} a number is out of range: the file is damaged. */
  at(index: number): number {
    const byte = index * this.#bytes;
    const page = Math.floor(byte / PAGE);
    const view = this.#pages.get(page) ?? this.#read(page);
    const value = this.#bytes === 2 ? view.getUint16(byte % PAGE, true) : view.getUint32(byte % PAGE, true);
    if (value < this.#limit) return value;
    const expected = `numbers below ${this.#limit}`;
    throw new DataError({ op: `reading ${this.#source.name}`, expected, got: `${value}`, hint: MAKE_AGAIN });
  }

  close(): void {
    this.#pages.clear();
    this.#source.close();
  }

  #read(page: number): DataView {
    const length = Math.min(PAGE, this.#count * this.#bytes - page * PAGE);
    const bytes = this.#source.bytes(page * PAGE, length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    if (this.#pages.size === KEPT_PAGES) this.#pages.delete(this.#pages.keys().next().value!);
    this.#pages.set(page, view);
    return view;
  }
}

const MAKE_AGAIN = "Rebuild the index with `gpt2 index`";
