import { TokenizerError } from "../../errors.js";
import { quote } from "../../util/quote.js";
import { isObject, parseObject } from "../gpt2-files.js";
import type { NamedText } from "../tokenizer-config.js";
import type { ReadText } from "../tokenizer-folder.js";
import { addedTokenJson, readAddedToken } from "../tokenizer-json.js";
import { type AddedToken, MOST_IDS } from "../vocabulary.js";
import type { NormalizerOptions } from "./normalize.js";
import {
  BERT_TOKENS,
  bertNormalizer,
  bertVocabulary,
  type Template,
  type TemplatePiece,
  type WordPieceVocabulary,
} from "./vocabulary.js";

type Json = Record<string, unknown>;

/**
 * Reads vocab.txt: one token per line, whose number from 0 is its id.
 *
 * @param config tokenizer_config.json, which gives the normalization and the special tokens.
 * @throws {TokenizerError} a repeated token, or no `[UNK]`, `[CLS]` or `[SEP]`.
 */
export function readVocabTxt({ name, text }: NamedText, config?: NamedText): WordPieceVocabulary {
  const op = `reading ${name}`;
  const lines = text.replace(/\r?\n$/, "").split("\n");
  const tokens = lines.map((line) => line.trimEnd() || undefined);
  const seen = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    if (token === undefined) continue;
    const other = seen.get(token);
    if (other !== undefined) {
      const got = `${quote(token)}, as in line ${other + 1}`;
      throw new TokenizerError({ op: `${op}: line ${id + 1}`, expected: "a unique token", got });
    }
    seen.set(token, id);
  }
  const settings = config ? parseObject(config.text, config.name) : {};
  return withAdded(
    bertVocabulary(tokens, normalizerOf(settings), namesOf(settings), op),
    settings,
    config?.name ?? name,
  );
}

/** do_lower_case, strip_accents and tokenize_chinese_chars, with BertTokenizer's defaults. */
function normalizerOf({ do_lower_case: lower, strip_accents: strip, tokenize_chinese_chars: chinese }: Json) {
  const lowercase = lower !== false;
  return bertNormalizer(lowercase, typeof strip === "boolean" ? strip : lowercase, chinese !== false);
}

function namesOf(settings: Json): Record<keyof typeof BERT_TOKENS, string> {
  const named = (key: string, standard: string): string => {
    const token = settings[key];
    const content = isObject(token) ? token.content : token;
    return typeof content === "string" ? content : standard;
  };
  return {
    unknown: named("unk_token", BERT_TOKENS.unknown),
    sep: named("sep_token", BERT_TOKENS.sep),
    pad: named("pad_token", BERT_TOKENS.pad),
    cls: named("cls_token", BERT_TOKENS.cls),
    mask: named("mask_token", BERT_TOKENS.mask),
  };
}

/** The vocabulary with the tokens of added_tokens_decoder. */
function withAdded(vocabulary: WordPieceVocabulary, settings: Json, name: string): WordPieceVocabulary {
  const decoder = settings.added_tokens_decoder;
  if (!isObject(decoder)) return vocabulary;
  const listed = Object.entries(decoder).map(([id, token]) =>
    readAddedToken(token, `reading ${name}: added_tokens_decoder[${id}]`, Number(id)),
  );
  return addTokens(vocabulary, listed);
}

/** Adds tokens, or changes the flags of existing ones. */
function addTokens(vocabulary: WordPieceVocabulary, more: readonly AddedToken[]): WordPieceVocabulary {
  const added = new Map(vocabulary.added.map((token) => [token.text, token]));
  const tokens = [...vocabulary.tokens];
  const ids = new Map<string, number>();
  for (const [id, token] of tokens.entries()) if (token !== undefined && !ids.has(token)) ids.set(token, id);
  for (const token of more) {
    const id = ids.get(token.text) ?? token.id;
    if (!Number.isInteger(id) || id < 0 || id >= MOST_IDS) {
      const op = `reading added tokens: ${quote(token.text)}`;
      throw new TokenizerError({ op, expected: `an id from 0 to ${MOST_IDS - 1}`, got: quote(id) });
    }
    added.set(token.text, { ...token, id });
    while (tokens.length <= id) tokens.push(undefined);
    tokens[id] ??= token.text;
    if (tokens[id] === token.text) ids.set(token.text, id);
  }
  return { ...vocabulary, tokens, added: [...added.values()].sort((a, b) => a.id - b.id) };
}

/**
 * Reads a tokenizer.json that describes a BERT tokenizer.
 *
 * @throws {TokenizerError} malformed, or another kind; the message names the unsupported part.
 */
