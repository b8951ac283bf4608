import { type ConstraintOptions, compileConstraint } from "../constrain/options.js";
import { UsageError } from "../errors.js";

/** The constraint in the flags. */
export interface ConstraintFlags {
  readonly regex?: string | undefined;
  /** Separated by commas. */
  readonly choices?: string | undefined;
}

/**
 * The constraint of the flags, compiled once to find its errors before a model is loaded.
 *
 * @throws {UsageError} several flags. @throws {ConstraintError} a malformed or unsupported constraint.
 */
export function readConstraint({ regex, choices }: ConstraintFlags): ConstraintOptions {
  const all = { regex, choices: choices?.split(",") };
  const given = Object.entries(all).filter(([, value]) => value !== undefined);
  if (given.length > 1) {
    const got = given.map(([name]) => `--${name}`).join(" and ");
    throw new UsageError({ op: "constraint", expected: "one of --regex and --choices", got });
  }
  compileConstraint(all);
  return all;
}
