import type { JsonLine } from "../../data/json-lines.js";
import { textBytes } from "../../data/text.js";
import { DataError } from "../../errors.js";
import { indexOfLargest, type Normalization, normalizedScore } from "../../tasks/scored-choice.js";
import { readFirst } from "../data/source.js";
import { listField, numberedLines, stringField, stringsField } from "../data/text-formats.js";
import { meanMetric } from "../metrics/metric.js";
import { splitWords } from "../metrics/white-space.js";
import type { RequestGenerator } from "../requests.js";
import { scoreChoices } from "../requests.js";
import { type Evaluation, evaluation, type Outcome, type Task, type TaskSetup } from "../task.js";
import type { ScoredDocument } from "../text/scored-text.js";
import { BYTE_METRIC, rollingEvaluation, STRIDE_OPTION, TOKEN_METRIC, WINDOW_OPTION, WORD_METRICS } from "./rolling.js";

/**
 * A task over a file of the user's. A .jsonl holds texts (`{"text": …}` on each line) or multiple-choice questions
 * (`{"context": …, "choices": […], "answer": index}`); any other file is one text.
 *
 * @param name of the task
 * @param path of the file in the data source
 */
export function userFileTask(name: string, path = name): Task {
  return {
    name,
    version: 1,
    about: "a file of yours: perplexity and bits per byte, or multiple choice",
    options: { stride: STRIDE_OPTION, windows: WINDOW_OPTION },
    prepare: async (setup) => {
      const file = await readFirst(setup.source, { name: ".", origin: path }, [path]);
      if (!/\.jsonl(\.gz|\.bz2|\.zst)?$/.test(path)) return texts([textBytes(file.bytes, path)], setup, [file]);
      const lines = numberedLines(file);
      if (lines.length === 0) throw new DataError({ op: path, expected: "at least one line", got: "none" });
      if (lines[0]!.record.choices !== undefined) return multipleChoice(lines, setup, [file]);
      const bytes = new TextEncoder();
      const fields = lines.map(({ record, where }) => stringField(record, "text", where));
      return texts(
        fields.filter((text) => text !== "").map((text) => bytes.encode(text)),
        setup,
        [file],
      );
    },
  };
}

function texts(contents: readonly Uint8Array[], setup: TaskSetup, files: Evaluation["files"]): Evaluation {
  const decoder = new TextDecoder();
  const documents = contents.map((text): ScoredDocument => {
    const words = splitWords(decoder.decode(text)).length;
    return [{ text, words, lineEnds: 0, bytes: text.length }];
  });
  // Words are separated by white space; line ends are not counted.
  const metrics = [{ ...WORD_METRICS[1]!, name: "perplexity per word" }, TOKEN_METRIC, BYTE_METRIC];
  return rollingEvaluation(setup, { documents, metrics, files });
}

interface Question {
  readonly context: string;
  readonly choices: readonly string[];
  readonly answer: number;
}

interface ChoiceOutcome extends Outcome {
  readonly answer: number;
  readonly logprobs: readonly number[];
  readonly byTotal: number;
  readonly byToken: number;
  readonly byByte: number;
}

function multipleChoice(lines: readonly JsonLine[], setup: TaskSetup, files: Evaluation["files"]): Evaluation {
  return evaluation<Question, ChoiceOutcome>({
    items: lines.map(readQuestion),
    run: (question) => choose(question, setup),
    texts: ({ context, choices, answer }) => [context + choices[answer]],
    metrics: [
      meanMetric("accuracy", (o) => o.byTotal === o.answer),
      meanMetric("accuracy per token", (o) => o.byToken === o.answer),
      meanMetric("accuracy per byte", (o) => o.byByte === o.answer),
    ],
    files,
  });
}

function readQuestion({ record, where: place }: JsonLine): Question {
  const choices = stringsField(record, "choices", place);
  const { answer } = record;
  if (listField(record, "choices", place).length < 2 || choices.includes("")) {
    throw new DataError({ op: `${place}: choices`, expected: "at least two texts", got: JSON.stringify(choices) });
  }
  if (typeof answer === "number" && answer in choices) {
    return { context: stringField(record, "context", place), choices, answer };
  }
  const expected = `an index from 0 to ${choices.length - 1}`;
  throw new DataError({ op: `${place}: answer`, expected, got: JSON.stringify(answer) ?? "nothing" });
}

function* choose({ context, choices, answer }: Question, setup: TaskSetup): RequestGenerator<ChoiceOutcome> {
  const scored = yield* scoreChoices(setup, context, choices);
  const best = (by: Normalization) => indexOfLargest(scored.map((choice) => normalizedScore(choice, by)));
  return {
    answer,
    logprobs: scored.map(({ logprob }) => logprob),
    byTotal: best("total"),
    byToken: best("token"),
    byByte: best("byte"),
  };
}
