import { TokenizerError } from "../errors.js";
import { quote } from "../util/quote.js";
import { isObject, mergeLines, parseObject, splitMerge, tokenText, writeVocabJson } from "./gpt2-files.js";
import type { AddedToken, Vocabulary } from "./vocabulary.js";
import { type VocabularyExtras, type VocabularyTexts, vocabularyFromTexts } from "./vocabulary-from-texts.js";

type Json = Record<string, unknown>;

/**
 * Reads `tokenizer.json` of Hugging Face's `tokenizers`, if it describes a tokenizer of GPT-2's kind: BPE after the
 * ByteLevel pre-tokenizer, without a normalizer.
 *
 * @param name the file's name, for errors.
 * @throws {TokenizerError} malformed, or another kind of tokenizer; the message names the part that is not supported.
 */
export function readTokenizerJson(json: string, name = "tokenizer.json"): Vocabulary {
  return vocabularyFromTexts(parseTokenizerJson(json, name));
}

/** The parts of a tokenizer.json, checked. */
export function parseTokenizerJson(json: string, name: string): VocabularyTexts {
  const file = parseObject(json, name);
  const { vocab, merges, byteLevel, unknown } = checkParts(file, name);
  const mergeName = (rank: number): string => `${name}: model.merges[${rank}]`;
  const added = readAddedTokens(file.added_tokens ?? [], vocab, name);
  const template = readTemplate(file.post_processor, name);
  const extras: VocabularyExtras = {
    ...(byteLevel.add_prefix_space === true && { addPrefixSpace: true }),
    ...(unknown && { unknown }),
    ...(template && { template }),
  };
  return {
    tokens: vocab,
    tokensName: `${name}: model.vocab`,
    merges: merges.map((merge, rank) => readMerge(merge, rank, mergeName)),
    mergeName,
    added,
    extras,
  };
}

interface CheckedParts {
  readonly vocab: Json;
  readonly merges: readonly unknown[];
  readonly byteLevel: Json;
  readonly unknown: Vocabulary["unknown"];
}

/** Checks the parts that determine a text's ids. */
function checkParts(file: Json, name: string): CheckedParts {
  const check = (part: string, fits: boolean, expected: string, got: unknown): void => {
    if (!fits) throw unsupported(`${name}: ${part}`, expected, got);
  };
  const { model, normalizer, pre_tokenizer: pre, decoder } = file;
  check("model", isObject(model), "an object", model);
  const bpe = model as Json;
  // Old files omit the type.
  check("model", bpe.type === "BPE" || (bpe.type === undefined && bpe.merges !== undefined), '"BPE"', bpe);
  const { vocab, merges, unk_token: unk } = bpe;
  check("model.vocab", isObject(vocab), "an object", vocab);
  check("model.merges", Array.isArray(merges), "a list", merges);
  for (const option of [
    "dropout",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "byte_fallback",
    "ignore_merges",
  ]) {
    check(`model.${option}`, !bpe[option], "none", bpe[option]);
  }
  const unkId = typeof unk === "string" ? (vocab as Json)[unk] : undefined;
  check("model.unk_token", unk == null || typeof unkId === "number", "a token of model.vocab, or none", unk);
  check("normalizer", !normalizer, "none", normalizer);
  const byteLevel = isObject(pre) && pre.type === "Sequence" ? onlyPart(pre.pretokenizers) : pre;
  check("pre_tokenizer", isObject(byteLevel) && byteLevel.type === "ByteLevel", '"ByteLevel"', pre);
  const { use_regex: regex, add_prefix_space: prefix } = byteLevel as Json;
  check("pre_tokenizer.add_prefix_space", typeof prefix === "boolean", "true or false", prefix);
  check("pre_tokenizer.use_regex", regex === undefined || regex === true, "true", regex);
  const isByteLevel = !decoder || (isObject(decoder) && decoder.type === "ByteLevel");
  check("decoder", isByteLevel, '"ByteLevel" or none', decoder);
  return {
    vocab: vocab as Json,
    merges: merges as unknown[],
    byteLevel: byteLevel as Json,
    unknown: typeof unkId === "number" ? { id: unkId, fused: bpe.fuse_unk === true } : undefined,
  };
}

