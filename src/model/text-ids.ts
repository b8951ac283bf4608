import { ContextLengthError, TokenizerError, UsageError } from "../errors.js";
import type { LogLikelihoodRequest } from "../generate/requests.js";
import type { encodePair } from "../tokenizer/encode-pair.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { TextOrIds } from "./options.js";

/** Converts the user's texts or token ids to the engine's input: checked token ids. */
export class TextIds {
  constructor(
    readonly tokenizer: Tokenizer | undefined,
    /** Id of the token that ends a text and starts the next. */
    readonly endOfText: number | undefined,
    readonly vocabSize: number,
    readonly nCtx: number,
  ) {}

  /**
   * Always returns a new array, which no caller can change during a run.
   *
   * @param addSpecialTokens false for a text that is scored, or for a part of a text.
   */
  encode(text: TextOrIds, addSpecialTokens = true): number[] {
    return Array.from(typeof text === "string" ? this.needTokenizer("text").encode(text, { addSpecialTokens }) : text);
  }

  /** The ids of a prompt; an empty prompt becomes the start of a text. */
  encodePrompt(text: TextOrIds): number[] {
    const ids = this.encode(text);
    return ids.length > 0 ? ids : this.start();
  }

  /** The ids of a pair; `encode` tokenizes context and continuation together if both are text. */
  encodePair({ context, continuation }: LogLikelihoodRequest<TextOrIds>, encode: typeof encodePair) {
    const [start] = this.start();
    if (typeof context === "string" && typeof continuation === "string" && start !== undefined) {
      return encode(this.needTokenizer("text"), start, context, continuation);
    }
    const ids = this.encode(context, false);
    return { context: ids.length > 0 ? ids : this.start(), continuation: this.encode(continuation, false) };
  }

  /** @throws {UsageError} there is nothing to score. */
  encodeScored(text: TextOrIds): number[] {
    const ids = this.encode(text, false);
    if (ids.length > 0) return ids;
    throw new UsageError({ op: "text to score", expected: "at least one token", got: "no tokens" });
  }

  /** @throws {UsageError} there is nothing for the first scored token to follow. */
  scoreContext(context: TextOrIds | undefined): number[] {
    const ids = context === undefined ? this.start() : this.encode(context, false);
    if (ids.length > 0) return ids;
    throw new UsageError({
      op: "context of the text to score",
      expected: "at least one token, for the first of the text to follow",
      got: "no tokens",
      ...(context === undefined && { hint: "This model has no <|endoftext|>: give a context" }),
    });
  }

  /**
   * Ids of a text that fits one run.
   *
   * @throws {UsageError} an empty text, or an id outside the vocabulary.
   * @throws {ContextLengthError} it is longer than the context, and not to be truncated.
   */
  encodeWhole(text: TextOrIds, op: string, truncate: boolean): number[] {
    const ids = this.encode(text);
    if (ids.length === 0) throw new UsageError({ op, expected: "at least one token", got: "no tokens" });
    const bad = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < this.vocabSize));
    if (bad !== undefined) {
      throw new UsageError({ op, expected: `token ids from 0 to ${this.vocabSize - 1}`, got: String(bad) });
    }
    if (truncate) return ids.slice(0, this.nCtx);
    return this.checkFits(ids, op, "Set truncate to read only its beginning");
  }

  /** @throws {ContextLengthError} there are more ids than the context has room for. */
  checkFits(ids: number[], op: string, hint?: string): number[] {
    if (ids.length <= this.nCtx) return ids;
    const expected = `at most ${this.nCtx} tokens, the model's context`;
    throw new ContextLengthError({ op, expected, got: String(ids.length), ...(hint !== undefined && { hint }) });
  }

  /** @throws {TokenizerError} the model has no tokenizer. */
  needTokenizer(use: string): Tokenizer {
    if (this.tokenizer) return this.tokenizer;
    throw new TokenizerError({
      op: use,
      expected: "a tokenizer",
      got: `a model of ${this.vocabSize} tokens without one`,
      hint: "Give token ids, or put the model's tokenizer.json beside its weights",
    });
  }

  /** The token with which a text begins, if the model has one. */
  start(): number[] {
    return this.endOfText === undefined ? [] : [this.endOfText];
  }
}
