import type { MetadataEntry } from "../../../checkpoint/gguf/encode.js";
import type { GgufMetadata } from "../../../checkpoint/gguf/metadata.js";
import { TokenizerError } from "../../../errors.js";
import { gpt2Tokenizer } from "../../../tokenizer/gpt2.js";
import { mergeLines, splitMerge, tokenTexts } from "../../../tokenizer/gpt2-files.js";
import { Tokenizer } from "../../../tokenizer/tokenizer.js";
import { type AddedToken, END_OF_TEXT, type Vocabulary } from "../../../tokenizer/vocabulary.js";
import { type VocabularyExtras, vocabularyFromTexts } from "../../../tokenizer/vocabulary-from-texts.js";
import { BOS, EOS, hasTokenizer, MODEL, MORE_EOS, NO_TOKENIZER, specialIdsFromGguf } from "./tokenizer-keys.js";

/**
 * Byte-level BPE in a file's metadata (llama.cpp's src/llama-vocab.cpp, enum llama_token_type): tokens by id in the
 * alphabet of GPT-2's vocab.json, added ones as their own text, and merges as in merges.txt. Control tokens are special;
 * user-defined ones are found in every text. Of several that begin at the same place the longest is taken, as in Hugging Face
 * `tokenizers`; llama.cpp looks for longer tokens first, wherever they are.
 */

const PRE_TOKENIZER = "tokenizer.ggml.pre";
const TOKENS = "tokenizer.ggml.tokens";
const TYPES = "tokenizer.ggml.token_type";
const MERGES = "tokenizer.ggml.merges";
const ADD_BOS = "tokenizer.ggml.add_bos_token";
const ADD_EOS = "tokenizer.ggml.add_eos_token";
/** llama.cpp applies it only to SentencePiece. Written so that this reader gives the same ids as the source. */
const ADD_SPACE_PREFIX = "tokenizer.ggml.add_space_prefix";

/** Names for which llama.cpp splits texts by GPT-2's regular expression, also the default for files without a name. */
const PRE_TOKENIZERS = ["gpt-2", "default", "phi-2", "mpt", "olmo", "jais"];

const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

/**
 * The tokenizer in the metadata; undefined if there is none.
 *
 * @param file its name, for errors.
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
    hint: "Only byte-level BPE like GPT-2's is supported. Give the model's tokenizer.json as the tokenizer instead",
  });
}

/** {@link fingerprint} of the tokens and merges of GPT-2, as every program writes them. */
const GPT2_FINGERPRINT = "48928d88182c21f0d27dafd5242925bc";

/** Whether the tokenizer is GPT-2's own: this package makes it ten times faster than from the file's texts. */
function isGpt2(metadata: GgufMetadata): boolean {
  const tokens = metadata.bytes(TOKENS);
  const merges = metadata.bytes(MERGES);
  if (tokens === undefined || merges === undefined) return false;
  if ([ADD_BOS, ADD_EOS, ADD_SPACE_PREFIX].some((key) => metadata.boolean(key))) return false;
  if (!hasGpt2Types(metadata.bytes(TYPES))) return false;
  return `${fingerprint(tokens)}${fingerprint(merges)}` === GPT2_FINGERPRINT;
}

/** Whether only the last token is special. @param types the array as it stands in the file */
function hasGpt2Types(types: Uint8Array | undefined): boolean {
  if (types === undefined) return true;
  // Element type and count take the first 12 bytes; the copy is aligned.
  const kinds = new Int32Array(new Uint8Array(types).buffer, ARRAY_HEADER, (types.length - ARRAY_HEADER) >> 2);
  return (
    kinds.at(-1) === CONTROL &&
    kinds.indexOf(CONTROL) === kinds.length - 1 &&
    kinds.every((kind) => kind === NORMAL || kind === CONTROL)
  );
}

const ARRAY_HEADER = 12;

/** 64 bits from two FNV-1a hashes over four bytes at a time: a vocabulary has two million bytes. */
export function fingerprint(bytes: Uint8Array): string {
  const { buffer, byteOffset, length } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const whole = new Int32Array(buffer, byteOffset, length >> 2);
  const last = new Uint8Array(4);
  last.set(bytes.subarray(4 * whole.length));
  let hashes = hashWords([0x811c9dc5 | 0, length], whole);
  if (length % 4 > 0) hashes = hashWords(hashes, new Int32Array(last.buffer));
  return hashes.map((hash) => (hash >>> 0).toString(16).padStart(8, "0")).join("");
}

/** The loop in a function of its own: V8 optimizes it while it runs, and would deoptimise it for code that follows. */
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
  const merges = metadata.strings(MERGES);
  if (merges === undefined) {
    const hint =
      "Without merges a text would become single bytes. Give the model's tokenizer.json as the tokenizer instead";
    throw metadata.error(MERGES, "an array of strings", hint);
  }
  const types = metadata.numbers(TYPES) ?? [];
  const tokens: Record<string, number> = Object.create(null);
  const added: AddedToken[] = [];
  texts.forEach((text, id) => {
    const type = types[id] ?? NORMAL;
    if (type === UNUSED) return;
    if (text in tokens) {
      const op = `reading ${file}: ${TOKENS}[${id}]`;
      throw new TokenizerError({ op, expected: "tokens that differ", got: `the text of token ${tokens[text]}` });
    }
    tokens[text] = id;
    const special = type === CONTROL || type === UNKNOWN || text === END_OF_TEXT;
    if (special || type === USER_DEFINED) added.push({ id, text, special });
  });
  return vocabularyFromTexts({
    tokens,
    tokensName: `${file}: ${TOKENS}`,
    merges: merges.map((merge, rank) => splitMerge(merge, () => `${file}: ${MERGES}[${rank}]`)),
    mergeName: (rank) => `${file}: ${MERGES}[${rank}]`,
    added,
    extras: extrasFromGguf(metadata, texts.length, tokens[END_OF_TEXT]),
  });
}

