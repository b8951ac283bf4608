import { DataError } from "../../errors.js";
import { quote } from "../../util/quote.js";
import { fieldsOf } from "../json-lines.js";
import type { FileLine } from "../read-lines.js";
import type { LabelKind } from "./labelled-folder.js";

/** Labels of whole texts. */
export type TextLabelKind = Extract<LabelKind, "classification" | "regression">;

/** A line of JSONL: its text, and its label if it has one. */
export interface LabelledLine {
  readonly text: string;
  /** A second text that belongs to it. */
  readonly pair?: string | undefined;
  /** A name; for regression a number. */
  readonly label: string | number | undefined;
}

/**
 * The `text`, `pair` and `label` of a line. Labels are names; whole numbers, true and false count as names too. For regression they
 * are numbers; without a kind labels are ignored.
 *
 * @throws {DataError} no text, or a label of another kind.
 */
export function labelledLine({ record, where }: FileLine, kind: TextLabelKind | undefined): LabelledLine {
  const { text, pair, label } = record as { text?: unknown; pair?: unknown; label?: unknown };
  const op = `reading ${where}`;
  if (typeof text !== "string") {
    throw new DataError({
      op,
      expected: 'a "text"',
      got: fieldsOf(record),
    });
  }
  if (pair !== undefined && typeof pair !== "string") {
    throw new DataError({ op, expected: 'a text as "pair"', got: quote(pair) });
  }
  const texts = pair === undefined ? { text } : { text, pair };
  if (kind === undefined || label === undefined || label === null) return { ...texts, label: undefined };
  const got = quote(label);
  if (kind === "regression") {
    if (typeof label === "number" && Number.isFinite(label)) return { ...texts, label };
    throw new DataError({ op, expected: 'a number as "label", as this is regression', got });
  }
  if (typeof label === "string" && label !== "") return { ...texts, label };
  if (Number.isSafeInteger(label) || typeof label === "boolean") return { ...texts, label: String(label) };
  const hint = typeof label === "number" ? "For numbers to be predicted there is --task regress" : undefined;
  const details = { op, expected: 'a name as "label"', got };
  throw new DataError(hint === undefined ? details : { ...details, hint });
}
