import type { BertConfig } from "../architectures/bert/config.js";
import { TOKEN_TYPES } from "../architectures/bert/forward.js";
import { ContextLengthError, TokenizerError, UsageError } from "../errors.js";
import type { EncoderText } from "../generate/encoder.js";
import type { EncoderTokenizer } from "../tokenizer/encoder-tokenizer.js";
import type { WordPieceEncoding } from "../tokenizer/wordpiece/tokenizer.js";
import type { TextInput } from "./options.js";

/** Encodes texts for the encoder: ids and token types, at most as many as the model's context. */
export class Texts {
  readonly #tokenizer: EncoderTokenizer | undefined;
  readonly #config: BertConfig;

  constructor(tokenizer: EncoderTokenizer | undefined, config: BertConfig) {
    this.#tokenizer = tokenizer;
    this.#config = config;
  }

  /** @throws {TokenizerError} the model has none. */
  get tokenizer(): EncoderTokenizer {
    if (this.#tokenizer) return this.#tokenizer;
    const hint = "Put its tokenizer.json or vocab.txt beside the weights";
    throw new TokenizerError({ op: "encoding a text", expected: "a model with a tokenizer", got: "none", hint });
  }

  /**
   * @param op for errors
   * @param truncate read only the beginning of a longer text; of two texts, shorten the longer
   * @param most tokens, if the model is to read fewer than its context holds
   * @throws {ContextLengthError} the text is longer, and `truncate` is not set.
   */
  encode(input: TextInput, op: string, truncate: boolean, most: number = this.#config.nCtx): WordPieceEncoding {
    const texts = typeof input === "string" ? input : ([input.text, input.pair] as const);
    const allowedSpecial = "all" as const;
    const whole = this.tokenizer.encode(texts, { allowedSpecial });
    const { nCtx, tokenTypes } = this.#config;
    if (tokenTypes === 1 && whole.typeIds.some((type) => type > 0)) {
      throw new UsageError({ op, expected: "one text: the model has one token type", got: "two" });
    }
    const maxLength = Math.min(nCtx, most);
    if (whole.ids.length <= maxLength) return whole;
    if (truncate) return this.tokenizer.encode(texts, { allowedSpecial, truncation: { maxLength } });
    throw new ContextLengthError({
      op,
      expected: `at most ${maxLength} tokens, the model's context`,
      got: String(whole.ids.length),
      hint: "Set truncate to read its beginning",
    });
  }

  /** The encoder's input for an encoded text. */
  columns({ ids, typeIds }: Pick<WordPieceEncoding, "ids" | "typeIds">): EncoderText {
    return {
      tokens: ids,
      extra: { [TOKEN_TYPES]: this.#config.tokenTypes > 1 ? typeIds : new Uint8Array(ids.length) },
    };
  }

  /** Id of the mask token. @throws {UsageError} there is none. */
  get mask(): number {
    const { maskToken } = this.tokenizer;
    const id = this.tokenizer.idOf(maskToken);
    if (id !== undefined) return id;
    throw new UsageError({ op: `the token ${maskToken}`, expected: "to be in the vocabulary", got: "no such token" });
  }
}
