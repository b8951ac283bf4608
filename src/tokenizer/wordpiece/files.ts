import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { TokenizerError } from "../../errors.js";
import { writeFolderAtomically } from "../../util/atomic-write.js";
import type { NamedText } from "../tokenizer-config.js";
import {
  readVocabTxt,
  readWordPieceFolder,
  readWordPieceJson,
  writeVocabTxt,
  writeWordPieceConfig,
  writeWordPieceJson,
} from "./read.js";
import { WordPieceTokenizer } from "./tokenizer.js";

/**
 * Reads a BERT tokenizer from a folder (tokenizer.json or vocab.txt, with tokenizer_config.json) or from one of
 * the two files alone.
 *
 * @throws {TokenizerError} no such file exists, or a file is malformed or holds another kind of tokenizer.
 */
export async function loadWordPiece(path: string): Promise<WordPieceTokenizer> {
  const name = basename(path);
  if (name.endsWith(".txt")) return new WordPieceTokenizer(readVocabTxt(await readText(path)));
  if (name.endsWith(".json")) return new WordPieceTokenizer(readWordPieceJson(await readText(path)));
  const vocabulary = await readWordPieceFolder(async (file) => {
    const there = join(path, file);
    return existsSync(there) ? readText(there) : undefined;
  });
  if (vocabulary !== undefined) return new WordPieceTokenizer(vocabulary);
  throw new TokenizerError({
    op: `reading a tokenizer from ${path}`,
    expected: "tokenizer.json or vocab.txt",
    got: existsSync(path) ? "a folder with neither" : "no such path",
  });
}

async function readText(path: string): Promise<NamedText> {
  try {
    return { name: path, text: new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path)) };
  } catch (cause) {
    throw new TokenizerError({ op: `reading ${path}`, expected: "UTF-8 text", got: (cause as Error).message, cause });
  }
}

/**
 * Writes tokenizer.json, vocab.txt and tokenizer_config.json into a folder, created if need be; other files in it are kept.
 *
 * @throws {TokenizerError} an id has no token, or the file system refuses.
 */
export async function saveWordPiece({ vocabulary }: WordPieceTokenizer, folder: string): Promise<void> {
  const files = {
    "tokenizer.json": writeWordPieceJson(vocabulary),
    "vocab.txt": writeVocabTxt(vocabulary),
    "tokenizer_config.json": writeWordPieceConfig(vocabulary),
  };
  const write = async (temporary: string): Promise<void> => {
    for (const [name, text] of Object.entries(files)) await writeFile(join(temporary, name), text);
  };
  await writeFolderAtomically(folder, write, { errorClass: TokenizerError, existing: "merge" });
}
