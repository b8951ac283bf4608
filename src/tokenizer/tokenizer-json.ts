import { TokenizerError } from "../errors.js";
import { isObject, mergeLines, parseObject, splitMerge, writeVocabJson } from "./gpt2-files.js";
import type { Vocabulary } from "./vocabulary.js";
import { quote, vocabularyFromTexts } from "./vocabulary-from-texts.js";

/**
 * Reads `tokenizer.json` of Hugging Face's `tokenizers`, if it describes a tokenizer of GPT-2's kind: BPE after the
 * ByteLevel pre-tokenizer, no normalizer, nothing added around the text. Added tokens become special tokens.
 *
 * @param name what errors call the file.
 * @throws {TokenizerError} malformed, or another kind of tokenizer; the message names the part that is not supported.
 */
export function readTokenizerJson(json: string, name = "tokenizer.json"): Vocabulary {
  const file = parseObject(json, name);
  checkParts(file, name);
  const model = file.model as Record<string, unknown>;
  return vocabularyFromTexts({
    tokens: model.vocab as Record<string, unknown>,
    tokensName: `${name}: model.vocab`,
    merges: (model.merges as unknown[]).map((merge, rank) => readMerge(merge, `${name}: model.merges[${rank}]`)),
    mergeName: (rank) => `${name}: model.merges[${rank}]`,
    special: readAddedTokens(file.added_tokens ?? [], model.vocab as Record<string, unknown>, name),
  });
}

/** Every part that changes what ids a text gets must be as GPT-2 has it. */
function checkParts(file: Record<string, unknown>, name: string): void {
  const check = (part: string, fits: boolean, expected: string, got: unknown): void => {
    if (fits) return;
    throw new TokenizerError({
      op: `reading ${name}: ${part}`,
      expected,
      got: isObject(got) && got.type !== undefined ? `the kind ${quote(describeKind(got))}` : quote(got),
      hint: "Only byte-level BPE as GPT-2's is supported.",
    });
  };
  const { model, normalizer, pre_tokenizer: pre, post_processor: post, decoder } = file;
  check("model", isObject(model), "an object", model);
  const bpe = model as Record<string, unknown>;
  // Old files leave the type out.
  check("model", bpe.type === "BPE" || (bpe.type === undefined && bpe.merges !== undefined), '"BPE"', bpe);
  check("model.vocab", isObject(bpe.vocab), "an object", bpe.vocab);
  check("model.merges", Array.isArray(bpe.merges), "a list", bpe.merges);
  check("model.dropout", !bpe.dropout, "none", bpe.dropout);
  for (const option of ["continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"]) {
    check(`model.${option}`, !bpe[option], "none", bpe[option]);
  }
  check("normalizer", !normalizer, "none", normalizer);
  const byteLevel = isObject(pre) && pre.type === "Sequence" ? onlyPart(pre.pretokenizers) : pre;
  const isByteLevel = isObject(byteLevel) && byteLevel.type === "ByteLevel";
  check("pre_tokenizer", isByteLevel, '"ByteLevel"', pre);
  const { add_prefix_space: prefix, use_regex: regex } = byteLevel as Record<string, unknown>;
  check("pre_tokenizer.add_prefix_space", prefix === false, "false", prefix);
  check("pre_tokenizer.use_regex", regex === undefined || regex === true, "true", regex);
  const plain = (part: unknown): boolean => !part || (isObject(part) && part.type === "ByteLevel");
  check("post_processor", plain(post), '"ByteLevel" or none', post);
  check("decoder", plain(decoder), '"ByteLevel" or none', decoder);
}

function onlyPart(parts: unknown): unknown {
  return Array.isArray(parts) && parts.length === 1 ? parts[0] : undefined;
}

/** `WordPiece`, or for a sequence `Sequence of Split, ByteLevel`. */
function describeKind(part: Record<string, unknown>): string {
  const parts = part.pretokenizers ?? part.normalizers ?? part.processors;
  const kinds = Array.isArray(parts) ? ` of ${parts.map((p) => (isObject(p) ? p.type : p)).join(", ")}` : "";
  return `${part.type}${kinds}`;
}

/** `"a b"`, or since tokenizers 0.20 `["a", "b"]`. */
function readMerge(merge: unknown, name: string): [string, string] {
  if (typeof merge === "string") return splitMerge(merge, name);
  if (Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === "string" && part !== "")) {
    return merge as [string, string];
  }
  throw new TokenizerError({ op: `reading ${name}`, expected: 'a merge: "a b" or ["a", "b"]', got: quote(merge) });
}

function readAddedTokens(list: unknown, vocab: Record<string, unknown>, name: string): Map<string, number> {
  const special = new Map<string, number>();
  if (!Array.isArray(list)) {
    throw new TokenizerError({ op: `reading ${name}: added_tokens`, expected: "a list", got: quote(list) });
  }
  list.forEach((token: unknown, index) => {
    const op = `reading ${name}: added_tokens[${index}]`;
    if (!isObject(token) || typeof token.content !== "string" || typeof token.id !== "number") {
      throw new TokenizerError({ op, expected: "an object with content and id", got: quote(token) });
    }
    const { content, id } = token;
    for (const option of ["single_word", "lstrip", "rstrip"]) {
      if (!token[option]) continue;
      throw new TokenizerError({
        op: `${op} (${quote(content)}): ${option}`,
        expected: "false",
        got: quote(token[option]),
        hint: "Only special tokens that stand exactly for their text are supported.",
      });
    }
    if (Object.hasOwn(vocab, content) && vocab[content] !== id) {
      throw new TokenizerError({ op, expected: `id ${quote(vocab[content])} as in model.vocab`, got: String(id) });
    }
    special.set(content, id);
  });
  return special;
}

/** `tokenizer.json` as Hugging Face's `tokenizers` reads it, any version from 0.9. */
export function writeTokenizerJson(vocabulary: Vocabulary): string {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const added = [...vocabulary.special].map(([content, id]) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const head = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: byteLevel,
    decoder: byteLevel,
  };
  const model = {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: "",
    end_of_word_suffix: "",
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
  };
  const parts = [
    ...Object.entries(head).map(([key, value]) => `"${key}":${JSON.stringify(value)}`),
    `"model":{${JSON.stringify(model).slice(1, -1)},"vocab":${writeVocabJson(vocabulary)},"merges":${JSON.stringify(mergeLines(vocabulary))}}`,
  ];
  return `{\n${parts.join(",\n")}\n}\n`;
}
