import type { AnswerOptions } from "./answer.js";
import type { LabelChoice, LabelOptions } from "./classify.js";
import type { CompleteOptions } from "./complete.js";
import type { SummarizeOptions } from "./summarize.js";
import type { TranslateOptions } from "./translate.js";
import type { PromptedModel, TaskOutput } from "./write.js";

/**
 * Tasks that a language model was not trained for, stated by a prompt: what the paper calls zero-shot. They show what a
 * model has picked up, and get better with its size: 124M parameters translate nothing, and for work there are other
 * programs. The prompts are those of the paper and of `gpt2 eval`; each result has the one that was sent.
 *
 * What does not fit into the context is left out of the prompt as {@link TaskOutput.omitted} tells: examples first. All
 * throw a ContextLengthError if it does not fit then, a UsageError for what is missing, and a TokenizerError for a model
 * without a tokenizer.
 */
export class Tasks {
  readonly #model: PromptedModel;

  /** As `model.task`. */
  constructor(model: PromptedModel) {
    this.#model = model;
  }

  /**
   * A sentence in another language, greedily, after pairs `english sentence = french sentence`; the first sentence of what
   * comes (section 3.7). We have pairs for English and French; for other languages give `examples`.
   *
   *     const { text, prompt } = await model.task.translate("Where is the station?", { to: "fr" });
   */
  async translate(sentence: string, options: TranslateOptions = {}): Promise<TaskOutput> {
    const { translate } = await import("./translate.js");
    return translate(this.#model, sentence, options);
  }

  /**
   * A summary: what follows the article and `TL;DR:`, 100 tokens drawn with top-k 2, of these the first three sentences,
   * one a line (section 3.6). Of an article that is too long the beginning is read, as long as `truncate` is not false.
   */
  async summarize(article: string, options: SummarizeOptions = {}): Promise<TaskOutput> {
    const { summarize } = await import("./summarize.js");
    return summarize(this.#model, article, options);
  }

  /**
   * A short answer, greedily, to the end of the line. With a `document` it follows that, the conversation so far and
   * `A:` (section 3.5); without one, pairs of questions and answers (section 3.8).
   */
  async answer(question: string, options: AnswerOptions = {}): Promise<TaskOutput> {
    const { answer } = await import("./answer.js");
    return answer(this.#model, question, options);
  }

  /**
   * What comes next, drawn with top-k 40 as for figure 5. With `examples`, pairs `input = output`, it is the text's other
   * half, greedily to the end of the line: the prompt of section 3.7 for any pattern.
   */
  async complete(text: string, options: CompleteOptions = {}): Promise<TaskOutput> {
    const { complete } = await import("./complete.js");
    return complete(this.#model, text, options);
  }

  /**
   * The likeliest of some labels after `Text: …` and `Label:`; with `examples` after some of these. Not in the paper.
   * {@link GPT2.classify} is for models that were fine-tuned.
   */
  async classify(text: string, options: LabelOptions): Promise<LabelChoice> {
    const { classify } = await import("./classify.js");
    return classify(this.#model, text, options);
  }
}
