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
  /** The document that the question is about. */
  readonly document?: string | undefined;
  /** Earlier questions and answers of the conversation. */
  readonly history?: readonly Pair[] | undefined;
  /** Example questions and answers, only without a document. Default: eight built-in ones. */
  readonly examples?: readonly Pair[] | undefined;
  /** Cut a document that does not fit, instead of refusing it. Default false: the answer may be in the part cut off. */
  readonly truncate?: boolean | undefined;
}

/** Section 3.5 of the paper: greedy decoding. The longest answers of CoQA's development set are shorter. */
export const CONVERSATION_ANSWER = { maxNewTokens: 40, until: ["\n"] } as const satisfies Writing;
/** Section 3.8: short answers. */
export const OPEN_ANSWER = { maxNewTokens: 32, until: ["\n"] } as const satisfies Writing;

export const answerIn = (written: string): string => written.trim();

const turn = ([question, answer]: Pair): string => `Q: ${question}\nA: ${answer}\n`;

/** The prompt after the document: the conversation, and a final `A:` (section 3.5 of the paper). */
export function conversationAfter(history: readonly Pair[], question: string): string {
  return `\n\n${history.map(turn).join("")}Q: ${question}\nA:`;
}

/** An example of section 3.8's prompt: a question without its question mark, and its answer. */
export const questionExample = ([question, answer]: Pair): string => turn([`${question}?`, answer]);

/** The question after such examples. */
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
  const line = oneLine(needText(question, "answer", "a question"));
  const history = (options.history ?? []).map(([before, reply]): Pair => [oneLine(before), oneLine(reply)]);
  return options.document === undefined
    ? answerOpen(model, line, history, options)
    : answerAbout(model, options.document, line, history, options);
}

async function answerAbout(
  model: PromptedModel,
  text: string,
  question: string,
  history: readonly Pair[],
  { examples, ...options }: AnswerOptions,
): Promise<TaskOutput> {
  if (examples !== undefined) {
    const expected = "examples or a document; earlier questions about the document are its history";
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
  const pairs = [...examples, ...history].map(([before, reply]) => questionExample([unmarked(before), oneLine(reply)]));
  const parts = { examples: pairs, after: questionPrompt(unmarked(question)) };
  return writeAfter(model, "answer", parts, OPEN_ANSWER, options, answerIn);
}

/** A question without its question mark, which the prompt adds. */
const unmarked = (question: string): string => oneLine(question).replace(/[\s?]+$/, "");
