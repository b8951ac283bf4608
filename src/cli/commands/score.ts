import type { Command } from "commander";
import { TokenizerError, UsageError } from "../../errors.js";
import type { Score } from "../../gpt2/options.js";
import type { GPT2 } from "../../gpt2.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { progress } from "../../util/progress.js";
import { readInput } from "../input.js";
import { interruptible } from "../interrupt.js";
import { addModelOptions, loadModel, type ModelFlags, number } from "../options.js";
import { type Style, styleFor } from "../style.js";

interface ScoreFlags extends ModelFlags {
  readonly file?: string;
  readonly stride?: number;
  readonly tokens?: true;
  readonly json?: true;
}

const HELP = `
The text is the arguments, or the file, or what is piped in, to the byte. Its
first token is scored as the first of a new text, after <|endoftext|>. In a text
longer than the model's context each token is predicted from at least half a
context before it, or as --stride has it.

perplexity is exp of the mean loss a token; bits/byte does not depend on the
vocabulary, and so compares models.

Examples:
  $ gpt2 score "The quick brown fox jumps over the lazy dog."
  $ gpt2 score "Colorless green ideas sleep furiously" --tokens
  $ gpt2 score --file book.txt --model path/to/model --json`;

/** Adds `gpt2 score`. */
export function registerScore(program: Command): void {
  const command = program
    .command("score")
    .summary("how likely the model finds a text")
    .description("Show how likely the model finds a text: perplexity, bits per byte, and each token's probability.")
    .argument("[text...]", "the text")
    .option("-f, --file <path>", "read the text from a file; - for standard input")
    .option("--tokens", "list every token with its probability")
    .option("--stride <n>", "tokens by which the window moves over a long text (default: half the context)", number)
    .option("--json", "print JSON: the figures, tokens and logprobs");
  addModelOptions(command).addHelpText("after", HELP).action(score);
}

async function score(words: string[], flags: ScoreFlags): Promise<void> {
  const input = await readInput(words, flags.file);
  if (input === undefined || input.length === 0) {
    throw new UsageError({ op: "gpt2 score", expected: "a text as argument, with --file, or piped in", got: "none" });
  }
  await interruptible(async (signal) => {
    const model = await loadModel(flags, signal);
    const { tokenizer } = model;
    if (!tokenizer) throw new TokenizerError({ op: "gpt2 score", expected: "a model with a tokenizer", got: "none" });
    const result = await scoreBytes(model, tokenizer, input, flags.stride, signal);
    process.stdout.write(flags.json ? json(result, tokenizer) : report(result, tokenizer, flags.tokens === true));
  });
}

async function scoreBytes(
  model: GPT2,
  tokenizer: Tokenizer,
  input: Uint8Array,
  stride: number | undefined,
  signal: AbortSignal,
): Promise<Score> {
  const ids = tokenizer.encodeBytes(input);
  const line = progress({ label: "score", total: ids.length, unit: "tokens" });
  try {
    return await model.score(ids, { stride, signal, onProgress: (done) => done < ids.length && line.update(done) });
  } finally {
    line.done();
  }
}

const rounded = (x: number): number => Number(x.toPrecision(6));

function json({ tokens, logprobs, logprob, perplexity, bytes, bitsPerByte }: Score, tokenizer: Tokenizer): string {
  return `${JSON.stringify({
    tokenCount: tokens.length,
    bytes,
    logprob: rounded(logprob),
    perplexity: rounded(perplexity),
    bitsPerByte: rounded(bitsPerByte!),
    tokens,
    texts: tokens.map((id) => tokenizer.decode([id])),
    logprobs: Array.from(logprobs, rounded),
  })}\n`;
}

/** For people. */
function report(result: Score, tokenizer: Tokenizer, eachToken: boolean): string {
  const { tokens, bytes, logprob, perplexity, bitsPerByte } = result;
  const rows = [
    ["tokens", tokens.length.toLocaleString("en")],
    ["bytes", bytes!.toLocaleString("en")],
    ["log-probability", `${logprob.toFixed(2)} nats`],
    ["perplexity", perplexity.toPrecision(4)],
    ["bits/byte", bitsPerByte!.toFixed(4)],
  ];
  const summary = rows.map(([name, value]) => `${name!.padEnd(16)} ${value}\n`).join("");
  return eachToken ? `${tokenTable(result, tokenizer)}\n${summary}` : summary;
}

function tokenTable({ tokens, logprobs }: Score, tokenizer: Tokenizer): string {
  const style = styleFor(process.stdout);
  const lines = tokens.map((id, i) => {
    const logprob = logprobs[i]!;
    const text = shade(style, JSON.stringify(tokenizer.decode([id])), logprob);
    return `${logprob.toFixed(3).padStart(9)} ${percent(Math.exp(logprob)).padStart(8)}  ${String(id).padStart(6)}  ${text}`;
  });
  return `${style.dim("  logprob     prob      id  token")}\n${lines.join("\n")}\n`;
}

const percent = (p: number): string => (p >= 0.0001 ? `${(100 * p).toFixed(2)}%` : `${(100 * p).toExponential(0)}%`);

/** Green what the model expected, over yellow to red what surprised it: a colour of the terminal's for each few bits. */
const SHADES = [34, 70, 106, 142, 178, 208, 202, 196];

function shade(style: Style, text: string, logprob: number): string {
  const bits = -logprob / Math.LN2;
  return style.color(text, SHADES[Math.min(SHADES.length - 1, Math.floor(bits / 2))]!);
}