export function readWordPieceJson({ name, text }: NamedText): WordPieceVocabulary {
  const file = parseObject(text, name);
  const check = (part: string, fits: boolean, expected: string, got: unknown): void => {
    if (fits) return;
    const kind = isObject(got) && got.type !== undefined ? `the kind ${quote(got.type)}` : quote(got);
    throw new TokenizerError({
      op: `reading ${name}: ${part}`,
      expected,
      got: kind,
      hint: "Only WordPiece like BERT's is supported",
    });
  };
  const isKind = (part: unknown, type: string): part is Json => isObject(part) && part.type === type;
  const { model, normalizer, pre_tokenizer: pre, post_processor: post, decoder } = file;
  check("model", isKind(model, "WordPiece"), '"WordPiece"', model);
  const {
    vocab,
    unk_token: unk,
    continuing_subword_prefix: prefix = "##",
    max_input_chars_per_word: max = 100,
  } = model as Json;
  check("model.vocab", isObject(vocab), "an object", vocab);
  check("model.continuing_subword_prefix", typeof prefix === "string" && prefix !== "", "a text", prefix);
  check("model.max_input_chars_per_word", Number.isInteger(max), "an integer", max);
  check("normalizer", isKind(normalizer, "BertNormalizer"), '"BertNormalizer"', normalizer);
  check("pre_tokenizer", isKind(pre, "BertPreTokenizer"), '"BertPreTokenizer"', pre);
  check("decoder", !decoder || isKind(decoder, "WordPiece"), '"WordPiece" or none', decoder);
  const tokens = tokensById(vocab as Json, `${name}: model.vocab`);
  const unknown = typeof unk === "string" ? tokens.indexOf(unk) : -1;
  check("model.unk_token", unknown >= 0, "a token of model.vocab", unk);
  const template = readTemplate(post, (expected, got) => check("post_processor", false, expected, got));
  const list = Array.isArray(file.added_tokens) ? file.added_tokens : [];
  const listed = list.map((token: unknown, i) =>
    readAddedToken(token, `reading ${name}: added_tokens[${i}]`, isObject(token) ? token.id : undefined),
  );
  const bare: WordPieceVocabulary = {
    tokens,
    unknown,
    prefix: prefix as string,
    maxWordChars: max as number,
    normalizer: readNormalizer(normalizer as Json),
    added: [],
    template,
  };
  return addTokens(bare, listed);
}

function tokensById(vocab: Json, name: string): (string | undefined)[] {
  const tokens: (string | undefined)[] = [];
  for (const [token, id] of Object.entries(vocab)) {
    const op = `reading ${name}: token ${quote(token)}`;
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= 2 ** 24) {
      throw new TokenizerError({ op, expected: "an id from 0 to 16777215", got: quote(id) });
    }
    if (tokens[id] !== undefined) throw new TokenizerError({ op, expected: "a unique id", got: String(id) });
    while (tokens.length <= id) tokens.push(undefined);
    tokens[id] = token;
  }
  return tokens;
}

function readNormalizer(part: Json): NormalizerOptions {
  const lowercase = part.lowercase !== false;
  return {
    cleanText: part.clean_text !== false,
    chineseChars: part.handle_chinese_chars !== false,
    stripAccents: typeof part.strip_accents === "boolean" ? part.strip_accents : lowercase,
    lowercase,
  };
}

const isId = (id: unknown): id is number => Number.isInteger(id) && (id as number) >= 0;

function readTemplate(post: unknown, refuse: (expected: string, got: unknown) => void): Template {
  const alone: Template = {
    single: [{ text: 0, type: 0 }],
    pair: [
      { text: 0, type: 0 },
      { text: 1, type: 1 },
    ],
  };
  if (!post) return alone;
  const { type, single, pair, special_tokens: special, cls, sep } = post as Json;
  if (type === "BertProcessing") {
    const [a, b] = [cls, sep].map((token) => (Array.isArray(token) ? token[1] : undefined));
    if (!isId(a) || !isId(b)) refuse("cls and sep with ids", post);
    const before: TemplatePiece[] = [
      { id: a as number, type: 0 },
      { text: 0, type: 0 },
      { id: b as number, type: 0 },
    ];
    return { single: before, pair: [...before, { text: 1, type: 1 }, { id: b as number, type: 1 }] };
  }
  if (type !== "TemplateProcessing") refuse('"TemplateProcessing", "BertProcessing" or none', post);
  const pieces = (list: unknown): TemplatePiece[] =>
    (Array.isArray(list) ? list : []).flatMap((piece: unknown): TemplatePiece[] => {
      const { SpecialToken: token, Sequence: sequence } = isObject(piece) ? piece : {};
      const given: unknown = isObject(sequence) ? sequence.type_id : isObject(token) ? token.type_id : undefined;
      if (!isId(given)) refuse("pieces with a type_id", piece);
      const type = given as number;
      if (isObject(sequence)) return [{ text: sequence.id === "B" ? 1 : 0, type }];
      const id = isObject(token) ? token.id : undefined;
      const known = typeof id === "string" && isObject(special) ? special[id] : undefined;
      const ids = isObject(known) && Array.isArray(known.ids) ? known.ids : [undefined];
      if (!ids.every(isId)) refuse("special tokens with ids", piece);
      return ids.map((id) => ({ id, type }));
    });
  const template = { single: pieces(single), pair: pieces(pair) };
  const texts = [template.single, template.pair].map((list) =>
    list.flatMap((p) => ("text" in p ? [p.text] : [])).join(),
  );
  if (texts[0] !== "0" || texts[1] !== "0,1") refuse("a template with A, and one with A before B", texts.join(" and "));
  return template;
}

