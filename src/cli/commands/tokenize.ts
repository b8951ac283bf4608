import type { Command } from "commander";
import { UsageError } from "../../errors.js";
import { loadTokenizer } from "../../tokenizer/files.js";
import { gpt2Tokenizer } from "../../tokenizer/gpt2.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { readInput } from "../input.js";

interface TokenizeFlags {
  readonly tokenizer: string;
  readonly file?: string;
  readonly special?: true;
  readonly decode?: true;
  readonly ids?: true;
  readonly count?: true;
  readonly json?: true;
}

/** Adds `gpt2 tokenize`. */
export function registerTokenize(program: Command): void {
  program
    .command("tokenize")
    .summary("show the tokens of a text, or the text of tokens")
    .description(
      "Show the tokens of a text, one a line with its id; with --decode, the text of ids. The text comes from the\n" +
        "arguments, from --file, or from standard input.",
    )
    .argument("[text...]", "the text, or with --decode the ids")
    .option("-t, --tokenizer <name>", '"gpt2", a model\'s folder, or a tokenizer.json', "gpt2")
    .option("-f, --file <path>", "read from a file; - is standard input")
    .option("--special", "read <|endoftext|> and other special tokens as such, not as plain text")
    .option("--ids", "print only the ids, on one line")
    .option("--count", "print only how many tokens there are")
    .option("--json", "print as JSON: id, text and bytes of every token")
    .option("-d, --decode", "from ids (numbers between anything else) to text")
    .action(tokenize);
}

async function tokenize(words: string[], flags: TokenizeFlags): Promise<void> {
  const tokenizer = flags.tokenizer === "gpt2" ? await gpt2Tokenizer() : await loadTokenizer(flags.tokenizer);
  const input = await readText(words, flags.file);
  if (flags.decode) {
    process.stdout.write(tokenizer.decodeBytes(parseIds(new TextDecoder().decode(input))));
    return;
  }
  const ids = flags.special
    ? tokenizer.encode(new TextDecoder("utf-8", { ignoreBOM: true }).decode(input), { allowedSpecial: "all" })
    : tokenizer.encodeBytes(input);
  if (flags.count) process.stdout.write(`${ids.length}\n`);
  else if (flags.ids) process.stdout.write(`${ids.join(" ")}\n`);
  else if (flags.json) process.stdout.write(`${JSON.stringify(describe(tokenizer, ids))}\n`);
  else process.stdout.write(table(tokenizer, ids, input.length));
}

async function readText(words: readonly string[], file: string | undefined): Promise<Uint8Array> {
  const input = await readInput(words, file);
  if (input !== undefined) return input;
  throw new UsageError({
    op: "gpt2 tokenize",
    expected: "a text as argument, with --file, or on standard input",
    got: "none",
  });
}

function parseIds(text: string): number[] {
  return Array.from(text.matchAll(/\d+/g), ([digits]) => Number(digits));
}

function describe(tokenizer: Tokenizer, ids: Uint32Array): { id: number; text: string; bytes: number[] }[] {
  return Array.from(ids, (id) => {
    const bytes = tokenizer.idToBytes(id);
    return { id, text: tokenizer.decode([id]), bytes: Array.from(bytes) };
  });
}

/** One token a line, then the counts. */
function table(tokenizer: Tokenizer, ids: Uint32Array, bytes: number): string {
  const width = String(tokenizer.vocabSize - 1).length;
  const lines = Array.from(ids, (id) => `${String(id).padStart(width)}  ${show(tokenizer.idToBytes(id))}`);
  const ratio = ids.length > 0 ? `, ${(bytes / ids.length).toFixed(2)} bytes a token` : "";
  return `${lines.join("\n")}${lines.length > 0 ? "\n" : ""}${ids.length} tokens, ${bytes} bytes${ratio}\n`;
}

/** A token's text in quotes, or its bytes if they are no whole characters. */
function show(bytes: Uint8Array): string {
  try {
    return JSON.stringify(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return `<${Buffer.from(bytes)
      .toString("hex")
      .replace(/(..)(?=.)/g, "$1 ")}>`;
  }
}
