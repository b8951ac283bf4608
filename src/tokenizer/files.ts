import { readFile, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { TokenizerError } from "../errors.js";
import { writeFileAtomically, writeFolderAtomically } from "../util/atomic-write.js";
import { readGpt2Files, writeMergesTxt, writeVocabJson } from "./gpt2-files.js";
import { readLlmcTokenizer, writeLlmcTokenizer } from "./llmc-file.js";
import { Tokenizer } from "./tokenizer.js";
import { readTokenizerJson, writeTokenizerJson } from "./tokenizer-json.js";
import type { Vocabulary } from "./vocabulary.js";

/** File names of a vocabulary and its merges: Hugging Face's, OpenAI's. */
const PAIRS = [
  ["vocab.json", "merges.txt"],
  ["encoder.json", "vocab.bpe"],
] as const;

/**
 * Reads a tokenizer from a folder that holds tokenizer.json, or vocab.json and merges.txt, or OpenAI's encoder.json and
 * vocab.bpe (looked for in this order), or from one of these files; or from a llm.c tokenizer .bin.
 *
 * @throws {TokenizerError} nothing of the kind is there, or a file is malformed or of another kind of tokenizer.
 */
export async function loadTokenizer(path: string): Promise<Tokenizer> {
  return new Tokenizer(await loadVocabulary(path));
}

async function loadVocabulary(path: string): Promise<Vocabulary> {
  const name = basename(path);
  if (name.endsWith(".json") || name === "merges.txt" || name === "vocab.bpe") {
    const pair = PAIRS.find((names) => (names as readonly string[]).includes(name));
    if (pair !== undefined) return readPair(dirname(path), pair);
    return readTokenizerJson(await read(path), path);
  }
  if (name.endsWith(".bin")) return readLlmcTokenizer(await readBytes(path), path);
  if (await exists(join(path, "tokenizer.json"))) {
    const file = join(path, "tokenizer.json");
    return readTokenizerJson(await read(file), file);
  }
  for (const pair of PAIRS) if (await exists(join(path, pair[0]))) return readPair(path, pair);
  throw new TokenizerError({
    op: `reading a tokenizer from ${path}`,
    expected: "tokenizer.json, or vocab.json and merges.txt, or encoder.json and vocab.bpe, or a llm.c tokenizer .bin",
    got: (await exists(path)) ? "a folder with none of them" : "nothing there",
  });
}

async function readPair(folder: string, [vocab, merges]: readonly [string, string]): Promise<Vocabulary> {
  const added = join(folder, "added_tokens.json");
  return readGpt2Files({
    vocab: await read(join(folder, vocab)),
    vocabName: join(folder, vocab),
    merges: await read(join(folder, merges)),
    mergesName: join(folder, merges),
    ...((await exists(added)) ? { added: await read(added), addedName: added } : {}),
  });
}

async function read(path: string): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
  } catch (cause) {
    throw new TokenizerError({ op: `reading ${path}`, expected: "UTF-8 text", got: (cause as Error).message, cause });
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new TokenizerError({ op: `reading ${path}`, expected: "a file", got: (cause as Error).message, cause });
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Writes the file that llm.c decodes with.
 *
 * @throws {TokenizerError} the vocabulary has no `<|endoftext|>`, or the file system refuses.
 */
export async function saveLlmcTokenizer({ vocabulary }: Tokenizer, path: string): Promise<void> {
  await writeFileAtomically(path, writeLlmcTokenizer(vocabulary), TokenizerError);
}

/**
 * Writes tokenizer.json, vocab.json and merges.txt into a folder, made if need be; other files there stay.
 *
 * @throws {TokenizerError} the file system refuses.
 */
export async function saveTokenizer(tokenizer: Tokenizer, folder: string): Promise<void> {
  const { vocabulary } = tokenizer;
  const write = async (temporary: string): Promise<void> => {
    await writeFile(join(temporary, "tokenizer.json"), writeTokenizerJson(vocabulary));
    await writeFile(join(temporary, "vocab.json"), writeVocabJson(vocabulary));
    await writeFile(join(temporary, "merges.txt"), writeMergesTxt(vocabulary));
  };
  await writeFolderAtomically(folder, write, { errorClass: TokenizerError, existing: "merge" });
}
