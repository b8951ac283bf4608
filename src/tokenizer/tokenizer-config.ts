import { isObject, parseObject, tokenText } from "./gpt2-files.js";
import { addedTokenJson, readAddedToken } from "./tokenizer-json.js";
import { type AddedToken, END_OF_TEXT, endOfTextOf, type Vocabulary } from "./vocabulary.js";
import type { VocabularyExtras, VocabularyTexts } from "./vocabulary-from-texts.js";

/**
 * tokenizer_config.json and the older special_tokens_map.json, read like transformers' AutoTokenizer (5.24,
 * tokenization_utils_base.py `_from_pretrained`; scripts/python/make_tokenizer_variants_fixture.py compares). These of their
 * fields change ids:
 *
 * - `tokenizer_class`: GPT2Tokenizer, the default for a GPT-2, takes only the tokens and merges from
 *   tokenizer.json, and the rest from the fields below. Other classes use all of tokenizer.json;
 * - `add_prefix_space`: of GPT2Tokenizer, false by default, whatever tokenizer.json says;
 * - `add_bos_token`, `add_eos_token`: with vocab.json and merges.txt; tokenizer.json has a post-processor for it;
 * - `added_tokens_decoder`, `bos_token`, `eos_token`, `unk_token`, `pad_token` … and `additional_special_tokens`, all of
 *   which become added tokens.
 *
 * `model_max_length`, `padding_side`, `errors`, `split_special_tokens` and `clean_up_tokenization_spaces` change no ids.
 */

type Json = Record<string, unknown>;

/** A file's text, and its name for errors. */
export interface NamedText {
  readonly name: string;
  readonly text: string;
}

/** The files beside the vocabulary. */
export interface TokenizerConfigFiles {
  /** tokenizer_config.json */
  readonly config?: NamedText | undefined;
  /** special_tokens_map.json */
  readonly specialTokensMap?: NamedText | undefined;
  /** The model's config.json, which gives the class of its tokenizer if nothing else does. */
  readonly modelConfig?: NamedText | undefined;
}

/** transformers' SPECIAL_TOKENS_ATTRIBUTES, in its order. */
const NAMED_TOKENS = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/**
 * Completes the parts of a vocabulary from the files beside it.
 *
 * @param isJson whether the parts come from a tokenizer.json.
 * @throws {TokenizerError} one of the files is malformed.
 */
export function applyTokenizerConfig(
  texts: VocabularyTexts,
  files: TokenizerConfigFiles,
  isJson: boolean,
): VocabularyTexts {
  const { config, specialTokensMap, modelConfig } = files;
  if (!config && !specialTokensMap && !modelConfig) return texts;
  const read = (file: NamedText | undefined): Json => (file ? parseObject(file.text, file.name) : {});
  const settings = read(config);
  const isGpt2 = !isJson || isGpt2Class(settings.tokenizer_class ?? read(modelConfig).tokenizer_class);
  const decoder = settings.added_tokens_decoder;
  const added = new AddedTokens(texts.tokens, isObject(decoder) && isGpt2 ? [] : texts.added);
  for (const [id, token] of Object.entries(isObject(decoder) ? decoder : {})) {
    added.put(readAddedToken(token, `reading ${config!.name}: added_tokens_decoder[${id}]`, Number(id)));
  }
  const names = isObject(decoder) ? settings : { ...settings, ...read(specialTokensMap) };
  for (const token of namedTokens(names)) added.putSpecial(token);
  const endOfText = added.idOf(END_OF_TEXT);
  // GPT2Tokenizer's default for these; transformers even adds the token to a vocabulary without it.
  const hasDefault = isGpt2 && ["bos_token", "eos_token", "unk_token"].some((name) => names[name] === undefined);
  if (hasDefault && endOfText !== undefined) added.putSpecial(END_OF_TEXT);
  const [bos = endOfText, eos = endOfText] = [names.bos_token, names.eos_token].map((t) => added.idOf(contentOf(t)));
  const { addPrefixSpace, unknown, ...rest } = texts.extras ?? {};
  const template = isJson ? undefined : templateOf(settings, bos, eos);
  const prefixed = isGpt2 ? settings.add_prefix_space === true : addPrefixSpace;
  const extras: VocabularyExtras = {
    ...rest,
    ...(template && { template }),
    ...(prefixed && { addPrefixSpace: true }),
    ...(unknown && !isGpt2 && { unknown }),
    ...(bos !== eos && bos !== undefined && { startOfText: bos }),
    ...(eos !== endOfText && eos !== undefined && { endOfText: eos }),
  };
  return { ...texts, added: added.list, extras };
}

