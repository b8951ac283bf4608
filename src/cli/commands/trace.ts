import type { Command } from "commander";
import { TokenIndex } from "../../misuse/trace/token-index.js";
import { type Place, type Trace, type TracedSpan, traceText } from "../../misuse/trace/trace.js";
import { printable } from "../../util/printable.js";
import { readText } from "../input.js";
import { count, share } from "../options.js";
import { formatPercent, plural, print, printJson, type Style, styleFor } from "../output.js";

interface TraceFlags {
  readonly index: string;
  readonly file?: string;
  readonly minTokens: number;
  readonly share: number;
  readonly places: number;
  readonly json?: true;
}

const HELP = `
A span is a run of whole words, within a sentence and a line, that occurs in the corpus
word for word and is not part of a longer one. The rarest spans are shown: those whose
words are the least likely by their frequencies.

gpt2 "…" --trace corpus.index marks spans while a text is written.

Examples:
  $ gpt2 index train-*.txt.gz --out corpus.index
  $ gpt2 trace --index corpus.index --file page.txt
  $ gpt2 -n 200 --no-echo | gpt2 trace --index corpus.index --share 1 --places 3`;

/** Adds `gpt2 trace`. */
export function registerTrace(program: Command): void {
  program
    .command("trace")
    .summary("find the passages that a text shares with a corpus")
    .description("Find the spans of a text that occur in a corpus word for word, with their documents and places.")
    .argument("[text...]", "the text")
    .requiredOption("--index <dir>", "index of the corpus, made by gpt2 index")
    .option("-f, --file <path>", "read the text from a file; - for standard input")
    .option("--min-tokens <n>", "shortest span, in tokens", count, 5)
    .option("--share <x>", "spans to show, as a share of the text's tokens; 1: all", share, 0.05)
    .option("--places <n>", "places to show for each span", count, 3)
    .option("--json", "print JSON: the text's tokens, and details of each span")
    .addHelpText("after", HELP)
    .action(trace);
}

async function trace(words: string[], flags: TraceFlags): Promise<void> {
  const { file, minTokens, places } = flags;
  const text = await readText({ words, file }, "gpt2 trace", "a text as argument, with --file, or on standard input");
  const index = await TokenIndex.open(flags.index);
  try {
    const found = traceText(index, text, { minTokens, share: flags.share, places });
    if (flags.json) printJson(found);
    else print(report(found, styleFor(process.stdout)));
  } finally {
    index.close();
  }
}

/** The text with its spans underlined, if the terminal can; then the spans. */
function report(found: Trace, style: Style): string {
  const { spans, tokens, covered } = found;
  const head = style.shows ? `${underlined(found, style)}\n\n` : "";
  const summary = `${plural(spans.length, "span")} in ${plural(tokens.length, "token")}, ${formatPercent(covered)} of them in a span\n`;
  return head + summary + spans.map((span) => `\n${spanReport(span, style)}`).join("");
}

function underlined({ text, spans }: Trace, style: Style): string {
  const marks = new Uint8Array(text.length);
  for (const { characters } of spans) marks.fill(1, ...characters);
  let out = "";
  for (let start = 0, end = 0; start < text.length; start = end) {
    while (end < text.length && marks[end] === marks[start]) end++;
    const piece = text.slice(start, end);
    out += marks[start] ? style.underline(piece) : printable(piece);
  }
  return out;
}

function spanReport({ text, tokens, count: times, places }: TracedSpan, style: Style): string {
  const [start, end] = tokens;
  const head = `${style.bold(oneLine(text))}\n  ${plural(end - start, "token")}, ${plural(times, "place")}\n`;
  return head + places.map((place) => `  ${placeReport(place, text, style)}\n`).join("");
}

function placeReport({ document, offset, before, after }: Place, text: string, style: Style): string {
  const where = style.dim(`${document.path}, document ${document.number + 1}, token ${offset + 1}:`);
  return `${where} …${printable(oneLine(before))}${style.underline(oneLine(text))}${printable(oneLine(after))}…`;
}

const oneLine = (text: string): string => text.replace(/\s+/g, " ");
