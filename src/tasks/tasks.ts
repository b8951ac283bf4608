import type { AnswerOptions } from "./answer.js";
import type { LabelChoice, LabelOptions } from "./classify.js";
import type { CompleteOptions } from "./complete.js";
import type { SummarizeOptions } from "./summarize.js";
import type { TranslateOptions } from "./translate.js";
import type { PromptedModel, TaskOutput } from "./write.js";

/**
 * Tasks that a language model was not trained for, stated by a prompt: the paper's zero-shot tasks. They demonstrate what a
 * model has learned from text, and improve with its size: 124M parameters cannot translate. The prompts are those of the
 * paper and of its evaluations; each result includes its prompt.
 *
 * A prompt that does not fit the context is shortened, examples first, as {@link TaskOutput.omitted} says. All methods throw
 * a ContextLengthError if that is not enough, a UsageError for missing or unknown options, and a TokenizerError for a model
 * without a tokenizer.
 */
export class Tasks {
  readonly #model: PromptedModel;

  /** As `model.task`. */
  constructor(model: PromptedModel) {
    this.#model = model;
  }

  /**
   * Translates a sentence, greedily, after pairs `english sentence = french sentence`; the result is the first sentence
   * (section 3.7). Pairs for English and French are built in; other languages need `examples`.
   *
   *     const { text, prompt } = await model.task.translate("Where is the station?", { to: "fr" });
   */
  async translate(sentence: string, options: TranslateOptions = {}): Promise<TaskOutput> {
    const { translate } = await import("./translate.js");
    return translate(this.#model, sentence, options);
  }

  /**
   * Summarizes an article: 100 tokens after the article and `TL;DR:`, sampled with top-k 2, of which the first three
   * sentences count, one on each line (section 3.6). An article that is too long is cut, unless `truncate` is false.
   */
  async summarize(article: string, options: SummarizeOptions = {}): Promise<TaskOutput> {
    const { summarize } = await import("./summarize.js");
    return summarize(this.#model, article, options);
  }

  /**
   * Answers a question, greedily, to the end of the line: after a `document`, the conversation so far and `A:` (section
   * 3.5); without a document, after pairs of questions and answers (section 3.8).
   */
  async answer(question: string, options: AnswerOptions = {}): Promise<TaskOutput> {
    const { answer } = await import("./answer.js");
    return answer(this.#model, question, options);
  }

  /**
   * Continues a text, sampled with top-k 40 as in figure 5. With `examples`, pairs `input = output`, generates the output
   * for the text, greedily to the end of the line: section 3.7's prompt for any pattern.
   */
  async complete(text: string, options: CompleteOptions = {}): Promise<TaskOutput> {
    const { complete } = await import("./complete.js");
    return complete(this.#model, text, options);
  }

  /**
   * Chooses the likeliest label after `Text: …` and `Label:`, and `examples` of these. Not in the paper.
   * {@link GPT2.classify} is for fine-tuned models.
   */
  async classify(text: string, options: LabelOptions): Promise<LabelChoice> {
    const { classify } = await import("./classify.js");
    return classify(this.#model, text, options);
  }
}