function unsupported(part: string, expected: string, got: unknown): TokenizerError {
  return new TokenizerError({
    op: `reading ${part}`,
    expected,
    got: isObject(got) && got.type !== undefined ? `the kind ${quote(describeKind(got))}` : quote(got),
    hint: "Only byte-level BPE like GPT-2's is supported",
  });
}

function onlyPart(parts: unknown): unknown {
  return Array.isArray(parts) && parts.length === 1 ? parts[0] : undefined;
}

/** `WordPiece`, or for a sequence `Sequence of Split, ByteLevel`. */
function describeKind(part: Json): string {
  const parts = part.pretokenizers ?? part.normalizers ?? part.processors;
  const kinds = Array.isArray(parts) ? ` of ${parts.map((p) => kindName(isObject(p) ? p.type : p)).join(", ")}` : "";
  return `${kindName(part.type)}${kinds}`;
}

const kindName = (type: unknown): string => (typeof type === "string" ? type : quote(type));

/** Reads a merge: `"a b"`, or since tokenizers 0.20 `["a", "b"]`. */
function readMerge(merge: unknown, rank: number, nameOf: (rank: number) => string): [string, string] {
  if (typeof merge === "string") return splitMerge(merge, () => nameOf(rank));
  if (Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === "string" && part !== "")) {
    return merge as [string, string];
  }
  throw new TokenizerError({
    op: `reading ${nameOf(rank)}`,
    expected: 'a merge: "a b" or ["a", "b"]',
    got: quote(merge),
  });
}

function readAddedTokens(list: unknown, vocab: Json, name: string): AddedToken[] {
  if (!Array.isArray(list)) {
    throw new TokenizerError({ op: `reading ${name}: added_tokens`, expected: "a list", got: quote(list) });
  }
  const added = new Map<string, AddedToken>();
  list.forEach((token: unknown, index) => {
    const op = `reading ${name}: added_tokens[${index}]`;
    const read = readAddedToken(token, op, isObject(token) ? token.id : undefined);
    if (Object.hasOwn(vocab, read.text) && vocab[read.text] !== read.id) {
      const expected = `id ${quote(vocab[read.text])} as in model.vocab`;
      throw new TokenizerError({ op, expected, got: quote(read.id) });
    }
    added.set(read.text, read);
  });
  return [...added.values()];
}

/**
 * Reads an added token in the form of Hugging Face's files.
 *
 * @param op for errors.
 * @param id of the token.
 */
export function readAddedToken(token: unknown, op: string, id: unknown): AddedToken {
  if (!isObject(token) || typeof token.content !== "string" || typeof id !== "number") {
    throw new TokenizerError({ op, expected: "an object with content and id", got: quote(token) });
  }
  const special = token.special === true;
  return {
    id,
    text: token.content,
    special,
    ...(token.single_word === true && { singleWord: true }),
    ...(token.lstrip === true && { lstrip: true }),
    ...(token.rstrip === true && { rstrip: true }),
    ...((token.normalized ?? !special) === true && { normalized: true }),
  };
}

/** The tokens that a post-processor adds around a single text; undefined if none. */
function readTemplate(processor: unknown, name: string): Vocabulary["template"] {
  const part = `${name}: post_processor`;
  if (!processor) return undefined;
  if (!isObject(processor)) throw unsupported(part, "an object", processor);
  switch (processor.type) {
    case "ByteLevel":
      return undefined;
    case "Sequence": {
      const parts = Array.isArray(processor.processors) ? processor.processors : [];
      const templates = parts.map((p) => readTemplate(p, name)).filter((template) => template !== undefined);
      if (templates.length > 1) throw unsupported(part, "at most one template", processor);
      return templates[0];
    }
    case "RobertaProcessing":
    case "BertProcessing": {
      const [before, after] = [processor.cls, processor.sep].map((pair) => [Array.isArray(pair) ? pair[1] : undefined]);
      return checkedTemplate(before!, after!, part);
    }
    case "TemplateProcessing":
      return readTemplateProcessing(processor, part);
    default:
      throw unsupported(part, '"ByteLevel", "TemplateProcessing" or none', processor);
  }
}

