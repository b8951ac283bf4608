import { UsageError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { DataSource, UsedFile } from "./data/source.js";
import type { Metric } from "./metrics/metric.js";
import type { ItemText } from "./overlap/words.js";
import type { RequestGenerator } from "./requests.js";

/** An option of a protocol; a task with all options set is one evaluation. */
export interface TaskOption {
  readonly about: string;
  /** The first is the default. */
  readonly values: readonly [string, ...string[]];
  /** Whether positive integers are values too. */
  readonly integer?: boolean;
}

/** Inputs of an evaluation. */
export interface TaskSetup {
  readonly source: DataSource;
  readonly tokenizer: Tokenizer;
  /** Id of the token before each text. */
  readonly endOfText: number;
  /** The model's context. */
  readonly nCtx: number;
  /** Values of the options. */
  readonly options: Readonly<Record<string, string>>;
}

/** Declaration of an evaluation. Its version is incremented when results change. */
export interface Task {
  readonly name: string;
  readonly version: number;
  /** One line, with the protocol. */
  readonly about: string;
  readonly options: Readonly<Record<string, TaskOption>>;
  /** Reads the data. @throws {DataError} it is missing or malformed. */
  readonly prepare: (setup: TaskSetup) => Promise<Evaluation>;
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Result of one item; stored as JSON. */
export type Outcome = { readonly [key: string]: Json };

/** Items to run, and metrics over their outcomes. */
export interface Evaluation {
  readonly items: number;
  /** Items that run in lockstep and share runs of the model. */
  readonly blockSize: number;
  readonly run: (item: number) => RequestGenerator<Outcome>;
  /** The texts of an item whose overlap with training text is measured. */
  readonly texts: (item: number) => readonly ItemText[];
  readonly metrics: readonly Metric<Outcome>[];
  readonly files: readonly UsedFile[];
  /** Further facts of the result: counts, signatures. */
  readonly facts: Readonly<Record<string, string | number>>;
}

export interface EvaluationParts<Item, O extends Outcome> {
  readonly items: readonly Item[];
  readonly blockSize?: number;
  readonly run: (item: Item, index: number) => RequestGenerator<O>;
  readonly texts: (item: Item) => readonly ItemText[];
  readonly metrics: readonly Metric<O>[];
  readonly files: readonly UsedFile[];
  readonly facts?: Readonly<Record<string, string | number>>;
}

/** An {@link Evaluation} of items and outcomes of some type. */
export function evaluation<Item, O extends Outcome>(parts: EvaluationParts<Item, O>): Evaluation {
  const { items, blockSize = 64, run, texts, files, facts = {} } = parts;
  return {
    items: items.length,
    blockSize,
    run: (index) => run(items[index]!, index),
    texts: (index) => texts(items[index]!),
    // Metrics receive only outcomes of `run`, perhaps after a round trip through JSON.
    metrics: parts.metrics as readonly Metric<Outcome>[],
    files,
    facts,
  };
}

/** A task with its options set. */
export interface TaskSpec {
  readonly task: Task;
  readonly options: Readonly<Record<string, string>>;
}

/**
 * Parses `wikitext-2:plain,stride=512`: a task, and options by name or, where it is unambiguous, by value alone.
 *
 * @throws {UsageError} there is no such task, option or value.
 */
export function parseTaskSpec(text: string, tasks: readonly Task[]): TaskSpec {
  const [name = "", ...rest] = text.split(":");
  const task = tasks.find((candidate) => candidate.name === name);
  if (!task) {
    throw new UsageError({ op: "task", expected: `one of ${tasks.map((t) => t.name).join(", ")}`, got: name });
  }
  const given = rest
    .join(":")
    .split(",")
    .filter((part) => part !== "");
  const options = Object.fromEntries(Object.entries(task.options).map(([key, { values }]) => [key, values[0]]));
  for (const part of given) {
    const [key, value] = part.includes("=") ? splitAt(part, "=") : [optionWithValue(task, part), part];
    const option = Object.hasOwn(task.options, key) ? task.options[key]! : undefined;
    if (!option) throw unknownOption(task, part);
    if (!option.values.includes(value) && !(option.integer && /^[1-9]\d*$/.test(value))) {
      const expected = [...option.values, ...(option.integer ? ["a positive integer"] : [])].join(", ");
      throw new UsageError({ op: `${task.name}: ${key}`, expected, got: value });
    }
    options[key] = value;
  }
  return { task, options };
}

function splitAt(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return [text.slice(0, at), text.slice(at + 1)];
}

function optionWithValue({ options }: Task, value: string): string {
  return Object.entries(options).find(([, option]) => option.values.includes(value))?.[0] ?? "";
}

function unknownOption({ name, options }: Task, part: string): UsageError {
  const known = Object.entries(options).map(([key, { values, integer }]) => {
    return `${key}=${[...values, ...(integer ? ["N"] : [])].join("|")}`;
  });
  return new UsageError({ op: `option of ${name}`, expected: known.join(", ") || "none", got: part });
}

/** The shortest spec: only options that differ from their defaults. */
export function formatTaskSpec({ task, options }: TaskSpec): string {
  const parts = Object.entries(task.options).flatMap(([key, { values }]) => {
    const value = options[key] ?? values[0];
    if (value === values[0]) return [];
    return [optionWithValue(task, value) === key ? value : `${key}=${value}`];
  });
  return parts.length === 0 ? task.name : `${task.name}:${parts.join(",")}`;
}
