import type { Choice } from "../tasks/choose.js";
import type { Omitted } from "../tasks/fit-prompt.js";
import type { TaskOutput } from "../tasks/write.js";
import { printable } from "../util/printable.js";
import { formatPercent, formatTable, jsonLine, note, plural, print, printText, rounded, styleFor } from "./output.js";

/** A task's result. */
export type Result = TaskOutput | (Choice & { readonly omitted?: Omitted });

export interface ReportFlags {
  readonly json?: true;
  readonly showPrompt?: true;
}

/** Prints a result as text, or as a line of JSON. */
export function printResult(task: string, output: Result, flags: ReportFlags): void {
  if (flags.json) {
    print(jsonLine({ task, ...output }, roundScores));
    return;
  }
  if (flags.showPrompt) {
    const { dim } = styleFor(process.stdout);
    const end = output.prompt.endsWith("\n") ? "" : "\n";
    print(`${dim("--- prompt ---")}\n${dim(output.prompt)}${end}${dim("--- result ---")}\n`);
  }
  if ("candidates" in output) print(candidateTable(output));
  else printText(`${output.text}\n`);
}

const SCORES: ReadonlySet<string> = new Set(["logprob", "perToken", "perByte", "share"]);

const roundScores = (key: string, value: unknown): unknown =>
  SCORES.has(key) && typeof value === "number" ? rounded(value) : value;

/** Candidates with their scores, best first. */
function candidateTable({ candidates, normalization }: Choice): string {
  const scores = { total: "logprob", token: "perToken", byte: "perByte" } as const;
  const by = scores[normalization];
  const rows = [...candidates]
    .sort((a, b) => b[by] - a[by])
    .map(({ text, logprob, perToken, perByte, share }) => [
      text.trim() === text ? text : printable(JSON.stringify(text)),
      logprob.toFixed(2),
      perToken.toFixed(3),
      perByte.toFixed(3),
      formatPercent(share, 1),
    ]);
  return formatTable(["candidate", "total", "per token", "per byte", "share"], rows);
}

/** Reports the parts left out of the prompt, if any. */
export function noteOmissions({ examples, tokens }: Omitted): void {
  if (examples > 0) note(`the prompt exceeds the context: the first ${plural(examples, "example")} left out`);
  if (tokens > 0) note(`the text exceeds the context: its last ${plural(tokens, "token")} left out`);
}
