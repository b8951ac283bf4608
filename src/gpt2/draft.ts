import { UsageError } from "../errors.js";
import { draftModelOf } from "../generate/draft-model.js";
import type { GenerationModel } from "../generate/generate.js";
import type { GenerateSettings } from "../generate/options.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";

const DEFAULT_TOKENS = 4;
/** A draft and the token before it are one pass over the weights. */
const MOST_TOKENS = 16;

/** A model and its tokenizer. */
interface Vocabulary {
  readonly generation: GenerationModel;
  readonly tokenizer: Tokenizer | undefined;
}

/**
 * The setting for generating with a draft model.
 *
 * @throws {UsageError} another vocabulary, an impossible length, or prompt lookup beside it.
 */
export function draftSetting(
  own: Vocabulary,
  draft: Vocabulary,
  tokens = DEFAULT_TOKENS,
  { promptLookup }: GenerateSettings,
): GenerateSettings["draft"] {
  if (!(Number.isSafeInteger(tokens) && tokens >= 1 && tokens <= MOST_TOKENS)) {
    throw new UsageError({ op: "draftTokens", expected: `an integer from 1 to ${MOST_TOKENS}`, got: String(tokens) });
  }
  if (promptLookup > 0)
    throw new UsageError({ op: "draft", expected: "no promptLookup with it", got: String(promptLookup) });
  checkVocabulary(own, draft);
  return { model: draftModelOf(draft.generation.scheduler.engine), tokens };
}

/** @throws {UsageError} the models' tokens differ. */
function checkVocabulary(own: Vocabulary, draft: Vocabulary): void {
  const size = own.generation.vocabLimit;
  const got = draft.generation.vocabLimit;
  if (got !== size) throw wrong(`a model of ${size} tokens, as this one`, `one of ${got}`);
  const [a, b] = [own.tokenizer, draft.tokenizer];
  if (!a || !b || a === b) return;
  const differs = SAMPLES.find((text) => a.encode(text).join() !== b.encode(text).join());
  if (differs !== undefined) throw wrong("a model with the same tokenizer", "one with another");
}

/** Texts that tokenizers trained on different texts cut differently. */
const SAMPLES = [
  "The quick brown fox jumped over the lazy dogs; Elizabeth's grandmother remembered everything, surprisingly.",
  "In 1997, 3.14% of the municipal government's representatives disagreed about international transportation.",
];

function wrong(expected: string, got: string): UsageError {
  const hint = "A draft model is a smaller one trained with the same tokenizer";
  return new UsageError({ op: "draft", expected, got, hint });
}
