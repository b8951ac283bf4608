import { DataError } from "../../errors.js";
import { cutDocument } from "../../tasks/fit-prompt.js";
import { firstSentences, sentences } from "../../tasks/sentences.js";
import { SUMMARY, SUMMARY_HINT, SUMMARY_SENTENCES, summaryIn } from "../../tasks/summarize.js";
import { RandomStream } from "../../util/random.js";
import { type DataFile, type DataSource, readFirst, sha256, type UsedFile } from "../data/source.js";
import { jsonLines, stringField, textOf } from "../data/text-formats.js";
import { type Metric, meanMetric } from "../metrics/metric.js";
import { rougeL, rougeLsum, rougeN, rougeWords } from "../metrics/rouge.js";
import { generations, type RequestGenerator } from "../requests.js";
import { evaluation, type Outcome, type Task, type TaskSetup } from "../task.js";

const INFO = { name: "cnn-dm", origin: "https://huggingface.co/datasets/abisee/cnn_dailymail (version 3.0.0)" };

interface Article {
  readonly text: string;
  /** A sentence on each line. */
  readonly highlights: string;
}

interface SummaryOutcome extends Outcome {
  readonly summary: string;
  readonly rouge1: number;
  readonly rouge2: number;
  readonly rougeL: number;
  readonly rougeLsum: number;
}

/** CNN/Daily Mail (Nallapati et al. 2016, See et al. 2017): summaries of news articles. */
export const cnnDailyMail: Task = {
  name: "cnn-dm",
  version: 1,
  about:
    "summaries of news articles, sampled with top-k 2, first three sentences: F1 of ROUGE-1, 2, L and Lsum, stemmed",
  options: {
    summary: {
      about:
        "tldr: after `TL;DR:`; no-hint: after the article alone; lead-3, random-3: three of the article's sentences",
      values: ["tldr", "no-hint", "lead-3", "random-3"],
    },
    seed: { about: "seed of the sampling", values: ["1"], integer: true },
  },
  prepare: async (setup) => {
    const { articles, files } = await readArticles(setup.source);
    return evaluation<Article, SummaryOutcome>({
      items: articles,
      blockSize: 16,
      run: (article, index) => summarize(article, index, setup),
      texts: ({ text, highlights }) => [text, highlights],
      metrics: METRICS,
      files,
    });
  },
};

const METRICS: readonly Metric<SummaryOutcome>[] = [
  meanMetric("ROUGE-1", (o) => o.rouge1),
  meanMetric("ROUGE-2", (o) => o.rouge2),
  meanMetric("ROUGE-Lsum", (o) => o.rougeLsum),
  meanMetric("ROUGE-L", (o) => o.rougeL),
];

async function readArticles(source: DataSource): Promise<{ articles: Article[]; files: UsedFile[] }> {
  const stories = await readStories(source);
  if (stories) return stories;
  const file = await readFirst(source, INFO, ["test.jsonl", "test.jsonl.gz", "cnn_dm_test.jsonl"]);
  const articles = jsonLines(file).map((record, i) => {
    const field = (name: string) => stringField(record, name, `${file.path}, article ${i + 1}`);
    return { text: field("article"), highlights: field("highlights") };
  });
  return { articles, files: [file] };
}

/**
 * Hermann et al.'s stories, a file each: paragraphs, then `@highlight` before each sentence of the summary. The test set is
 * See et al.'s list of URLs, whose SHA-1 hashes name the files.
 */
async function readStories(source: DataSource): Promise<{ articles: Article[]; files: UsedFile[] } | undefined> {
  const bytes = await source.read("cnn-dm/all_test.txt");
  if (!bytes) return undefined;
  const list = { path: "cnn-dm/all_test.txt", bytes, sha256: await sha256(bytes) };
  const articles: Article[] = [];
  for (const url of textOf(list)
    .split("\n")
    .map((line) => line.trim())) {
    if (url === "") continue;
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-1", new TextEncoder().encode(url)));
    const name = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const story = await firstStory(source, name);
    const [text = "", ...highlights] = textOf(story).split("@highlight");
    articles.push({ text: paragraphs(text), highlights: highlights.map((line) => line.trim()).join("\n") });
  }
  return { articles, files: [list] };
}

async function firstStory(source: DataSource, name: string): Promise<Pick<DataFile, "bytes" | "path">> {
  const paths = ["cnn/stories", "dailymail/stories"].map((folder) => `cnn-dm/${folder}/${name}.story`);
  for (const path of paths) {
    const bytes = await source.read(path);
    if (bytes) return { path, bytes };
  }
  throw new DataError({ op: "data set cnn-dm", expected: paths.join(" or "), got: "neither" });
}

const paragraphs = (text: string): string =>
  text
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.trim())
    .filter((paragraph) => paragraph !== "")
    .join("\n");

function* summarize(article: Article, index: number, setup: TaskSetup): RequestGenerator<SummaryOutcome> {
  const { summary = "tldr", seed = "1" } = setup.options;
  const text =
    summary === "lead-3"
      ? firstSentences(article.text, SUMMARY_SENTENCES)
      : summary === "random-3"
        ? randomSentences(article.text, Number(seed), index)
        : yield* generateSummary(article, summary === "tldr" ? SUMMARY_HINT : "", Number(seed), index, setup);
  return { summary: text, ...scores(text, article.highlights) };
}

function* generateSummary(
  { text }: Article,
  hint: string,
  seed: number,
  index: number,
  { tokenizer, nCtx }: TaskSetup,
): RequestGenerator<string> {
  const { ids: prompt } = cutDocument(tokenizer, text, hint, nCtx - SUMMARY.maxNewTokens);
  const request = { prompt, ...SUMMARY, seed: seed + 2 ** 32 * index };
  const [answer] = yield* generations([request]);
  return summaryIn(answer!.text);
}

/** Random sentences, in the article's order. */
function randomSentences(text: string, seed: number, index: number): string {
  const all = sentences(text);
  const random = new RandomStream(seed, index);
  const left = all.map((_, i) => i);
  const chosen = Array.from({ length: Math.min(SUMMARY_SENTENCES, all.length) }, () => {
    return left.splice(random.below(left.length), 1)[0]!;
  });
  return chosen
    .sort((a, b) => a - b)
    .map((i) => all[i])
    .join("\n");
}

function scores(summary: string, highlights: string) {
  const words = (text: string) => rougeWords(text, true);
  const lines = (text: string) =>
    text
      .split("\n")
      .filter((line) => line !== "")
      .map(words);
  const [made, wanted] = [words(summary), words(highlights)];
  return {
    rouge1: rougeN(made, wanted, 1).f,
    rouge2: rougeN(made, wanted, 2).f,
    rougeL: rougeL(made, wanted).f,
    rougeLsum: rougeLsum(lines(summary), lines(highlights)).f,
  };
}
