import type { Choice } from "../../tasks/choose.js";
import type { Omitted } from "../../tasks/fit-prompt.js";
import type { TaskOutput } from "../../tasks/write.js";
import { styleFor } from "../style.js";
import { formatTable } from "../table.js";

/** What a task gives, and what its prompt had no room for. */
export type Result = TaskOutput | (Choice & { readonly omitted?: Omitted });

export interface ReportFlags {
  readonly json?: true;
  readonly showPrompt?: true;
}

/** A result, for people or as a line of JSON. */
export function report(task: string, output: Result, flags: ReportFlags): string {
  if (flags.json) return `${JSON.stringify({ task, ...output }, rounded)}\n`;
  const result = "candidates" in output ? table(output) : `${output.text}\n`;
  if (!flags.showPrompt) return result;
  const { dim } = styleFor(process.stdout);
  const end = output.prompt.endsWith("\n") ? "" : "\n";
  return `${dim("--- prompt ---")}\n${dim(output.prompt)}${end}${dim("--- result ---")}\n${result}`;
}

/** Single precision computed them: six digits are all that mean something. */
const DIGITS: ReadonlySet<string> = new Set(["logprob", "perToken", "perByte", "share"]);

const rounded = (key: string, value: unknown): unknown =>
  DIGITS.has(key) && typeof value === "number" ? Number(value.toPrecision(6)) : value;

/** The best first. */
function table({ candidates, normalization }: Choice): string {
  const scores = { total: "logprob", token: "perToken", byte: "perByte" } as const;
  const by = scores[normalization];
  const rows = [...candidates]
    .sort((a, b) => b[by] - a[by])
    .map(({ text, logprob, perToken, perByte, share }) => {
      const figures = [logprob.toFixed(2), perToken.toFixed(3), perByte.toFixed(3), `${(100 * share).toFixed(1)}%`];
      return [text.trim() === text ? text : JSON.stringify(text), ...figures];
    });
  return formatTable(["candidate", "total", "per token", "per byte", "share"], rows);
}

/** What was left out of the prompt, a line for each kind; most often nothing. */
export function omissions({ examples, tokens }: Omitted): string {
  const [some, many] = [plural(examples, "example"), plural(tokens, "token")];
  return [
    examples > 0 ? `gpt2: no room in the model's context: the first ${some} left out\n` : "",
    tokens > 0 ? `gpt2: longer than the model's context: the last ${many} left out\n` : "",
  ].join("");
}

const plural = (count: number, what: string): string =>
  count === 1 ? `${what} was` : `${count.toLocaleString("en")} ${what}s were`;
