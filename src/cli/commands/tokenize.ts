import type { Command } from "commander";
import { UsageError } from "../../errors.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { printable } from "../../util/printable.js";
import { readInput, type TextSource } from "../input.js";
import { loadNamedTokenizer } from "../model.js";
import { print, printJson, printText } from "../output.js";

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
    .summary("encode a text to tokens, or decode ids")
    .description(
      "Encode a text to tokens, one per line with its id; with --decode, decode ids to text. The text comes from the " +
        "arguments, --file, or standard input; a byte-order mark is removed.",
    )
    .argument("[text...]", "the text, or with --decode the ids")
    .option("-t, --tokenizer <name>", '"gpt2", or a folder, tokenizer.json or .gguf with one', "gpt2")
    .option("-f, --file <path>", "read from a file; - is standard input")
    .option("--special", "encode <|endoftext|> and other special tokens as such, not as plain text")
    .option("--ids", "print only the ids, on one line")
    .option("--count", "print only the number of tokens")
    .option("--json", "print JSON: id, text and bytes of every token")
    .option("-d, --decode", "decode ids (any numbers in the text) to text")
    .action(tokenize);
}

async function tokenize(words: string[], flags: TokenizeFlags): Promise<void> {
  const tokenizer = await loadNamedTokenizer(flags.tokenizer);
  const input = await readBytes({ words, file: flags.file });
  if (flags.decode) {
    printText(tokenizer.decodeBytes(parseIds(new TextDecoder().decode(input))));
    return;
  }
  const ids = flags.special
    ? tokenizer.encode(new TextDecoder("utf-8", { ignoreBOM: true }).decode(input), { allowedSpecial: "all" })
    : tokenizer.encodeBytes(input);
  if (flags.count) print(`${ids.length}\n`);
  else if (flags.ids) print(`${ids.join(" ")}\n`);
  else if (flags.json) printJson(describe(tokenizer, ids));
  else print(table(tokenizer, ids, input.length));
}

async function readBytes(source: TextSource): Promise<Uint8Array> {
  const input = await readInput(source);
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

/** A line for each token, then the counts. */
function table(tokenizer: Tokenizer, ids: Uint32Array, bytes: number): string {
  const width = String(tokenizer.vocabSize - 1).length;
  const lines = Array.from(ids, (id) => `${String(id).padStart(width)}  ${show(tokenizer.idToBytes(id))}`);
  const ratio = ids.length > 0 ? `, ${(bytes / ids.length).toFixed(2)} bytes per token` : "";
  return `${lines.join("\n")}${lines.length > 0 ? "\n" : ""}${ids.length} tokens, ${bytes} bytes${ratio}\n`;
}

/** A token's text in quotes, or its bytes if they are not whole characters. */
function show(bytes: Uint8Array): string {
  try {
    return printable(JSON.stringify(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)));
  } catch {
    return `<${Buffer.from(bytes)
      .toString("hex")
      .replace(/(..)(?=.)/g, "$1 ")}>`;
  }
}
