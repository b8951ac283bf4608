import { UsageError } from "../errors.js";
import { checkOptionNames } from "../util/nearest.js";
import { QUESTIONS } from "./examples.js";
import { oneLine, type Pair } from "./pairs.js";
import {
  needText,
  type PromptedModel,
  type TaskOutput,
  type Writing,
  type WritingOptions,
  writeAfter,
} from "./write.js";

export interface AnswerOptions extends WritingOptions {
  /** The text that the question is about. */
  readonly document?: string | undefined;
  /** Questions and answers before, of the same conversation. */
  readonly history?: readonly Pair[] | undefined;
  /** Questions and answers that show how; only without a document. By default eight of ours. */
  readonly examples?: readonly Pair[] | undefined;
  /** Of a document that does not fit, read the beginning. Default false: the answer might be what is left out. */
  readonly truncate?: boolean | undefined;
}

/** Section 3.5 of the paper: greedily. The longest answers of CoQA's development set are shorter. */
export const CONVERSATION_ANSWER = { maxNewTokens: 40, until: ["\n"] } as const satisfies Writing;
/** Section 3.8: short answers. */
export const OPEN_ANSWER = { maxNewTokens: 32, until: ["\n"] } as const satisfies Writing;

export const answerIn = (written: string): string => written.trim();

const turn = ([question, answer]: Pair): string => `Q: ${question}\nA: ${answer}\n`;

/** What follows the document: the conversation, and a final `A:`, as section 3.5 of the paper. */
export function conversationAfter(history: readonly Pair[], question: string): string {
  return `\n\n${history.map(turn).join("")}Q: ${question}\nA:`;
}

/** A question, without its mark, and its answer, as prompts of section 3.8 begin. */
export const questionExample = ([question, answer]: Pair): string => turn([`${question}?`, answer]);

/** What is to be completed after such pairs. */
export const questionPrompt = (question: string): string => `Q: ${question}?\nA:`;

/** See {@link Tasks.answer}. */
export async function answer(model: PromptedModel, question: string, options: AnswerOptions): Promise<TaskOutput> {
  checkOptionNames("answering", options, {
    adapter: true,
    signal: true,
    maxNewTokens: true,
    document: true,
    history: true,
    examples: true,
    truncate: true,
  });
  const asked = oneLine(needText(question, "answer", "a question"));
  const history = (options.history ?? []).map(([before, said]): Pair => [oneLine(before), oneLine(said)]);
  return options.document === undefined
    ? answerOpen(model, asked, history, options)
    : answerAbout(model, options.document, asked, history, options);
}

async function answerAbout(
  model: PromptedModel,
  text: string,
  question: string,
  history: readonly Pair[],
  { examples, ...options }: AnswerOptions,
): Promise<TaskOutput> {
  if (examples !== undefined) {
    const expected = "examples or a document; questions about the document before this one are its history";
    throw new UsageError({ op: "answer", expected, got: "both" });
  }
  const document = needText(text, "answer", "a document that is not empty").trim();
  const parts = { document, after: conversationAfter(history, question) };
  return writeAfter(model, "answer", parts, CONVERSATION_ANSWER, options, answerIn);
}

async function answerOpen(
  model: PromptedModel,
  question: string,
  history: readonly Pair[],
  { examples = QUESTIONS, ...options }: AnswerOptions,
): Promise<TaskOutput> {
  const pairs = [...examples, ...history].map(([asked, said]) => questionExample([unmarked(asked), oneLine(said)]));
  const parts = { examples: pairs, after: questionPrompt(unmarked(question)) };
  return writeAfter(model, "answer", parts, OPEN_ANSWER, options, answerIn);
}

/** Without the question mark: the prompt has one for all. */
const unmarked = (question: string): string => oneLine(question).replace(/[\s?]+$/, "");
