import { ConstraintError } from "../errors.js";
import { checkOptionNames } from "../util/nearest.js";
import { bounded } from "./bounded.js";
import { compileGbnf } from "./gbnf.js";
import { type Grammar, type Part, Parts } from "./grammar.js";
import { compileSchema } from "./json-schema/compile.js";
import { WHITE_SPACE, type WhiteSpace } from "./json-schema/white-space.js";
import { wholeMatch } from "./regex/compile.js";
import { Expressions } from "./regex/expressions.js";

/** A constraint on a generated text: exactly one of these. */
export interface ConstraintOptions {
  /** The text is JSON that satisfies this JSON Schema: an object, or true for any JSON. */
  readonly jsonSchema?: object | boolean | undefined;
  /** White space in such JSON: `ordinary` (the default), `none`, or `any`. */
  readonly whiteSpace?: WhiteSpace | undefined;
  /** The whole text matches this regular expression. */
  readonly regex?: string | undefined;
  /** The whole text is one of these. */
  readonly choices?: readonly string[] | undefined;
  /** The whole text satisfies this grammar, in llama.cpp's GBNF. */
  readonly grammar?: string | undefined;
}

const KINDS = ["jsonSchema", "regex", "choices", "grammar"] as const;
const NAMES = {
  jsonSchema: true,
  whiteSpace: true,
  regex: true,
  choices: true,
  grammar: true,
} as const satisfies Record<keyof ConstraintOptions, true>;

/** Maximum number of expressions that compiling one constraint may make. */
const MOST_PARTS = 200_000;
const MOST_CHOICES = 20_000;

/**
 * Compiles a constraint. This does not need the vocabulary.
 *
 * @throws {ConstraintError} it is malformed, or uses an unsupported feature.
 */
export function compileConstraint(options: ConstraintOptions): Grammar {
  checkOptionNames("constraint", options, NAMES);
  const given = KINDS.filter((name) => options[name] !== undefined);
  if (given.length !== 1) {
    const expected = `one of ${KINDS.join(", ")}`;
    throw new ConstraintError({ op: "constraint", expected, got: given.length === 0 ? "none" : given.join(" and ") });
  }
  const pool = Expressions.shared();
  return { pool, root: bounded(() => pool.within(MOST_PARTS, () => rootOf(new Parts(pool), options))) };
}

function rootOf(
  parts: Parts,
  { jsonSchema, whiteSpace = "ordinary", regex, choices, grammar }: ConstraintOptions,
): Part {
  const { pool } = parts;
  if (!WHITE_SPACE.includes(whiteSpace)) {
    throw new ConstraintError({ op: "whiteSpace", expected: WHITE_SPACE.join(" or "), got: String(whiteSpace) });
  }
  if (jsonSchema !== undefined) return compileSchema(parts, jsonSchema, whiteSpace);
  if (grammar !== undefined) return compileGbnf(parts, grammar);
  if (regex !== undefined) return parts.expression(wholeMatch(pool, regex));
  return parts.expression(pool.either(...checkedChoices(choices!).map((text) => pool.text(text))));
}

function checkedChoices(choices: readonly string[]): readonly string[] {
  const bad = choices.findIndex((text) => typeof text !== "string" || text === "");
  if (bad >= 0) {
    const got = JSON.stringify(choices[bad]);
    throw new ConstraintError({ op: "choices", expected: "texts that are not empty", got, at: String(bad) });
  }
  if (choices.length > 0 && choices.length <= MOST_CHOICES) return choices;
  throw new ConstraintError({ op: "choices", expected: `1 to ${MOST_CHOICES} texts`, got: String(choices.length) });
}
