import { ConstraintError } from "../errors.js";
import { checkOptionNames } from "../util/nearest.js";
import { type Grammar, Parts } from "./grammar.js";
import { wholeMatch } from "./regex/compile.js";
import { Expressions } from "./regex/expressions.js";

/** What a text has to be: one of these. */
export interface ConstraintOptions {
  /** The whole text matches this regular expression. */
  readonly regex?: string | undefined;
  /** The whole text is one of these. */
  readonly choices?: readonly string[] | undefined;
}

const NAMES = { regex: true, choices: true } as const satisfies Record<keyof ConstraintOptions, true>;

/** Expressions that compiling one constraint may make. */
const MOST_PARTS = 200_000;
const MOST_CHOICES = 100_000;

/**
 * Compiles a constraint; no vocabulary is needed for that.
 *
 * @throws {ConstraintError} it is malformed, or asks for something unsupported.
 */
export function compileConstraint(options: ConstraintOptions): Grammar {
  checkOptionNames("constraint", options, NAMES);
  const given = Object.keys(NAMES).filter((name) => options[name as keyof ConstraintOptions] !== undefined);
  if (given.length !== 1) {
    const expected = `one of ${Object.keys(NAMES).join(", ")}`;
    throw new ConstraintError({ op: "constraint", expected, got: given.length === 0 ? "none" : given.join(" and ") });
  }
  const pool = Expressions.shared();
  const parts = new Parts(pool);
  return pool.within(MOST_PARTS, () => {
    const { regex, choices } = options;
    if (regex !== undefined) return { pool, root: parts.expression(wholeMatch(pool, regex)) };
    return { pool, root: parts.expression(pool.either(...checkedChoices(choices!).map((text) => pool.text(text)))) };
  });
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
