import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { TokenizerError } from "../errors.js";
import { readError } from "../util/file-errors.js";
import { standIn } from "../util/stand-in.js";
import { writeMergesTxt, writeVocabJson } from "./gpt2-files.js";
import { readLlmcTokenizer, writeLlmcTokenizer } from "./llmc-file.js";
import { Tokenizer } from "./tokenizer.js";
import { type NamedText, writeTokenizerConfig } from "./tokenizer-config.js";
import { type ReadText, readTokenizerFolder, VOCABULARY_FILES } from "./tokenizer-folder.js";
import { readTokenizerJson, writeTokenizerJson } from "./tokenizer-json.js";
import type { Vocabulary } from "./vocabulary.js";

/**
 * Reads a tokenizer from a folder that holds tokenizer.json, or vocab.json and merges.txt, or OpenAI's encoder.json and
 * vocab.bpe (in this order of preference), or from one of these files; or from an llm.c tokenizer .bin. Files beside them
 * (tokenizer_config.json, special_tokens_map.json, added_tokens.json, config.json) count as in transformers.
 *
 * @throws {TokenizerError} no such file exists, or a file is malformed or holds another kind of tokenizer.
 */
export async function loadTokenizer(path: string): Promise<Tokenizer> {
  return new Tokenizer(await loadVocabulary(path));
}

async function loadVocabulary(path: string): Promise<Vocabulary> {
  const name = basename(path);
  const kind = VOCABULARY_FILES.find((names) => names.includes(name));
  if (kind !== undefined) {
    const folder = dirname(path);
    const read: ReadText = (file) => (kind.includes(file) ? readText : findText)(join(folder, file));
    return (await readTokenizerFolder(read, [kind]))!;
  }
  if (name.endsWith(".json")) return readTokenizerJson((await readText(path)).text, path);
  if (name.endsWith(".bin")) return readLlmcTokenizer(await readBytes(path), path);
  const vocabulary = await readTokenizerFolder((file) => findText(join(path, file)));
  if (vocabulary !== undefined) return vocabulary;
  throw new TokenizerError({
    op: `reading a tokenizer from ${path}`,
    expected: "tokenizer.json, or vocab.json and merges.txt, or encoder.json and vocab.bpe, or an llm.c tokenizer .bin",
    got: existsSync(path) ? "a folder with none of them" : "no such path",
  });
}

async function findText(path: string): Promise<NamedText | undefined> {
  return existsSync(path) ? readText(path) : undefined;
}

async function readText(path: string): Promise<NamedText> {
  const bytes = await readBytes(path);
  try {
    return { name: path, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch (cause) {
    throw new TokenizerError({ op: `reading ${path}`, expected: "UTF-8 text", got: (cause as Error).message, cause });
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  const op = `reading ${path}`;
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw readError(cause, op, "a file", TokenizerError);
  }
  const pointer = standIn(bytes);
  if (pointer === undefined) return bytes;
  throw new TokenizerError({ op, expected: "the file itself", got: pointer.kind, hint: pointer.hint });
}

/**
 * Writes the file that llm.c uses for decoding.
 *
 * @throws {TokenizerError} the vocabulary has no `<|endoftext|>`, or the file system refuses.
 */
export async function saveLlmcTokenizer({ vocabulary }: Tokenizer, path: string): Promise<void> {
  const { writeFileAtomically } = await import("../util/atomic-write.js");
  await writeFileAtomically(path, writeLlmcTokenizer(vocabulary), TokenizerError);
}

/**
 * Writes tokenizer.json, vocab.json, merges.txt and tokenizer_config.json into a folder, created if need be; other files
 * in it are kept.
 *
 * @throws {TokenizerError} the file system refuses.
 */
export async function saveTokenizer(tokenizer: Tokenizer, folder: string): Promise<void> {
  const { vocabulary } = tokenizer;
  const write = async (temporary: string): Promise<void> => {
    await writeFile(join(temporary, "tokenizer.json"), writeTokenizerJson(vocabulary));
    await writeFile(join(temporary, "vocab.json"), writeVocabJson(vocabulary));
    await writeFile(join(temporary, "merges.txt"), writeMergesTxt(vocabulary));
    await writeFile(join(temporary, "tokenizer_config.json"), writeTokenizerConfig(vocabulary));
  };
  // Imported only here: a start only reads.
  const { writeFolderAtomically } = await import("../util/atomic-write.js");
  await writeFolderAtomically(folder, write, { errorClass: TokenizerError, existing: "merge" });
}
