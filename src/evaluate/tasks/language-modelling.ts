import { type DataSetInfo, readFirst } from "../data/source.js";
import { textOf } from "../data/text-formats.js";
import { pieceCount, splitWords } from "../metrics/white-space.js";
import type { Task, TaskOption, TaskSetup } from "../task.js";
import { detokenizeText, isFramed, type TokenStyle } from "../text/detokenize.js";
import type { ScoredDocument, ScoredLine } from "../text/scored-text.js";
import { TOKEN_STYLES } from "../text/token-styles.js";
import { harnessPages, harnessWikitext } from "../text/wikitext-harness.js";
import { BYTE_METRIC, rollingEvaluation, STRIDE_OPTION, TOKEN_METRIC, WINDOW_OPTION, WORD_METRICS } from "./rolling.js";

/** A data set tokenized into words, for word-level language models. */
interface WordLevelSet {
  readonly name: string;
  readonly about: string;
  readonly origin: string;
  readonly style: TokenStyle;
  /** The first line of a document; without, each line is one. */
  readonly heading?: RegExp;
  /** Default unit: the whole set is one text, or each document. */
  readonly unit: "stream" | "document";
  /** Further variants of the text. */
  readonly texts?: readonly string[];
  readonly files: Readonly<Record<string, readonly string[]>>;
  readonly options?: Readonly<Record<string, TaskOption>>;
}

/** A level-one heading: ` = Title = `. */
const WIKITEXT_HEADING = /^ = [^=].* = $/;

function wikitext(name: string): Task {
  const files = (split: string, kind: "tokens" | "raw") => {
    const folder = kind === "raw" ? `${name}-raw` : name;
    const file = `wiki.${split}.${kind}`;
    return [file, `${folder}/${file}`, `${folder}-v1.zip!${folder}/${file}`];
  };
  return wordLevelTask({
    name,
    about: "perplexity of Wikipedia articles, per original word and per token",
    origin: `https://wikitext.smerity.com/${name}-v1.zip (${name}-raw-v1.zip)`,
    style: TOKEN_STYLES.wikitext,
    heading: WIKITEXT_HEADING,
    unit: "stream",
    texts: ["harness", "transformers"],
    files: {
      "test/tokens": [...files("test", "tokens"), "test.txt"],
      "valid/tokens": [...files("valid", "tokens"), "valid.txt"],
      "test/raw": files("test", "raw"),
      "valid/raw": files("valid", "raw"),
    },
    options: {
      vocabulary: {
        about: "tokens: rare words are <unk>, as for word-level models; raw: all words",
        values: ["tokens", "raw"],
      },
    },
  });
}

export const wikitext2 = wikitext("wikitext-2");
export const wikitext103 = wikitext("wikitext-103");

export const ptb = wordLevelTask({
  name: "ptb",
  about: "perplexity of Penn Treebank (Mikolov's version), per original word and per token",
  origin: "http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz",
  style: TOKEN_STYLES.ptb,
  unit: "stream",
  files: { test: ["ptb.test.txt", "data/ptb.test.txt"], valid: ["ptb.valid.txt", "data/ptb.valid.txt"] },
});

const HELD_OUT = "heldout-monolingual.tokenized.shuffled";

export const billionWords = wordLevelTask({
  name: "1bw",
  about: "perplexity of One Billion Word's held-out sentences, per original word and per token",
  origin: "http://www.statmt.org/lm-benchmark/1-billion-word-language-modeling-benchmark-r13output.tar.gz",
  style: TOKEN_STYLES.billion,
  unit: "document",
  files: {
    test: [`${HELD_OUT}/news.en.heldout-00000-of-00050`, "news.en.heldout-00000-of-00050"],
    valid: [`${HELD_OUT}/news.en.heldout-00001-of-00050`, "news.en.heldout-00001-of-00050"],
  },
});

function wordLevelTask(set: WordLevelSet): Task {
  const { name, about, unit, texts = [], options = {} } = set;
  return {
    name,
    version: 1,
    about,
    options: {
      text: {
        about:
          "detokenized: ordinary text, invertibly; plain: as in the file" +
          (texts.length === 0
            ? ""
            : "; harness: as in the LM evaluation harness, always page by page; transformers: as in its guide to perplexity"),
        values: ["detokenized", "plain", ...texts],
      },
      split: { about: "which part", values: ["test", "valid"] },
      ...options,
      unit: {
        about: "stream: the whole set is one text; document: each article or sentence is one",
        values: unit === "stream" ? ["stream", "document"] : ["document", "stream"],
      },
      stride: STRIDE_OPTION,
      windows: WINDOW_OPTION,
    },
    prepare: async (setup) => {
      const key = [setup.options.split, setup.options.vocabulary].filter(Boolean).join("/");
      const info: DataSetInfo = { name, origin: set.origin };
      const file = await readFirst(setup.source, info, set.files[key]!);
      const documents = wordLevelDocuments(textOf(file), set, setup);
      return rollingEvaluation(setup, {
        documents,
        metrics: [...WORD_METRICS, TOKEN_METRIC, BYTE_METRIC],
        files: [file],
      });
    },
  };
}

const utf8 = new TextEncoder();

function wordLevelDocuments(text: string, set: WordLevelSet, { options }: TaskSetup): ScoredDocument[] {
  if (options.text === "harness") return harnessPages(text).map((page) => [harnessPage(page)]);
  const originals = options.unit === "stream" ? [text] : splitDocuments(text, set.heading);
  if (options.text === "transformers") return originals.map(transformersText);
  const framed = isFramed(text);
  const write = (original: string) =>
    options.text === "plain" ? original : detokenizeText(original, set.style, framed);
  return originals.map((original) => inStep(original, write(original)));
}

/** Aligns lines of the original with those of the text to score. */
function inStep(original: string, written: string): ScoredDocument {
  const [lines, texts] = [linesOf(original), linesOf(written)];
  return lines.map((line, i) => ({ text: texts[i]!, ...unitsOf(line) })).filter(({ text }) => text !== "");
}

/** Lines with their line feeds. */
const linesOf = (text: string): string[] => text.split(/(?<=\n)/);

function unitsOf(line: string): Omit<ScoredLine, "text"> {
  const lineEnds = line.endsWith("\n") ? 1 : 0;
  return { words: splitWords(line).length, lineEnds, bytes: utf8.encode(line).length };
}

/** The harness counts words by splitting at white space, which adds one at each end of a page with white space. */
function harnessPage(page: string): ScoredLine {
  return { text: harnessWikitext(page), words: pieceCount(page), lineEnds: 0, bytes: utf8.encode(page).length };
}

/** transformers' guide joins lines, which keep their line feeds, by an empty line; there blank lines are empty. */
function transformersText(text: string): ScoredDocument {
  const lines = linesOf(text);
  return lines.map((line, i) => {
    const content = line.trim() === "" ? "" : line;
    return { text: content + (i < lines.length - 1 ? "\n\n" : ""), ...unitsOf(line) };
  });
}

/** Splits at headings; without a heading pattern, into lines. */
function splitDocuments(text: string, heading: RegExp | undefined): string[] {
  const lines = linesOf(text).filter((line) => line !== "");
  if (!heading) return lines;
  const documents: string[][] = [[]];
  for (const line of lines) {
    // A blank line before the first heading belongs to its document.
    if (heading.test(line.replace(/\n$/, "")) && documents.at(-1)!.some((before) => before.trim() !== ""))
      documents.push([]);
    documents.at(-1)!.push(line);
  }
  return documents.map((document) => document.join("")).filter((document) => document !== "");
}
