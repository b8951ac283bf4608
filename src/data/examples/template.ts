import { DataError, UsageError } from "../../errors.js";
import { quote } from "../../util/quote.js";

/**
 * Turns a line of JSONL into a text with a loss mask. Nothing is added to the template's text, except an `<|endoftext|>` before a
 * text whose first token would be in the loss mask.
 *
 * `{field}` stands for the line's field, `{{` for a brace, `<|endoftext|>` for the token. In the data itself, `<|endoftext|>` is
 * plain text.
 */
export type Template = FieldsTemplate | ChatTemplate;

export interface FieldsTemplate {
  /** Text without loss. */
  readonly prompt: string;
  /** Text after it, in the loss mask. */
  readonly completion: string;
}

/** For lines with `messages`, a list of `{ role, content }`; the field of a message is `{content}`. */
export interface ChatTemplate {
  /** By role: text without loss and, for the model's roles, text in the loss mask. */
  readonly chat: Readonly<Record<string, { readonly prompt: string; readonly completion?: string }>>;
}

/** The file beside a model or adapter that was trained with a template. */
export const TEMPLATE_FILE = "template.json";

export const TEMPLATES: Readonly<Record<string, Template>> = {
  plain: { prompt: "{prompt}", completion: "{completion}<|endoftext|>" },
  story: { prompt: "Summary: {prompt}\n\nStory:\n\n", completion: "{completion}<|endoftext|>" },
  chat: {
    chat: {
      system: { prompt: "{content}\n\n" },
      user: { prompt: "User: {content}\n" },
      assistant: { prompt: "Assistant:", completion: " {content}<|endoftext|>" },
    },
  },
};

/** A line's contents. */
export type ExampleRecord = { readonly [field: string]: unknown };

/** A part of an example, inside or outside the loss mask. */
export interface Segment {
  readonly parts: readonly TextPart[];
  readonly counted: boolean;
}

/** Text, or the token `<|endoftext|>`. */
export type TextPart = string | typeof END_OF_TEXT;
export const END_OF_TEXT = Symbol("<|endoftext|>");
const END_OF_TEXT_TEXT = "<|endoftext|>";

export const isChat = (template: Template): template is ChatTemplate => "chat" in template;

/** The built-in template that fits a line, if any. */
export function templateFor(record: ExampleRecord): Template | undefined {
  if (Array.isArray(record.messages)) return TEMPLATES.chat;
  return "prompt" in record && "completion" in record ? TEMPLATES.plain : undefined;
}

/**
 * Checks a template given as JSON.
 *
 * @throws {UsageError} it is not a template, names unknown fields of messages, or has an empty loss mask.
 */
export function checkTemplate(json: unknown, op = "template"): Template {
  const expected = 'an object with "prompt" and "completion", or with "chat": { role: { "prompt", "completion" } }';
  const refuse = (got: string): never => {
    throw new UsageError({ op, expected, got });
  };
  if (!isObject(json)) return refuse(json === null ? "null" : typeof json);
  if (!("chat" in json)) {
    const { prompt, completion, ...rest } = json;
    const [other] = Object.keys(rest);
    if (other !== undefined) return refuse(`"${other}" as well`);
    if (typeof prompt !== "string" || typeof completion !== "string") return refuse("something else");
    if (completion === "") return refuse("an empty completion: nothing to learn");
    return { prompt, completion };
  }
  if (Object.keys(json).length > 1 || !isObject(json.chat)) return refuse("something else");
  const roles = Object.entries(json.chat);
  for (const [role, value] of roles) {
    const { prompt, completion, ...rest } = isObject(value) ? value : {};
    const fits = typeof prompt === "string" && (completion === undefined || typeof completion === "string");
    if (!fits || Object.keys(rest).length > 0) return refuse(`something else for the role "${role}"`);
  }
  const learned = roles.some(([, value]) => (value as { completion?: string }).completion);
  if (!learned) return refuse("no role with a completion: nothing to learn");
  return json as unknown as ChatTemplate;
}

/**
 * Fills a template with a line's fields.
 *
 * @param op for errors: `reading chats.jsonl, line 3`.
 * @throws {DataError} a field is missing or not a text, or the template lacks a role.
 */
export function renderExample(template: Template, record: ExampleRecord, op: string): Segment[] {
  const segment = (text: string | undefined, fields: ExampleRecord, counted: boolean): Segment[] =>
    text ? [{ parts: fillIn(text, fields, op), counted }] : [];
  if (!isChat(template)) {
    return [...segment(template.prompt, record, false), ...segment(template.completion, record, true)];
  }
  const { messages } = record;
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new DataError({
      op,
      expected: 'a list of "messages"',
      got: messages === undefined ? "none" : "something else",
    });
  }
  return messages.flatMap((message: unknown, i) => {
    const at = `${op}: message ${i + 1}`;
    if (!isObject(message))
      throw new DataError({ op: at, expected: "an object with role and content", got: typeof message });
    const { role } = message;
    const roles = Object.keys(template.chat);
    if (typeof role !== "string" || !roles.includes(role)) {
      throw new DataError({
        op: `${at}: role`,
        expected: `${roles.join(", ")}, those of the template`,
        got: typeof role === "string" ? role : quote(role),
      });
    }
    const { prompt, completion } = template.chat[role]!;
    return [...segment(prompt, message, false), ...segment(completion, message, true)];
  });
}

/**
 * The text before the completion: a prompt for a model trained with the template.
 *
 * @param record the fields of the prompt; for a chat, its messages so far.
 */
export function promptParts(template: Template, record: ExampleRecord): TextPart[] {
  const op = "prompt from a template";
  if (!isChat(template)) return fillIn(template.prompt, record, op);
  const before = renderExample(template, record, op).flatMap(({ parts }) => parts);
  const speaker = Object.values(template.chat).find(({ completion }) => completion);
  return [...before, ...fillIn(speaker!.prompt, { content: "" }, op)];
}

/** {@link promptParts} as text. */
export const renderPrompt = (template: Template, record: ExampleRecord): string =>
  plainText(promptParts(template, record));

/** Segments as text, for previews and prompts. */
export const plainText = (parts: readonly TextPart[]): string =>
  parts.map((part) => (typeof part === "string" ? part : END_OF_TEXT_TEXT)).join("");

const PLACEHOLDER = /\{\{|\{([^{}]*)\}|<\|endoftext\|>/g;

/** Joins adjacent text of the template and the data, which is tokenized as a whole. */
function fillIn(template: string, fields: ExampleRecord, op: string): TextPart[] {
  const parts: TextPart[] = [];
  let text = "";
  let end = 0;
  for (const { 0: found, 1: field, index } of template.matchAll(PLACEHOLDER)) {
    text += template.slice(end, index);
    end = index + found.length;
    if (found === "{{") text += "{";
    else if (field !== undefined) text += fieldText(fields, field, op);
    else {
      if (text !== "") parts.push(text);
      parts.push(END_OF_TEXT);
      text = "";
    }
  }
  text += template.slice(end);
  return text === "" ? parts : [...parts, text];
}

function fieldText(fields: ExampleRecord, field: string, op: string): string {
  const value = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const there = Object.keys(fields).join(", ");
  const got = value === undefined ? `none among ${there || "no fields"}` : value === null ? "null" : "an object";
  throw new DataError({ op: `${op}: field "${field}"`, expected: "a text, as the template requires", got });
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
