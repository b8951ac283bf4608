import type { MetadataEntry } from "../../../checkpoint/gguf/encode.js";
import type { GgufMetadata } from "../../../checkpoint/gguf/metadata.js";
import { TokenizerError } from "../../../errors.js";
import { gpt2Tokenizer } from "../../../tokenizer/gpt2.js";
import { mergeLines, splitMerge, tokenTexts } from "../../../tokenizer/gpt2-files.js";
import { Tokenizer } from "../../../tokenizer/tokenizer.js";
import { END_OF_TEXT, type Vocabulary } from "../../../tokenizer/vocabulary.js";
import { vocabularyFromTexts } from "../../../tokenizer/vocabulary-from-texts.js";
import { BOS, EOS, hasTokenizer, MODEL, NO_TOKENIZER } from "./tokenizer-keys.js";

/**
 * Byte-level BPE in a file's metadata (llama.cpp's src/llama-vocab.cpp, enum llama_token_type): tokens by id in the
 * alphabet of GPT-2's vocab.json, special ones as their own text, and merges as in merges.txt.
 */

const PRE_TOKENIZER = "tokenizer.ggml.pre";
const TOKENS = "tokenizer.ggml.tokens";
const TYPES = "tokenizer.ggml.token_type";
const MERGES = "tokenizer.ggml.merges";
const ADD_BOS = "tokenizer.ggml.add_bos_token";

/** Names that llama.cpp splits texts for with GPT-2's expression; files that are older, or name no other, mean it too. */
const PRE_TOKENIZERS = ["gpt-2", "default", "phi-2", "mpt", "olmo", "jais"];

const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

/**
 * The tokenizer in the metadata; undefined if there is none.
 *
 * @param file for errors.
 * @throws {TokenizerError} another kind of tokenizer, or a malformed one.
 * @throws {CheckpointError} values of the wrong type.
 */
export async function tokenizerFromGguf(metadata: GgufMetadata, file: string): Promise<Tokenizer | undefined> {
  if (!hasTokenizer(metadata)) return undefined;
  refuseOthers(file, MODEL, metadata.string(MODEL)!, ["gpt2"]);
  refuseOthers(file, PRE_TOKENIZER, metadata.string(PRE_TOKENIZER) ?? "gpt-2", PRE_TOKENIZERS);
  if (isGpt2(metadata)) return gpt2Tokenizer();
  return new Tokenizer(vocabularyFromGguf(metadata, file));
}

function refuseOthers(file: string, key: string, got: string, expected: readonly string[]): void {
  if (expected.includes(got)) return;
  throw new TokenizerError({
    op: `reading ${file}: ${key}`,
    expected: expected.join(" or "),
    got: JSON.stringify(got.slice(0, 60)),
    hint: "Only byte-level BPE as GPT-2's is supported. Give the model's tokenizer.json as the tokenizer instead",
  });
}

/** {@link fingerprint} of the tokens and merges of GPT-2, as every program writes them. */
const GPT2_FINGERPRINT = "48928d88182c21f0d27dafd5242925bc";

/** Whether the vocabulary is GPT-2's own, which is made ten times faster from this package than from texts. */
function isGpt2(metadata: GgufMetadata): boolean {
  const tokens = metadata.bytes(TOKENS);
  const merges = metadata.bytes(MERGES);
  if (tokens === undefined || merges === undefined) return false;
  return `${fingerprint(tokens)}${fingerprint(merges)}` === GPT2_FINGERPRINT;
}

/** 64 bits by two hashes after FNV-1a, of four bytes at a time: those of a vocabulary are two million. */
export function fingerprint(bytes: Uint8Array): string {
  const { buffer, byteOffset, length } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const whole = new Int32Array(buffer, byteOffset, length >> 2);
  const last = new Uint8Array(4);
  last.set(bytes.subarray(4 * whole.length));
  let hashes = hashWords([0x811c9dc5 | 0, length], whole);
  if (length % 4 > 0) hashes = hashWords(hashes, new Int32Array(last.buffer));
  return hashes.map((hash) => (hash >>> 0).toString(16).padStart(8, "0")).join("");
}

