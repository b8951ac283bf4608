import { existsSync } from "node:fs";
import { join } from "node:path";
import { withCopies } from "../data/copy-inputs.js";
import { previewExamples } from "../data/examples/prepare-examples.js";
import {
  checkTemplate,
  isChat,
  plainText,
  promptParts,
  TEMPLATE_FILE,
  TEMPLATES,
  type Template,
  type TextPart,
} from "../data/examples/template.js";
import type { Input } from "../data/inputs.js";
import { readSmallJson } from "../data/small-file.js";
import { UsageError } from "../errors.js";
import { areExamples } from "../train/finetune-data.js";
import { readError } from "../util/file-errors.js";
import { printable } from "../util/printable.js";
import { print, printJson, styleFor } from "./output.js";

/** A template: the name of a built-in one, a file, or JSON. */
export function readTemplate(given: string | undefined): Template | undefined {
  if (given === undefined) return undefined;
  if (Object.hasOwn(TEMPLATES, given)) return TEMPLATES[given];
  const isFile = !given.trimStart().startsWith("{");
  const expected = `${Object.keys(TEMPLATES).join(", ")}, a file, or JSON`;
  if (isFile && !existsSync(given)) throw new UsageError({ op: "--template", expected, got: given });
  const op = isFile ? `template ${given}` : "--template";
  if (isFile) return checkTemplate(readSmallJson(given, { op, expected: "JSON", errorClass: UsageError }), op);
  try {
    return checkTemplate(JSON.parse(given), op);
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    throw readError(cause, op, "JSON", UsageError);
  }
}

/**
 * Fills a template, so that a prompt has the form a model was fine-tuned on.
 *
 * @param given as for {@link readTemplate}, or true for the template beside the adapter or model
 * @param text the template's only field, or the user's message; or JSON with all fields, or the messages so far
 */
export function templatedPrompt(
  given: string | true,
  text: string,
  folders: readonly (string | undefined)[],
): TextPart[] {
  const template = given === true ? templateBeside(folders) : readTemplate(given)!;
  const json = parsed(text);
  if (isChat(template)) {
    const user = Object.entries(template.chat).find(([, { completion }]) => !completion)?.[0] ?? "user";
    const role = Object.hasOwn(template.chat, "user") ? "user" : user;
    const messages = Array.isArray(json) ? json : [{ role, content: text }];
    return promptParts(template, { messages });
  }
  const fields = [...new Set(Array.from(template.prompt.matchAll(/\{\{|\{([^{}]*)\}/g), ([, field]) => field))];
  const named = fields.filter((field) => field !== undefined);
  const isRecord = typeof json === "object" && json !== null && !Array.isArray(json);
  if (named.length === 1 && !isRecord) return promptParts(template, { [named[0]!]: text });
  if (isRecord || named.length === 0) return promptParts(template, (json ?? {}) as Record<string, unknown>);
  const expected = `JSON with ${named.join(", ")}, the fields of the template`;
  throw new UsageError({ op: "--template: prompt", expected, got: JSON.stringify(text.slice(0, 40)) });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function templateBeside(folders: readonly (string | undefined)[]): Template {
  const places = folders.flatMap((folder) => (folder === undefined ? [] : [join(folder, TEMPLATE_FILE)]));
  const file = places.find((place) => existsSync(place));
  if (file !== undefined) return readTemplate(file)!;
  const hint = `Name one: ${Object.keys(TEMPLATES).join(", ")}, a file, or JSON`;
  const got = places.length > 0 ? `no ${places.join(", no ")}` : "neither";
  throw new UsageError({ op: "--template", expected: "an adapter or a model with a template", got, hint });
}

export interface PreviewFlags {
  /** Number of examples. */
  readonly preview?: true | number;
  readonly template?: string;
  readonly json?: true;
}

/** Prints the first examples. Tokens in the loss mask are bold, or in brackets without styles. */
export async function preview(data: readonly string[], flags: PreviewFlags): Promise<void> {
  const given = readTemplate(flags.template);
  await withCopies(data, (inputs) => previewInputs(inputs, flags, given));
}

async function previewInputs(
  data: readonly Input[],
  { preview, json }: PreviewFlags,
  given: Template | undefined,
): Promise<void> {
  if (!(await areExamples(data, given))) {
    throw new UsageError({
      op: "--preview",
      expected: "JSONL of prompts or chats",
      got: "text, all of which is learned",
    });
  }
  const { template, examples } = await previewExamples(data, typeof preview === "number" ? preview : 3, given);
  if (json) {
    const plain = examples.map((parts) =>
      parts.map(({ parts, counted }) => ({ text: plainText(parts), learned: counted })),
    );
    printJson({ template, examples: plain });
    return;
  }
  const style = styleFor(process.stdout);
  const lines = examples.map((segments, i) => {
    const learned = (text: string): string => (style.shows ? style.bold(text) : `[[${printable(text)}]]`);
    const text = segments
      .map(({ parts, counted }) => (counted ? learned(plainText(parts)) : printable(plainText(parts))))
      .join("");
    return `${style.dim(`--- example ${i + 1}, learned ${style.shows ? "in bold" : "in [[ ]]"}`)}\n${text}\n`;
  });
  print(`${style.dim("--- template")}\n${printable(JSON.stringify(template, null, 2))}\n${lines.join("")}`);
}
