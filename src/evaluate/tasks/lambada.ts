import { DataError } from "../../errors.js";
import { encodePair } from "../../tokenizer/encode-pair.js";
import { readFirst } from "../data/source.js";
import { jsonLines, stringField, textOf } from "../data/text-formats.js";
import { type Metric, meanMetric, perplexityMetric } from "../metrics/metric.js";
import { logLikelihoods, type RequestGenerator } from "../requests.js";
import { evaluation, type Outcome, type Task, type TaskSetup } from "../task.js";
import { detokenizeLine } from "../text/detokenize.js";
import { TOKEN_STYLES } from "../text/token-styles.js";

const OPENAI = {
  name: "lambada",
  origin: "https://openaipublic.blob.core.windows.net/gpt-2/data/lambada_test.jsonl",
};
const ORIGINAL = { name: "lambada", origin: "https://zenodo.org/record/2630551 (lambada-dataset.tar.gz)" };

/** Number of likeliest tokens searched for one that is not a stop word. */
const GUESSES = 512;

/** LAMBADA (Paperno et al. 2016): the last word of a passage, which its last sentence alone does not determine. */
export const lambada: Task = {
  name: "lambada",
  version: 1,
  about: "last word of a passage: accuracy by word (greedy), with stop-word filters, by last token; perplexity",
  options: {
    text: {
      about:
        "openai: the un-preprocessed text; normalized: the same with straight quotes after a line feed, as OpenAI is " +
        "reported to have used it; original: Paperno et al.'s file; detokenized: that file de-tokenized",
      values: ["openai", "normalized", "original", "detokenized"],
    },
  },
  prepare: async (setup) => {
    const { texts, files } = await readTexts(setup);
    return evaluation<string, LambadaOutcome>({
      items: texts,
      run: (text) => lastWord(text, setup),
      texts: (text) => [text],
      metrics: METRICS,
      files,
    });
  },
};

async function readTexts({ source, options }: TaskSetup) {
  if (options.text === "openai" || options.text === "normalized") {
    const file = await readFirst(source, OPENAI, ["lambada_test.jsonl"]);
    const texts = jsonLines(file).map((record, i) => stringField(record, "text", `${file.path}, item ${i + 1}`));
    return { files: [file], texts: options.text === "openai" ? texts : texts.map(normalize) };
  }
  const file = await readFirst(source, ORIGINAL, ["lambada_test_plain_text.txt"]);
  const lines = textOf(file)
    .split("\n")
    .filter((line) => line !== "");
  const detokenized = options.text === "detokenized";
  const texts = detokenized ? lines.map((line) => detokenizeLine(line, TOKEN_STYLES.treebankLower)) : lines;
  return { files: [file], texts };
}

/** The preprocessing reported in openai/gpt-2, issue 131; many re-implementations use it. */
function normalize(text: string): string {
  return `\n${text.replaceAll(/[“”]|''|``/g, '"').trim()}`;
}

interface LambadaOutcome extends Outcome {
  readonly word: string;
  /** Natural logarithm of the word's probability. */
  readonly logprob: number;
  readonly tokens: number;
  /** Log-probability of its last token. */
  readonly lastLogprob: number;
  /** Whether every token of the word is the likeliest. */
  readonly greedy: boolean;
  /** Whether the last token is, given those before it. */
  readonly lastGreedy: boolean;
  /** `greedy`, with stop words excluded from the first token's rivals. */
  readonly filtered: boolean;
  /** `filtered`, with tokens without letters and digits excluded too. */
  readonly filteredWords: boolean;
  /** `lastGreedy`; `filtered` for a word of one token. */
  readonly lastFiltered: boolean;
}

const METRICS: readonly Metric<LambadaOutcome>[] = [
  meanMetric("accuracy", (o) => o.greedy),
  meanMetric("accuracy, stop words filtered", (o) => o.filtered),
  meanMetric("accuracy, stop words and punctuation filtered", (o) => o.filteredWords),
  meanMetric("accuracy by last token", (o) => o.lastGreedy),
  meanMetric("accuracy by last token, stop words filtered", (o) => o.lastFiltered),
  perplexityMetric(
    "perplexity",
    (o) => o.logprob,
    () => 1,
  ),
  perplexityMetric(
    "perplexity per token",
    (o) => o.logprob,
    (o) => o.tokens,
  ),
  perplexityMetric(
    "perplexity of last token",
    (o) => o.lastLogprob,
    () => 1,
  ),
];

function* lastWord(text: string, { tokenizer, endOfText }: TaskSetup): RequestGenerator<LambadaOutcome> {
  const at = text.lastIndexOf(" ");
  if (at < 0) throw new DataError({ op: "lambada", expected: "passages of several words", got: JSON.stringify(text) });
  const pair = encodePair(tokenizer, endOfText, text.slice(0, at), text.slice(at));
  const [answer] = yield* logLikelihoods([{ ...pair, best: true, top: GUESSES }]);
  const { logprobs, logprob, best, top } = answer!;
  const { continuation } = pair;
  const last = continuation.length - 1;
  const isGreedy = continuation.map((id, i) => id === best[i]);
  const rest = isGreedy.slice(1).every(Boolean);
  const likeliest = (allowed: (token: string) => boolean) => top.find((id) => allowed(tokenizer.decode([id])));
  const filtered = likeliest((token) => !STOP_WORDS.has(token.trim().toLowerCase())) === continuation[0];
  const isWord = (token: string) => !STOP_WORDS.has(token.trim().toLowerCase()) && /[\p{L}\p{N}]/u.test(token);
  return {
    word: text.slice(at + 1),
    logprob,
    tokens: continuation.length,
    lastLogprob: logprobs[last]!,
    greedy: isGreedy[0]! && rest,
    lastGreedy: isGreedy[last]!,
    filtered: filtered && rest,
    filteredWords: likeliest(isWord) === continuation[0] && rest,
    lastFiltered: last === 0 ? filtered : isGreedy[last]!,
  };
}

/**
 * English function words, for the stop-word filter. The paper's list was not published; this one is grouped by class, and is
 * covered by the task's version.
 */
const CLASSES = [
  "a an the this that these those each every either neither some any no such both all other another few more most own same",
  "i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers herself",
  "it its itself they them their theirs themselves who whom whose which what whoever whatever one",
  "am is are was were be been being have has had having do does did doing will would shall should can could may might must",
  "isn aren wasn weren haven hasn hadn don doesn didn won wouldn shan shouldn couldn mightn mustn ain s t d ll m o re ve y",
  "of at by for with about against between into through during before after above below to from up down in out on off over",
  "under upon toward towards within without across along among around behind beside beyond near onto until till since than",
  "and but or nor so yet if because as while though although unless whether when where why how again further then once",
  "here there just only very too not now also even still ever never",
];

export const STOP_WORDS: ReadonlySet<string> = new Set(CLASSES.join(" ").split(" "));