const isGpt2Class = (name: unknown): boolean =>
  typeof name !== "string" || name === "" || /^GPT2Tokenizer(Fast)?$/.test(name);

/** Special tokens by name and in lists, as texts or objects. */
function namedTokens(settings: Json): (string | Json)[] {
  const others = Object.keys(settings).filter((key) => key.endsWith("_token") && !NAMED_TOKENS.includes(key));
  const lists = [settings.extra_special_tokens, settings.additional_special_tokens].flatMap((list) =>
    Array.isArray(list) ? list : isObject(list) ? Object.values(list) : [],
  );
  const all = [...NAMED_TOKENS.map((name) => settings[name]), ...lists, ...others.map((key) => settings[key])];
  return all.filter((token): token is string | Json => contentOf(token) !== undefined);
}

function contentOf(token: unknown): string | undefined {
  const content = isObject(token) ? token.content : token;
  return typeof content === "string" && content !== "" ? content : undefined;
}

/** A collection of added tokens: one for each text. */
class AddedTokens {
  readonly #tokens: Json;
  readonly #byText: Map<string, AddedToken>;
  /** Determined once a token is new. */
  #nextId: number | undefined;

  constructor(tokens: Json, added: readonly AddedToken[]) {
    this.#tokens = tokens;
    this.#byText = new Map(added.map((token) => [token.text, token]));
  }

  get list(): readonly AddedToken[] {
    return [...this.#byText.values()];
  }

  idOf(text: string | undefined): number | undefined {
    if (text === undefined) return undefined;
    return (
      this.#byText.get(text)?.id ?? (Object.hasOwn(this.#tokens, text) ? (this.#tokens[text] as number) : undefined)
    );
  }

  /** Adds a token or changes its flags; a token of the vocabulary keeps its id. */
  put(token: AddedToken): void {
    const id = this.idOf(token.text) ?? token.id;
    this.#byText.set(token.text, { ...token, id });
    if (this.#nextId !== undefined) this.#nextId = Math.max(this.#nextId, id + 1);
  }

  #newId(): number {
    this.#nextId ??= [...Object.values(this.#tokens), ...this.list.map(({ id }) => id)].reduce<number>(
      (next, id) => Math.max(next, Number(id) + 1),
      0,
    );
    return this.#nextId;
  }

  /** Makes a token special; a new one gets the next id. */
  putSpecial(named: string | Json): void {
    const text = contentOf(named)!;
    const known = this.#byText.get(text);
    const flags =
      known ?? (isObject(named) ? readAddedToken({ ...named, special: true }, "", 0) : { text, special: true });
    this.put({ ...flags, special: true, id: this.idOf(text) ?? this.#newId() });
  }
}

/** `add_bos_token` and `add_eos_token` for vocab.json and merges.txt. */
function templateOf(settings: Json, bos: number | undefined, eos: number | undefined): Vocabulary["template"] {
  const before = settings.add_bos_token === true && bos !== undefined ? [bos] : [];
  const after = settings.add_eos_token === true && eos !== undefined ? [eos] : [];
  return before.length + after.length > 0 ? { before, after } : undefined;
}

/** tokenizer_config.json for a vocabulary, with which transformers gives the same ids. */
export function writeTokenizerConfig(vocabulary: Vocabulary): string {
  const { added, unknown, addPrefixSpace = false, startOfText } = vocabulary;
  const endOfText = endOfTextOf(vocabulary);
  const end = endOfText === undefined ? undefined : tokenText(endOfText, vocabulary);
  const start = startOfText === undefined ? end : tokenText(startOfText, vocabulary);
  const unk = unknown ? tokenText(unknown.id, vocabulary) : end;
  const config = {
    added_tokens_decoder: Object.fromEntries(added.map((token) => [token.id, addedTokenJson(token)])),
    add_prefix_space: addPrefixSpace,
    ...(start !== undefined && { bos_token: start }),
    ...(end !== undefined && { eos_token: end }),
    ...(unk !== undefined && { unk_token: unk }),
    // GPT2Tokenizer has no unknown token, and adds an <|endoftext|> where nothing ends a text.
    tokenizer_class: unknown || end === undefined ? "PreTrainedTokenizerFast" : "GPT2Tokenizer",
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}