/**
 * Reads the tokenizer of a folder like transformers: tokenizer.json, else vocab.txt. For a BertTokenizer (the class unless
 * tokenizer_config.json names another) tokenizer_config.json gives the normalization, and the template is BERT's, whatever
 * tokenizer.json says.
 *
 * @returns undefined if neither file exists.
 */
export async function readWordPieceFolder(read: ReadText): Promise<WordPieceVocabulary | undefined> {
  const config = await read("tokenizer_config.json");
  const json = await read("tokenizer.json");
  if (json === undefined) {
    const vocab = await read("vocab.txt");
    return vocab && readVocabTxt(vocab, config);
  }
  const vocabulary = readWordPieceJson(json);
  if (config === undefined) return vocabulary;
  const settings = parseObject(config.text, config.name);
  const { tokenizer_class: kind } = settings;
  if (typeof kind === "string" && !/^((Distil|Mobile)?Bert|Electra)Tokenizer(Fast)?$/.test(kind)) return vocabulary;
  const { tokens, added } = vocabulary;
  const bert = bertVocabulary(tokens, normalizerOf(settings), namesOf(settings), `reading ${json.name}`);
  return withAdded(isObject(settings.added_tokens_decoder) ? bert : addTokens(bert, added), settings, config.name);
}

/** vocab.txt: one token per line. @throws {TokenizerError} an id has no token. */
export function writeVocabTxt({ tokens }: WordPieceVocabulary): string {
  // biome-ignore lint/complexity/useIndexOf: indexOf skips holes.
  const hole = tokens.findIndex((token) => token === undefined);
  if (hole < 0) return tokens.map((token) => `${token}\n`).join("");
  throw new TokenizerError({ op: "writing vocab.txt", expected: "a token for each id", got: `no token for ${hole}` });
}

/** A `tokenizer.json` that Hugging Face's `tokenizers` reads. @throws {TokenizerError} the normalizer is the legacy one. */
export function writeWordPieceJson(vocabulary: WordPieceVocabulary): string {
  const { tokens, unknown, prefix, maxWordChars, normalizer, added, template } = vocabulary;
  if (normalizer.legacy) {
    throw new TokenizerError({
      op: "writing tokenizer.json",
      expected: "tokenizers' normalizer",
      got: "the legacy one",
    });
  }
  const pieces = (list: readonly TemplatePiece[]): Json[] =>
    list.map((piece) =>
      "id" in piece
        ? { SpecialToken: { id: tokens[piece.id], type_id: piece.type } }
        : { Sequence: { id: piece.text === 0 ? "A" : "B", type_id: piece.type } },
    );
  const ids = new Set([...template.single, ...template.pair].flatMap((piece) => ("id" in piece ? [piece.id] : [])));
  const special = Array.from(ids, (id) => [tokens[id]!, { id: tokens[id], ids: [id], tokens: [tokens[id]] }] as const);
  const file = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added.map((token) => ({ id: token.id, ...addedTokenJson(token) })),
    normalizer: {
      type: "BertNormalizer",
      clean_text: normalizer.cleanText,
      handle_chinese_chars: normalizer.chineseChars,
      strip_accents: normalizer.stripAccents,
      lowercase: normalizer.lowercase,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: pieces(template.single),
      pair: pieces(template.pair),
      special_tokens: Object.fromEntries(special),
    },
    decoder: { type: "WordPiece", prefix, cleanup: true },
  };
  // Joined from text because JavaScript objects put keys that look like numbers first.
  const vocab = tokens.flatMap((token, id) => (token === undefined ? [] : [`${JSON.stringify(token)}:${id}`]));
  const model = {
    type: "WordPiece",
    unk_token: tokens[unknown],
    continuing_subword_prefix: prefix,
    max_input_chars_per_word: maxWordChars,
  };
  return `${JSON.stringify(file).slice(0, -1)},"model":{${JSON.stringify(model).slice(1, -1)},"vocab":{${vocab.join(",")}}}}\n`;
}

/** tokenizer_config.json for transformers' BertTokenizer. */
export function writeWordPieceConfig({ normalizer, added }: WordPieceVocabulary): string {
  const names = Object.entries(BERT_TOKENS).filter(([, text]) => added.some((token) => token.text === text));
  const config = {
    added_tokens_decoder: Object.fromEntries(added.map((token) => [token.id, addedTokenJson(token)])),
    ...Object.fromEntries(names.map(([use, text]) => [`${use === "unknown" ? "unk" : use}_token`, text])),
    do_lower_case: normalizer.lowercase,
    strip_accents: normalizer.stripAccents,
    tokenize_chinese_chars: normalizer.chineseChars,
    tokenizer_class: "BertTokenizer",
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}
