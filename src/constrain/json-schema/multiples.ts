import type { Part, Parts } from "../grammar.js";
import type { Bound } from "./facts.js";
import { decimal, type NumberForms } from "./numbers.js";
import { unsupported } from "./places.js";

/**
 * Multiples of a number: listed one by one within bounds; or of a power of ten, by counting the digits of the
 * fraction, or the trailing zeros.
 */
export function multipleOf(
  parts: Parts,
  numbers: NumberForms,
  facts: {
    readonly least: Bound | undefined;
    readonly most: Bound | undefined;
    readonly integer: boolean;
    readonly multiples: readonly { readonly of: number; readonly pointer: string }[];
  },
  mostListed: number,
): Part {
  const { least, most, integer, multiples } = facts;
  const { pool } = parts;
  const [{ of }] = multiples as [(typeof multiples)[number]];
  const bounded = least && most ? numbers.within(least, most, integer) : undefined;
  if (multiples.length === 1 && bounded && (most!.value - least!.value) / of <= mostListed) {
    const [from, to] = [Math.ceil(least!.value / of), Math.floor(most!.value / of)];
    const all = Array.from({ length: to - from + 1 }, (_, i) => (from + i) * of).map((value) => {
      const [whole, fraction] = decimal(Math.abs(Number(value.toPrecision(15))));
      return pool.text(`${value < 0 ? "-" : ""}${whole}${fraction === "" ? "" : `.${fraction}`}`);
    });
    return parts.expression(pool.both(bounded, pool.either(...all)));
  }
  const shape = least || most ? numbers.within(least, most, integer) : integer ? numbers.integer : numbers.decimal;
  const forms = multiples.map(({ of: each, pointer: at }) => {
    const power = Math.log10(each);
    if (!Number.isInteger(power)) {
      throw unsupported(
        at,
        `multipleOf ${each}`,
        "Powers of ten are supported, and any number between a minimum and a maximum",
      );
    }
    return numbers.multipleOfTen(power);
  });
  if (!pool.isPossible(pool.both(shape, ...forms))) return parts.nothing;
  return parts.expression(pool.both(shape, ...forms));
}
