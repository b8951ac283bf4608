import type { Command } from "commander";
import { TokenizerError, UsageError } from "../../errors.js";
import type { Score } from "../../gpt2/options.js";
import type { GPT2 } from "../../gpt2.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { progress } from "../../util/progress.js";
import { readInput } from "../input.js";
import { loadModel, type ModelFlags } from "../model.js";
import { addModelOptions, number } from "../options.js";
import {
  formatInteger,
  formatPercent,
  formatRows,
  print,
  printJson,
  rounded,
  type Style,
  styleFor,
} from "../output.js";
import { interruptible } from "../signals.js";

interface ScoreFlags extends ModelFlags {
  readonly file?: string;
  readonly stride?: number;
  readonly special?: true;
  readonly tokens?: true;
  readonly json?: true;
}

const HELP = `
The text is the arguments, the file, or standard input if it is piped; only a
byte-order mark is removed. Its first token is scored as the first of a new text,
after <|endoftext|>. In a text longer than the model's context each token is
predicted from at least half a context before it; --stride changes that.

perplexity is exp of the mean loss per token; bits/byte does not depend on the
vocabulary, and so compares models.

--json prints the figures and, for each token, its id in tokens, its log-probability
in logprobs, its bytes (in hexadecimal) in tokenBytes, and in offsets where it ends,
in bytes of the text. A token may be part of a character: texts then holds U+FFFD,
and only bytes can be joined.

Examples:
  $ gpt2 score "The quick brown fox jumps over the lazy dog."
  $ gpt2 score "Colorless green ideas sleep furiously" --tokens
  $ gpt2 score --file book.txt --model path/to/model --json`;

/** Adds `gpt2 score`. */
export function registerScore(program: Command): void {
  const command = program
    .command("score")
    .summary("score a text: perplexity, bits per byte")
    .description("Score a text: perplexity, bits per byte, and each token's log-probability.")
    .argument("[text...]", "the text")
    .option("-f, --file <path>", "read the text from a file; - for standard input")
    .option("--special", "encode <|endoftext|> and other special tokens as such, not as plain text")
    .option("--tokens", "list every token with its probability")
    .option("--stride <n>", "tokens by which the window moves in a long text (default: half the context)", number)
    .option("--json", "print JSON: the figures, and tokens with bytes, offsets and logprobs");
  addModelOptions(command).addHelpText("after", HELP).action(score);
}

async function score(words: string[], flags: ScoreFlags): Promise<void> {
  const input = await readInput({ words, file: flags.file });
  if (input === undefined || input.length === 0) {
    throw new UsageError({ op: "gpt2 score", expected: "a text as argument, with --file, or piped in", got: "none" });
  }
  await interruptible(async (signal) => {
    const model = await loadModel(flags, signal);
    const { tokenizer } = model;
    if (!tokenizer) throw new TokenizerError({ op: "gpt2 score", expected: "a model with a tokenizer", got: "none" });
    const result = await scoreBytes(model, tokenizer, input, flags, signal);
    if (flags.json) printJson(jsonReport(result, tokenizer));
    else print(report(result, tokenizer, flags.tokens === true));
  });
}

async function scoreBytes(
  model: GPT2,
  tokenizer: Tokenizer,
  input: Uint8Array,
  { stride, special }: ScoreFlags,
  signal: AbortSignal,
): Promise<Score> {
  const ids = special
    ? tokenizer.encode(new TextDecoder().decode(input), { allowedSpecial: "all", addSpecialTokens: false })
    : tokenizer.encodeBytes(input, { addSpecialTokens: false });
  const line = progress({ label: "score", total: ids.length, unit: "tokens" });
  try {
    return await model.score(ids, { stride, signal, onProgress: (done) => done < ids.length && line.update(done) });
  } finally {
    line.done();
  }
}

function jsonReport(result: Score, tokenizer: Tokenizer) {
  const { tokens, logprobs, logprob, perplexity, bytes, bitsPerByte } = result;
  let end = 0;
  const parts = tokens.map((id) => tokenizer.idToBytes(id));
  return {
    tokenCount: tokens.length,
    bytes,
    logprob: rounded(logprob),
    perplexity: rounded(perplexity),
    bitsPerByte: rounded(bitsPerByte!),
    tokens,
    texts: tokens.map((id) => tokenizer.decode([id])),
    tokenBytes: parts.map((part) => Buffer.from(part).toString("hex")),
    offsets: parts.map(({ length }) => (end += length)),
    logprobs: Array.from(logprobs, rounded),
  };
}

function report(result: Score, tokenizer: Tokenizer, eachToken: boolean): string {
  const { tokens, bytes, logprob, perplexity, bitsPerByte } = result;
  const summary = formatRows([
    ["tokens", formatInteger(tokens.length)],
    ["bytes", formatInteger(bytes!)],
    ["log-probability", `${logprob.toFixed(2)} nats`],
    ["perplexity", perplexity.toPrecision(4)],
    ["bits/byte", bitsPerByte!.toFixed(4)],
  ]);
  return eachToken ? `${tokenTable(result, tokenizer)}\n${summary}` : summary;
}

function tokenTable({ tokens, logprobs }: Score, tokenizer: Tokenizer): string {
  const style = styleFor(process.stdout);
  const lines = tokens.map((id, i) => {
    const logprob = logprobs[i]!;
    const text = shade(style, JSON.stringify(tokenizer.decode([id])), logprob);
    const probability = formatPercent(Math.exp(logprob));
    return `${logprob.toFixed(3).padStart(9)} ${probability.padStart(8)}  ${String(id).padStart(6)}  ${text}`;
  });
  return `${style.dim("  logprob     prob      id  token")}\n${lines.join("\n")}\n`;
}

/** Terminal colours from green (expected) through yellow to red (surprising), one for every two bits. */
const SHADES = [34, 70, 106, 142, 178, 208, 202, 196];

function shade(style: Style, text: string, logprob: number): string {
  const bits = -logprob / Math.LN2;
  return style.color(text, SHADES[Math.min(SHADES.length - 1, Math.floor(bits / 2))]!);
}
