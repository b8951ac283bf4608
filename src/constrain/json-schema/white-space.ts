import type { Part, Parts } from "../grammar.js";
import type { Expression } from "../regex/expressions.js";

/**
 * White space between the parts of a JSON text. `ordinary` is what people and programs write: nothing, a space, or a line break
 * and an indentation, after brackets, commas and colons; `none`; `any`: wherever JSON allows it, without limit.
 */
export type WhiteSpace = "ordinary" | "none" | "any";

export const WHITE_SPACE: readonly WhiteSpace[] = ["ordinary", "none", "any"];

/** Brackets, commas and colons with the white space around them. */
export interface Spaces {
  readonly openObject: Part;
  readonly closeObject: Part;
  readonly emptyObject: Part;
  readonly openList: Part;
  readonly closeList: Part;
  readonly emptyList: Part;
  readonly comma: Part;
  readonly colon: Part;
}

export function spaces(parts: Parts, kind: WhiteSpace): Spaces {
  const { pool } = parts;
  const [space, indent] = [pool.text(" "), pool.either(pool.text(" "), pool.text("\t"))];
  const line = pool.either(pool.text("\n"), pool.text("\r\n"));
  const ordinary = pool.either(pool.empty, space, pool.sequence(line, pool.repeat(indent, 0, 40)));
  const any = pool.repeat(pool.either(indent, pool.text("\n"), pool.text("\r")), 0);
  const after = { ordinary, none: pool.empty, any }[kind];
  const before = kind === "any" ? any : pool.empty;
  const form = (...each: Expression[]): Part => parts.expression(pool.sequence(...each));
  return {
    openObject: form(pool.text("{"), after),
    closeObject: form(after, pool.text("}")),
    emptyObject: form(pool.text("{"), after, pool.text("}")),
    openList: form(pool.text("["), after),
    closeList: form(after, pool.text("]")),
    emptyList: form(pool.text("["), after, pool.text("]")),
    comma: form(before, pool.text(","), after),
    colon: form(before, pool.text(":"), after),
  };
}
