import type { Command } from "commander";
import { type BlankCandidate, type Comparison, compare, type Reading } from "../../compare/compare.js";
import type { AttentionMaps } from "../../generate/attention-maps.js";
import { readTexts } from "../labelled-input.js";
import { type EncoderFlags, loadEncoder, loadModel, type ModelFlags } from "../model.js";
import { addMachineOptions, count, MODEL_FLAG } from "../options.js";
import { formatPercent, formatRows, print, printJson } from "../output.js";
import { interruptible } from "../signals.js";

interface CompareFlags extends Omit<ModelFlags, "adapter"> {
  readonly bert: string;
  readonly file?: string;
  readonly candidates?: string[];
  readonly generate: number;
  readonly attention?: number;
  readonly json?: true;
}

const HELP = `
Shows how both read the text: the logarithm of each token's probability, by GPT-2 given
the tokens before it, by BERT when it is masked; the same candidates in the blank [MASK],
if there is one; and each model's continuation of the text. Do not compare the sums of
the two columns: BERT's is not a probability of the text.

Examples:
  $ gpt2 compare "The keys to the cabinet are here." --bert bert-base-uncased --model gpt2
  $ gpt2 compare "The keys to the cabinet [MASK] here." --candidates is are --bert bert-base-uncased
  $ gpt2 compare "A cat sat." --attention 0 --bert runs/bert/model --model runs/gpt/model`;

/** Adds `gpt2 compare`. */
export function registerCompare(program: Command): void {
  const command = program
    .command("compare")
    .summary("read one text with a GPT-2 and with a BERT")
    .description("Read one text with a GPT-2, from left to right, and with a BERT, in both directions.")
    .argument("[text...]", "the text, with one [MASK] or none")
    .option("-f, --file <path>", "read the text from a file; - for standard input")
    .option("-m, --model <name>", `the GPT-2: ${MODEL_FLAG}`)
    .requiredOption("--bert <name>", "the BERT: owner/name of the hub, a folder or file")
    .option("--candidates <words...>", "words for the blank (default: BERT's five most probable)")
    .option("--generate <n>", "tokens that each model writes after the text; 0 for none", count, 8)
    .option("--attention <layer>", "show what each token attends to in this layer, from 0 on", count)
    .option("--offline", "fetch nothing; a model from elsewhere must be in the cache")
    .option("--json", "print JSON");
  addMachineOptions(command).addHelpText("after", HELP).action(run);
}

async function run(words: string[], flags: CompareFlags): Promise<void> {
  const { file, candidates, generate, attention: layer, json } = flags;
  await interruptible(async (signal) => {
    const [{ text } = { text: "" }] = await readTexts("compare", { words, file });
    await using gpt2 = await loadModel(flags, signal);
    await using bert = await loadEncoder({ ...flags, model: flags.bert } as EncoderFlags, signal);
    const found = await compare(gpt2, bert, text, { candidates, generate, signal });
    const maps = layer === undefined ? undefined : await attentionOf(found, gpt2, bert, layer);
    if (json) printJson({ ...found, ...maps });
    else print([blankTable(found.blank), readings(found), ...(maps ? [pictures(maps)] : [])].join(""));
  });
}

interface Maps {
  readonly gpt2Attention: AttentionMaps;
  readonly bertAttention: AttentionMaps;
}

type Attending = { attention(text: string, layer: number): Promise<AttentionMaps> };

async function attentionOf({ text }: Comparison, gpt2: Attending, bert: Attending, layer: number): Promise<Maps> {
  return { gpt2Attention: await gpt2.attention(text, layer), bertAttention: await bert.attention(text, layer) };
}

function blankTable(blank: readonly BlankCandidate[] | undefined): string {
  if (blank === undefined) return "";
  const share = (value: number): string => formatPercent(value, 1).padStart(6);
  const rows = blank.map(({ word, bert, gpt2, gpt2Left }): [string, string] => {
    return [word.trim(), `${share(bert)}  ${share(gpt2)}  ${share(gpt2Left)}`];
  });
  return `${formatRows([["in the blank", "  BERT   GPT-2   left side of it alone"], ...rows])}\n`;
}

function readings({ gpt2, bert }: Comparison): string {
  const sum = (reading: Reading): string => reading.logprobs.reduce((a, b) => a + b, 0).toFixed(2);
  const column = (name: string, reading: Reading): string => {
    const lines = reading.tokens.map(
      (token, i) => `${reading.logprobs[i]!.toFixed(2).padStart(7)}  ${JSON.stringify(token)}`,
    );
    const written = reading.continuation === undefined ? [] : [`writes: ${JSON.stringify(reading.continuation)}`];
    return [name, ...lines, ...written].map((line) => `${line}\n`).join("");
  };
  const title = `GPT-2: log-likelihood ${sum(gpt2)}, each token after those before it`;
  const other = `BERT: pseudo-log-likelihood ${sum(bert)}, each token with its word masked from there on`;
  return `${column(title, gpt2)}\n${column(other, bert)}`;
}

const SHADES = " ·░▒▓█";
/** Maximum number of tokens in a picture. */
const WIDEST = 48;

/** A row for each token and a column for each token it may attend to: the mean of the heads, darker for more. */
function pictures({ gpt2Attention, bertAttention }: Maps): string {
  const picture = (name: string, { tokens: T, heads, weights }: AttentionMaps): string => {
    const shown = Math.min(T, WIDEST);
    const rows = Array.from({ length: shown }, (_, n) => {
      const cells = Array.from({ length: shown }, (_, m) => {
        let mean = 0;
        for (let h = 0; h < heads; h++) mean += weights[(h * T + n) * T + m]! / heads;
        return SHADES[Math.min(SHADES.length - 1, Math.ceil(mean * (SHADES.length - 1)))];
      });
      return `  ${cells.join("")}\n`;
    });
    return `\n${name}\n${rows.join("")}`;
  };
  return (
    picture("GPT-2 attends, from each token (row) to", gpt2Attention) +
    picture("BERT attends, with [CLS] and [SEP], to", bertAttention)
  );
}
