import { DataError } from "../../errors.js";
import { indexOfLargest } from "../../tasks/scored-choice.js";
import { type DataFile, readFirst } from "../data/source.js";
import { textOf } from "../data/text-formats.js";
import { meanMetric } from "../metrics/metric.js";
import type { RequestGenerator } from "../requests.js";
import { scoreChoices } from "../requests.js";
import { evaluation, type Outcome, type Task, type TaskSetup } from "../task.js";
import { detokenizeLine } from "../text/detokenize.js";
import { TOKEN_STYLES } from "../text/token-styles.js";

const ORIGIN = "http://www.thespermwhale.com/jaseweston/babi/CBTest.tgz";
const BLANK = "XXXXX";

interface Question {
  /** Twenty sentences of a story. */
  readonly story: readonly string[];
  /** The next sentence, with a blank. */
  readonly sentence: string;
  readonly candidates: readonly string[];
  readonly right: number;
}

interface CbtOutcome extends Outcome {
  readonly right: number;
  readonly chosen: number;
  /** Log-probability of each candidate and the rest of the sentence. */
  readonly logprobs: readonly number[];
}

/**
 * Children's Book Test (Hill et al. 2016): which of ten words was left out. As in the paper, by the probability of the
 * candidate and the rest of the sentence.
 */
function childrensBookTest(kind: "CN" | "NE", what: string): Task {
  const name = `cbt-${kind.toLowerCase()}`;
  return {
    name,
    version: 1,
    about: `which of ten ${what} was left out of a story's sentence: accuracy`,
    options: {
      split: { about: "which part; the paper reports the first", values: ["valid", "test"] },
      text: {
        about: "detokenized: ordinary text, as in the paper; plain: as in the file",
        values: ["detokenized", "plain"],
      },
    },
    prepare: async (setup) => {
      const { split, text } = setup.options;
      const base = `cbtest_${kind}_${split}_${split === "valid" ? 2000 : 2500}ex.txt`;
      const write = text === "detokenized" ? detokenized : (line: string) => line;
      const file = await readFirst(setup.source, { name: "cbt", origin: ORIGIN }, [
        base,
        `CBTest/data/${base}`,
        `data/${base}`,
      ]);
      return evaluation<Question, CbtOutcome>({
        items: readQuestions(file),
        blockSize: 16,
        run: (question) => fillBlank(question, write, setup),
        texts: (question) => [[...question.story, filledSentence(question, question.right)].map(write).join(" ")],
        metrics: [meanMetric("accuracy", (o) => o.chosen === o.right)],
        files: [file],
      });
    },
  };
}

export const cbtCommonNouns = childrensBookTest("CN", "common nouns");
export const cbtNamedEntities = childrensBookTest("NE", "named entities");

/** Questions of 21 numbered lines, the last with answer and candidates after tabs, separated by blank lines. */
function readQuestions(file: DataFile): Question[] {
  const blocks = textOf(file)
    .split(/\n\s*\n/)
    .filter((block) => block.trim() !== "");
  return blocks.map((block, i) => {
    const lines = block
      .trim()
      .split("\n")
      .map((line) => line.replace(/^\d+ /, ""));
    const [sentence = "", answer = "", ...rest] = lines.at(-1)!.split("\t");
    const candidates = (rest.at(-1) ?? "").split("|").filter((candidate) => candidate !== "");
    const right = candidates.indexOf(answer);
    if (right < 0 || !sentence.includes(BLANK)) {
      const expected = `a sentence with ${BLANK}, its answer, and candidates that include it`;
      throw new DataError({ op: `${file.path}, question ${i + 1}`, expected, got: lines.at(-1)!.slice(0, 200) });
    }
    return { story: lines.slice(0, -1), sentence, candidates, right };
  });
}

const detokenized = (line: string): string => detokenizeLine(line, TOKEN_STYLES.treebank);

const filledSentence = ({ sentence, candidates }: Question, candidate: number): string =>
  sentence.replace(BLANK, () => candidates[candidate]!);

function* fillBlank(
  question: Question,
  write: (line: string) => string,
  setup: TaskSetup,
): RequestGenerator<CbtOutcome> {
  const { story, candidates, right } = question;
  const before = story.map(write).join(" ");
  // The text before the blank is the same for all candidates, and is not scored.
  const filled = candidates.map((_, i) => write(filledSentence(question, i)));
  const shared = sharedStart(filled, candidates);
  const context = `${before} ${shared}`;
  const choices = yield* scoreChoices(
    setup,
    context,
    filled.map((text) => text.slice(shared.length)),
  );
  const logprobs = choices.map(({ logprob }) => logprob);
  return { right, chosen: indexOfLargest(logprobs), logprobs };
}

/** The common beginning of the filled sentences, up to the last space before the blank. */
function sharedStart(filled: readonly string[], candidates: readonly string[]): string {
  const first = filled[0]!;
  const at = first.indexOf(candidates[0]!);
  let end = 0;
  while (end < at && filled.every((text) => text[end] === first[end])) end++;
  return first.slice(0, Math.max(0, first.lastIndexOf(" ", end)));
}
