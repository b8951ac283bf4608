import { previewExamples } from "../../data/examples/prepare-examples.js";
import { plainText } from "../../data/examples/template.js";
import { UsageError } from "../../errors.js";
import { areExamples } from "../../train/finetune-data.js";
import { styleFor } from "../style.js";
import { readTemplate } from "../template.js";

export interface PreviewFlags {
  /** How many examples. */
  readonly preview?: true | number;
  readonly template?: string;
  readonly json?: true;
}

/** What the first lines become: what is read, then in bold what is learned. */
export async function preview(data: readonly string[], flags: PreviewFlags): Promise<void> {
  const { preview } = flags;
  const given = readTemplate(flags.template);
  if (!(await areExamples(data, given))) {
    throw new UsageError({
      op: "--preview",
      expected: "JSONL of prompts or chats",
      got: "text, which is learned as it is",
    });
  }
  const { template, examples } = await previewExamples(data, typeof preview === "number" ? preview : 3, given);
  if (flags.json) {
    const plain = examples.map((parts) =>
      parts.map(({ parts, counted }) => ({ text: plainText(parts), learned: counted })),
    );
    process.stdout.write(`${JSON.stringify({ template, examples: plain })}\n`);
    return;
  }
  const style = styleFor(process.stdout);
  const lines = examples.map((segments, i) => {
    // Without colours, brackets show what is learned.
    const learned = (text: string): string => (style.bold("x") === "x" ? `[[${text}]]` : style.bold(text));
    const text = segments
      .map(({ parts, counted }) => (counted ? learned(plainText(parts)) : plainText(parts)))
      .join("");
    return `${style.dim(`--- example ${i + 1}, what is learned ${style.bold("x") === "x" ? "in [[ ]]" : "in bold"}`)}\n${text}\n`;
  });
  process.stdout.write(`${style.dim("--- template")}\n${JSON.stringify(template, null, 2)}\n${lines.join("")}`);
}