function readTemplateProcessing({ single, special_tokens: special }: Json, part: string): Vocabulary["template"] {
  const pieces = Array.isArray(single) ? single : [];
  const sequence = pieces.findIndex((piece) => isObject(piece) && "Sequence" in piece);
  if (sequence < 0) throw unsupported(`${part}.single`, "a template with a sequence", single);
  const ids = (some: readonly unknown[]): unknown[] =>
    some.flatMap((piece) => {
      const token = isObject(piece) && isObject(piece.SpecialToken) ? piece.SpecialToken.id : undefined;
      const known = isObject(special) && typeof token === "string" ? special[token] : undefined;
      return isObject(known) && Array.isArray(known.ids) ? known.ids : [undefined];
    });
  return checkedTemplate(ids(pieces.slice(0, sequence)), ids(pieces.slice(sequence + 1)), `${part}.single`);
}

function checkedTemplate(before: readonly unknown[], after: readonly unknown[], part: string): Vocabulary["template"] {
  const isId = (id: unknown): id is number => Number.isInteger(id) && (id as number) >= 0;
  const bad = [...before, ...after].find((id) => !isId(id));
  if (bad !== undefined || ![...before, ...after].every(isId)) {
    throw unsupported(part, "special tokens with ids around one sequence", bad);
  }
  if (before.length + after.length === 0) return undefined;
  return { before: before.filter(isId), after: after.filter(isId) };
}

/** A `tokenizer.json` that Hugging Face's `tokenizers` reads, any version from 0.9. */
export function writeTokenizerJson(vocabulary: Vocabulary): string {
  const { added, unknown, addPrefixSpace = false, template } = vocabulary;
  const byteLevel = { type: "ByteLevel", add_prefix_space: addPrefixSpace, trim_offsets: true, use_regex: true };
  const head = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added.map((token) => ({ id: token.id, ...addedTokenJson(token) })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: template ? templateJson(template, vocabulary) : byteLevel,
    decoder: byteLevel,
  };
  const model = {
    type: "BPE",
    dropout: null,
    unk_token: unknown ? tokenText(unknown.id, vocabulary) : null,
    continuing_subword_prefix: "",
    end_of_word_suffix: "",
    fuse_unk: unknown?.fused ?? false,
    byte_fallback: false,
    ignore_merges: false,
  };
  const parts = [
    ...Object.entries(head).map(([key, value]) => `"${key}":${JSON.stringify(value)}`),
    `"model":{${JSON.stringify(model).slice(1, -1)},"vocab":${writeVocabJson(vocabulary)},"merges":${JSON.stringify(mergeLines(vocabulary))}}`,
  ];
  return `{\n${parts.join(",\n")}\n}\n`;
}

/** An added token in the form of Hugging Face's files, without its id. */
export function addedTokenJson(token: AddedToken): Json {
  const { text, special, singleWord = false, lstrip = false, rstrip = false, normalized = false } = token;
  return { content: text, single_word: singleWord, lstrip, rstrip, normalized, special };
}

function templateJson({ before, after }: NonNullable<Vocabulary["template"]>, vocabulary: Vocabulary): Json {
  const token = (id: number): Json => ({ SpecialToken: { id: tokenText(id, vocabulary), type_id: 0 } });
  const single = [...before.map(token), { Sequence: { id: "A", type_id: 0 } }, ...after.map(token)];
  const names = [...new Set([...before, ...after])].map((id) => [id, tokenText(id, vocabulary)] as const);
  return {
    type: "TemplateProcessing",
    single,
    pair: [...single, { Sequence: { id: "B", type_id: 1 } }, ...after.map(token)],
    special_tokens: Object.fromEntries(names.map(([id, text]) => [text, { id: text, ids: [id], tokens: [text] }])),
  };
}
