import { DataError } from "../../errors.js";
import { indexOfLargest } from "../../tasks/scored-choice.js";
import { type DataFile, readFirst } from "../data/source.js";
import { jsonLines, stringField, stringsField, textOf } from "../data/text-formats.js";
import { meanMetric } from "../metrics/metric.js";
import type { RequestGenerator } from "../requests.js";
import { scoreChoices } from "../requests.js";
import { evaluation, type Outcome, type Task, type TaskSetup } from "../task.js";

const INFO = { name: "hellaswag", origin: "https://github.com/rowanz/hellaswag (data/hellaswag_val.jsonl)" };

interface Item {
  readonly context: string;
  readonly endings: readonly string[];
  readonly right: number;
}

interface HellaSwagOutcome extends Outcome {
  readonly right: number;
  /** Log-probabilities of the endings. */
  readonly logprobs: readonly number[];
  readonly byTotal: number;
  readonly byCharacter: number;
  readonly byByte: number;
  readonly byToken: number;
}

/** HellaSwag (Zellers et al. 2019): which of four endings comes next. Not in the paper. */
export const hellaswag: Task = {
  name: "hellaswag",
  version: 1,
  about:
    "which of four endings comes next: accuracy by log-probability in total, per character (acc_norm), byte and token",
  options: {
    prompt: {
      about:
        "harness: activity label and context, WikiHow's marks removed, as in the LM evaluation harness; completion: the " +
        "unchanged context alone, as in llm.c",
      values: ["harness", "completion"],
    },
    split: { about: "which part", values: ["valid"] },
  },
  prepare: async (setup) => {
    const file = await readFirst(setup.source, INFO, [
      "hellaswag_val.jsonl",
      "data/hellaswag_val.jsonl",
      "hellaswag_val_full.txt.bz2",
      "hellaswag_val_full.txt",
    ]);
    return evaluation<Item, HellaSwagOutcome>({
      items: readItems(file, setup.options.prompt === "harness"),
      run: (item) => chooseEnding(item, setup),
      texts: ({ context, endings, right }) => [`${context} ${endings[right]}`],
      metrics: [
        meanMetric("accuracy", (o) => o.byTotal === o.right),
        meanMetric("acc_norm", (o) => o.byCharacter === o.right),
        meanMetric("accuracy per byte", (o) => o.byByte === o.right),
        meanMetric("accuracy per token", (o) => o.byToken === o.right),
      ],
      files: [file],
    });
  },
};

function readItems(file: DataFile, harness: boolean): Item[] {
  if (/\.txt(\.bz2)?$/.test(file.path)) return readExtract(file, harness);
  return jsonLines(file).map((record, i) => {
    const place = `${file.path}, item ${i + 1}`;
    const field = (name: string) => stringField(record, name, place);
    const endings = stringsField(record, "endings", place);
    const right = Number(record.label);
    if (!(right in endings)) throw new DataError({ op: place, expected: "label: an ending's index", got: `${right}` });
    if (!harness) return { context: field("ctx"), endings, right };
    const context = withoutMarks(`${field("activity_label")}: ${field("ctx_a")} ${capitalized(field("ctx_b"))}`);
    return { context, endings: endings.map(withoutMarks), right };
  });
}

/** Python's str.capitalize: lower-cases all but the first letter. */
const capitalized = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1).toLowerCase();

/** The harness's removal of WikiHow's `[header]`, `[title]`, … */
function withoutMarks(text: string): string {
  return text
    .trim()
    .replaceAll(" [title]", ". ")
    .replace(/\[.*?\]/g, "")
    .replaceAll("  ", " ");
}

/** The lower-case beginning of the sentence that the endings complete; the harness capitalizes it. */
const FRAGMENT = /([.!?]["')\]]*) (\p{Ll})(?=[^.!?]*$)/u;

/**
 * github.com/klosax/hellaswag_text_data: items of six lines: label and context without marks, the right ending's index, and
 * the four endings.
 */
function readExtract(file: DataFile, harness: boolean): Item[] {
  if (!harness) {
    const hint = "Take hellaswag_val.jsonl";
    throw new DataError({ op: "hellaswag:completion", expected: "unchanged contexts", got: file.path, hint });
  }
  const lines = textOf(file).trimEnd().split("\n");
  if (lines.length % 6 !== 0) {
    throw new DataError({ op: `reading ${file.path}`, expected: "six lines per item", got: `${lines.length} lines` });
  }
  return Array.from({ length: lines.length / 6 }, (_, i) => {
    const [context = "", right = "", ...endings] = lines.slice(6 * i, 6 * i + 6);
    return {
      context: context.replace(FRAGMENT, (_, end, letter) => `${end} ${letter.toUpperCase()}`),
      endings,
      right: Number(right),
    };
  });
}

function* chooseEnding({ context, endings, right }: Item, setup: TaskSetup): RequestGenerator<HellaSwagOutcome> {
  const choices = yield* scoreChoices(
    setup,
    context,
    endings.map((ending) => ` ${ending}`),
  );
  const best = (length: (index: number) => number) =>
    indexOfLargest(choices.map(({ logprob }, i) => logprob / length(i)));
  return {
    right,
    logprobs: choices.map(({ logprob }) => logprob),
    byTotal: best(() => 1),
    // The harness does not count the space before an ending.
    byCharacter: best((i) => choices[i]!.characters - 1),
    byByte: best((i) => choices[i]!.bytes - 1),
    byToken: best((i) => choices[i]!.tokens),
  };
}