/** The loop and nothing else: V8 optimises it while it runs, and would drop that when code follows that has not run yet. */
function hashWords([a, b]: [number, number], words: Int32Array): [number, number] {
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    a = Math.imul(a ^ word, 0x01000193);
    b = Math.imul(b ^ word, 0x85ebca6b) ^ (a >>> 15);
  }
  return [a, b];
}

function vocabularyFromGguf(metadata: GgufMetadata, file: string): Vocabulary {
  const texts = metadata.strings(TOKENS);
  if (texts === undefined) throw metadata.error(TOKENS, "an array of strings");
  const types = metadata.numbers(TYPES) ?? [];
  const tokens: Record<string, number> = Object.create(null);
  const special = new Map<string, number>();
  texts.forEach((text, id) => {
    const type = types[id] ?? NORMAL;
    if (type === UNUSED) return;
    if (text in tokens) {
      const op = `reading ${file}: ${TOKENS}[${id}]`;
      throw new TokenizerError({ op, expected: "tokens that differ", got: `the text of token ${tokens[text]} again` });
    }
    tokens[text] = id;
    const isSpecial = type === CONTROL || type === USER_DEFINED || type === UNKNOWN || text === END_OF_TEXT;
    if (isSpecial) special.set(text, id);
  });
  const merges = metadata.strings(MERGES) ?? [];
  return vocabularyFromTexts({
    tokens,
    tokensName: `${file}: ${TOKENS}`,
    merges: merges.map((merge, rank) => splitMerge(merge, `${file}: ${MERGES}[${rank}]`)),
    mergeName: (rank) => `${file}: ${MERGES}[${rank}]`,
    special,
  });
}

export interface TokenizerToWrite {
  /** Without one the file has ids only. */
  readonly vocabulary?: Vocabulary | undefined;
  /** The model's, in tokens: at least as many as the vocabulary has. */
  readonly vocabSize: number;
  readonly bosTokenId?: number | undefined;
  readonly eosTokenId?: number | undefined;
}

/**
 * The inverse of {@link tokenizerFromGguf}. llama.cpp takes the number of texts for the model's vocabulary, so ids without
 * a token get a text that no other has, marked as unused.
 *
 * @throws {TokenizerError} two tokens with the same text.
 */
export function tokenizerToGguf({ vocabulary, vocabSize, bosTokenId, eosTokenId }: TokenizerToWrite): MetadataEntry[] {
  const ids: MetadataEntry[] = [];
  if (bosTokenId !== undefined) ids.push([BOS, "u32", bosTokenId]);
  if (eosTokenId !== undefined) ids.push([EOS, "u32", eosTokenId]);
  if (vocabulary === undefined) return [[MODEL, "string", NO_TOKENIZER[0]!], ...ids];
  const { texts, types } = writeTokens(vocabulary, vocabSize);
  return [
    [MODEL, "string", "gpt2"],
    [PRE_TOKENIZER, "string", PRE_TOKENIZERS[0]!],
    [TOKENS, "string[]", texts],
    [TYPES, "i32[]", types],
    [MERGES, "string[]", mergeLines(vocabulary)],
    ...ids,
    [ADD_BOS, "bool", false],
  ];
}

function writeTokens(vocabulary: Vocabulary, vocabSize: number): { texts: string[]; types: Int32Array } {
  const known = tokenTexts(vocabulary);
  const specialIds = new Set(vocabulary.special.values());
  const seen = new Set<string>();
  for (const text of known) {
    if (text === undefined) continue;
    if (seen.has(text)) {
      const op = "writing GGUF: the tokenizer";
      throw new TokenizerError({ op, expected: "tokens that differ", got: `${JSON.stringify(text)} twice` });
    }
    seen.add(text);
  }
  const types = new Int32Array(vocabSize);
  const texts = Array.from({ length: vocabSize }, (_, id) => {
    const text = known[id];
    types[id] = text === undefined ? UNUSED : specialIds.has(id) ? CONTROL : NORMAL;
    return text ?? unusedText(id, seen);
  });
  return { texts, types };
}

function unusedText(id: number, seen: ReadonlySet<string>): string {
  let text = `[PAD${id}]`;
  while (seen.has(text)) text = `[${text}]`;
  return text;
}
