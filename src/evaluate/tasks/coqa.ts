import { type JsonRecord, parseRecord } from "../../data/json-lines.js";
import { DataError } from "../../errors.js";
import { answerIn, CONVERSATION_ANSWER, conversationAfter } from "../../tasks/answer.js";
import { type DataFile, readFirst } from "../data/source.js";
import { listField, recordOf, stringField, textOf } from "../data/text-formats.js";
import { answerF1, exactMatch, leaveOneOut } from "../metrics/answers.js";
import { meanMetric } from "../metrics/metric.js";
import { generations, type RequestGenerator } from "../requests.js";
import { evaluation, type Outcome, type Task, type TaskSetup } from "../task.js";

const INFO = { name: "coqa", origin: "https://nlp.stanford.edu/data/coqa/coqa-dev-v1.0.json" };

interface Turn {
  readonly story: string;
  readonly source: string;
  /** Earlier questions and answers. */
  readonly history: readonly (readonly [question: string, answer: string])[];
  readonly question: string;
  readonly answers: readonly string[];
}

interface CoqaOutcome extends Outcome {
  readonly answer: string;
  readonly answers: readonly string[];
  readonly source: string;
  readonly f1: number;
  readonly exactMatch: number;
}

/** CoQA (Reddy et al. 2019): questions in a conversation about a text. Earlier answers are the human ones. */
export const coqa: Task = {
  name: "coqa",
  version: 1,
  about: "answers in a conversation about a text, greedily after `A:`: F1 and exact match of CoQA's script",
  options: {
    turns: {
      about: "all questions, or each conversation's last, as in the LM evaluation harness",
      values: ["all", "last"],
    },
  },
  prepare: async (setup) => {
    const file = await readFirst(setup.source, INFO, ["coqa-dev-v1.0.json"]);
    const turns = readTurns(file, setup.options.turns === "last");
    const sources = [...new Set(turns.map(({ source }) => source))].sort();
    return evaluation<Turn, CoqaOutcome>({
      items: turns,
      blockSize: 32,
      run: (turn) => answerQuestion(turn, setup),
      texts: ({ story, question, answers }) => [story, question, ...answers],
      metrics: [
        meanMetric("F1", (o) => o.f1),
        meanMetric("exact match", (o) => o.exactMatch),
        ...sources.map((source) =>
          meanMetric<CoqaOutcome>(`F1, ${source}`, (o) => (o.source === source ? o.f1 : undefined)),
        ),
      ],
      files: [file],
    });
  },
};

function readTurns(file: DataFile, lastOnly: boolean): Turn[] {
  const data = parseRecord(textOf(file), file.path);
  return listField(data, "data", file.path).flatMap((value, i) => {
    const place = `${file.path}, story ${i + 1}`;
    const record = recordOf(value, place);
    const texts = (list: readonly unknown[]) =>
      list.map((turn) => stringField(recordOf(turn, place), "input_text", place));
    const questions = texts(listField(record, "questions", place));
    const answers = texts(listField(record, "answers", place));
    const more = record.additional_answers === undefined ? {} : recordOf(record.additional_answers, place);
    const others = Object.keys(more).map((key) => texts(listField(more as JsonRecord, key, place)));
    const wrong = [answers, ...others].find(({ length }) => length !== questions.length);
    if (wrong) {
      throw new DataError({
        op: place,
        expected: `${questions.length} answers, as many as questions`,
        got: `${wrong.length}`,
      });
    }
    const turns = questions.map((question, t) => ({
      story: stringField(record, "story", place),
      source: stringField(record, "source", place),
      history: questions.slice(0, t).map((question, k) => [question, answers[k]!] as const),
      question,
      answers: [answers[t]!, ...others.map((list) => list[t]!)],
    }));
    return lastOnly ? turns.slice(-1) : turns;
  });
}

function* answerQuestion(turn: Turn, { tokenizer }: TaskSetup): RequestGenerator<CoqaOutcome> {
  const { story, history, question } = turn;
  const prompt = [...tokenizer.encode(`${story}${conversationAfter(history, question)}`, { addSpecialTokens: false })];
  const [answer] = yield* generations([{ prompt, ...CONVERSATION_ANSWER }]);
  const text = answerIn(answer!.text);
  return {
    answer: text,
    answers: turn.answers,
    source: turn.source,
    f1: leaveOneOut(answerF1, text, turn.answers),
    exactMatch: leaveOneOut(exactMatch, text, turn.answers),
  };
}
