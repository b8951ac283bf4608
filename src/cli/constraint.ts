import { readFileSync } from "node:fs";
import type { WhiteSpace } from "../constrain/json-schema/white-space.js";
import { type ConstraintOptions, compileConstraint } from "../constrain/options.js";
import { UsageError } from "../errors.js";

/** The constraint in the flags. */
export interface ConstraintFlags {
  /** A file. */
  readonly jsonSchema?: string | undefined;
  readonly whiteSpace?: WhiteSpace | undefined;
  /** A file. */
  readonly grammar?: string | undefined;
  readonly regex?: string | undefined;
  /** Separated by commas. */
  readonly choices?: string | undefined;
}

/**
 * The constraint of the flags, compiled once to find its errors before a model is loaded.
 *
 * @throws {UsageError} several flags, or a file that cannot be read. @throws {ConstraintError} a malformed or unsupported
 * constraint.
 */
export function readConstraint(flags: ConstraintFlags): ConstraintOptions {
  const { jsonSchema, whiteSpace, grammar, regex, choices } = flags;
  const kinds = { "--json-schema": jsonSchema, "--grammar": grammar, "--regex": regex, "--choices": choices };
  const given = Object.entries(kinds).filter(([, value]) => value !== undefined);
  if (given.length !== 1) {
    const got = given.length === 0 ? "--white-space alone" : given.map(([name]) => name).join(" and ");
    throw new UsageError({ op: "constraint", expected: `one of ${Object.keys(kinds).join(", ")}`, got });
  }
  const options: ConstraintOptions = {
    ...(jsonSchema !== undefined && { jsonSchema: schemaIn(jsonSchema) }),
    ...(grammar !== undefined && { grammar: textIn("--grammar", grammar) }),
    ...(regex !== undefined && { regex }),
    ...(choices !== undefined && { choices: choices.split(",") }),
    ...(whiteSpace !== undefined && { whiteSpace }),
  };
  compileConstraint(options);
  return options;
}

function schemaIn(path: string): object {
  const text = textIn("--json-schema", path);
  try {
    return JSON.parse(text) as object;
  } catch (cause) {
    throw new UsageError({ op: `--json-schema ${path}`, expected: "JSON", got: (cause as Error).message, cause });
  }
}

function textIn(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError({ op: `${flag} ${path}`, expected: "a file that can be read", got, cause });
  }
}
