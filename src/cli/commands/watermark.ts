import { type Command, Option } from "commander";
import { UsageError } from "../../errors.js";
import { WATERMARK_SCHEMES, type WatermarkScheme } from "../../generate/watermark/options.js";
import { verifyWatermark, type WatermarkReport } from "../../misuse/watermark/verify.js";
import { defaultModelFolder } from "../../pretrained/load.js";
import { readText } from "../input.js";
import { loadNamedTokenizer } from "../model.js";
import { count, share } from "../options.js";
import { formatPercent, formatRows, plural, print, printJson, type Style, styleFor } from "../output.js";
import { type WatermarkFlags, watermarkOf } from "../watermark.js";

interface VerifyFlags extends WatermarkFlags {
  readonly scheme?: WatermarkScheme;
  readonly text?: string;
  readonly tokenizer?: string;
  readonly vocabSize?: number;
  readonly falsePositiveRate: number;
  readonly power: number;
  readonly json?: true;
}

const HELP = `
A text is marked by gpt2 "…" --watermark SCHEME with a secret key, and tested here with
the same scheme and key; no model is needed, only its tokenizer. The p-value is the
probability that a text which was not made with the key scores as high. Up to the
false-positive rate the mark counts as found. A text without it may come from another
model or a person, or may have been edited; a text of too few tokens shows nothing.

A key is an integer below 2^64, or any other text. --key is visible to other users in
the list of processes; --key-file and the environment variable GPT2_WATERMARK_KEY are
not. --config is a JSON file of the options in docs/watermark.md.

Examples:
  $ gpt2 "Once upon a time" --watermark gumbel --watermark-key-file key.txt > story.txt
  $ gpt2 watermark story.txt --key-file key.txt
  $ gpt2 watermark --scheme red-green --key 42 --json < page.txt`;

/** Adds `gpt2 watermark`. */
export function registerWatermark(program: Command): void {
  program
    .command("watermark")
    .summary("test whether texts carry the mark of a key")
    .description("Test whether texts carry the watermark of a key.")
    .argument("[files...]", "the texts; - or none: standard input")
    .option("--text <text>", "the text itself, instead of a file")
    .addOption(new Option("--scheme <name>", "scheme of the mark (default: gumbel)").choices(WATERMARK_SCHEMES))
    .option("--key <key>", "the secret key")
    .option("--key-file <path>", "a file with the key")
    .option("--config <path>", "a JSON file of scheme, key and the scheme's options")
    .option(
      "--tokenizer <name>",
      '"gpt2", or a folder, tokenizer.json or .gguf with one (default: the package\'s model)',
    )
    .option("--vocab-size <n>", "the model's vocabulary, for hf-kgw (default: the tokenizer's)", count)
    .option("--false-positive-rate <p>", "largest p-value at which a mark counts as found", share, 0.01)
    .option("--power <p>", "a text is too short if fewer marked texts of its length are found", share, 0.9)
    .option("--json", "print JSON, a line for each text")
    .addHelpText("after", HELP)
    .action(verify);
}

async function verify(files: string[], flags: VerifyFlags): Promise<void> {
  const { text, vocabSize, falsePositiveRate, power } = flags;
  if (text !== undefined && files.length > 0) {
    throw new UsageError({ op: "--text", expected: "either a text or files", got: "both" });
  }
  const watermark = watermarkOf(flags, "");
  const tokenizer = await loadNamedTokenizer(flags.tokenizer ?? defaultModelFolder());
  const sources = text !== undefined || files.length === 0 ? [undefined] : files;
  for (const [i, file] of sources.entries()) {
    const found = await readText(
      { words: text === undefined ? [] : [text], file },
      "gpt2 watermark",
      "a file, --text, or a text on standard input",
    );
    const report = await verifyWatermark(found, watermark, { tokenizer, vocabSize, falsePositiveRate, power });
    if (flags.json) printJson({ ...(file !== undefined && { file }), ...report });
    else print((i > 0 ? "\n" : "") + summary(report, files.length > 1 ? file : undefined, styleFor(process.stdout)));
  }
}

const VERDICTS: Readonly<Record<WatermarkReport["verdict"], string>> = {
  found: "the mark of this key is in the text",
  "not-found": "no mark of this key",
  "too-short": "too short to tell",
};

function summary(report: WatermarkReport, file: string | undefined, style: Style): string {
  const { verdict, pValue, logPValue, scored, repeated, tokens, power, tokensNeeded } = report;
  const p = pValue >= 1e-300 ? pValue.toPrecision(3) : `1e${Math.floor(logPValue / Math.LN10)}`;
  const left = repeated > 0 ? `, ${plural(repeated, "repeated context")} left out` : "";
  const rows: (readonly [string, string])[] = [
    ["p-value", p],
    ["tokens", `${scored} scored of ${tokens}${left}`],
    [
      "power",
      `${formatPercent(power, 0)} of marked texts of this length are found, about (from ${tokensNeeded} tokens: enough)`,
    ],
  ];
  const head = file === undefined ? "" : `${file}: `;
  return `${style.bold(head + VERDICTS[verdict])}\n${formatRows(rows)}`;
}