/** The start and end of a text in the header. */
function extrasFromGguf(metadata: GgufMetadata, size: number, endOfText: number | undefined): VocabularyExtras {
  const { bosTokenId: bos = endOfText, eosTokenIds } = specialIdsFromGguf(metadata, size);
  const [eos = endOfText] = eosTokenIds;
  const before = metadata.boolean(ADD_BOS) && bos !== undefined ? [bos] : [];
  const after = metadata.boolean(ADD_EOS) && eos !== undefined ? [eos] : [];
  return {
    ...(metadata.boolean(ADD_SPACE_PREFIX) && { addPrefixSpace: true }),
    ...(before.length + after.length > 0 && { template: { before, after } }),
    ...(bos !== eos && bos !== undefined && { startOfText: bos }),
    ...(eos !== endOfText && eos !== undefined && { endOfText: eos }),
  };
}

export interface TokenizerToWrite {
  /** Undefined for a file with ids only. */
  readonly vocabulary?: Vocabulary | undefined;
  /** Size of the model's vocabulary, at least the tokenizer's. */
  readonly vocabSize: number;
  readonly bosTokenId?: number | undefined;
  readonly eosTokenIds: readonly number[];
}

/**
 * The inverse of {@link tokenizerFromGguf}. llama.cpp takes the number of texts as the size of the model's vocabulary, so ids
 * without a token get a unique text and are marked as unused.
 *
 * @throws {TokenizerError} two tokens have the same text, or GGUF has no place for a part of the tokenizer.
 */
export function tokenizerToGguf({ vocabulary, vocabSize, bosTokenId, eosTokenIds }: TokenizerToWrite): MetadataEntry[] {
  const ids: MetadataEntry[] = [];
  if (bosTokenId !== undefined) ids.push([BOS, "u32", bosTokenId]);
  for (const [i, id] of eosTokenIds.entries()) ids.push([eosKey(i), "u32", id]);
  if (vocabulary === undefined) return [[MODEL, "string", NO_TOKENIZER[0]!], ...ids];
  checkWritable(vocabulary, { bosTokenId, eosTokenIds });
  const { texts, types } = writeTokens(vocabulary, vocabSize);
  const { template, addPrefixSpace } = vocabulary;
  return [
    [MODEL, "string", "gpt2"],
    [PRE_TOKENIZER, "string", PRE_TOKENIZERS[0]!],
    [TOKENS, "string[]", texts],
    [TYPES, "i32[]", types],
    [MERGES, "string[]", mergeLines(vocabulary)],
    ...ids,
    [ADD_BOS, "bool", (template?.before.length ?? 0) > 0],
    ...(template?.after.length ? [[ADD_EOS, "bool", true] satisfies MetadataEntry] : []),
    ...(addPrefixSpace ? [[ADD_SPACE_PREFIX, "bool", true] satisfies MetadataEntry] : []),
  ];
}

/** @throws {TokenizerError} there are more tokens that end a text than GGUF has keys for. */
function eosKey(i: number): string {
  const keys = [EOS, ...MORE_EOS];
  const key = keys[i];
  if (key !== undefined) return key;
  throw new TokenizerError({
    op: "writing GGUF",
    expected: `at most ${keys.length} tokens that end a text`,
    got: `${i + 1} or more`,
  });
}

/** @throws {TokenizerError} the vocabulary has a part that affects ids and that GGUF cannot express. */
function checkWritable(
  { added, unknown, template }: Vocabulary,
  { bosTokenId, eosTokenIds }: Pick<TokenizerToWrite, "bosTokenId" | "eosTokenIds">,
): void {
  const refuse = (part: string, expected: string, got: string): never => {
    throw new TokenizerError({ op: `writing GGUF: the tokenizer's ${part}`, expected, got });
  };
  for (const token of added) {
    const flag = (["singleWord", "lstrip", "rstrip"] as const).find((name) => token[name]);
    if (flag) refuse(`token ${JSON.stringify(token.text)}`, `none with ${flag}, which GGUF has no place for`, "true");
  }
  if (unknown) refuse("unknown token", "none: llama.cpp drops bytes without a token", `id ${unknown.id}`);
  const fits = (ids: readonly number[] = [], id: number | undefined): boolean =>
    ids.length === 0 || (ids.length === 1 && ids[0] === id);
  if (!fits(template?.before, bosTokenId) || !fits(template?.after, eosTokenIds[0])) {
    const got = `${template!.before.join(", ")} … ${template!.after.join(", ")}`;
    refuse("template", "at most the model's start before a text and its end after it", got);
  }
}

function writeTokens(vocabulary: Vocabulary, vocabSize: number): { texts: string[]; types: Int32Array } {
  const known = tokenTexts(vocabulary);
  const kinds = new Map(vocabulary.added.map(({ id, special }) => [id, special ? CONTROL : USER_DEFINED]));
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
    types[id] = text === undefined ? UNUSED : (kinds.get(id) ?? NORMAL);
    return text ?? unusedText(id, seen);
  });
  return { texts, types };
}

function unusedText(id: number, seen: ReadonlySet<string>): string {
  let text = `[PAD${id}]`;
  while (seen.has(text)) text = `[${text}]`;
  return text;
}
