import { ByteSet } from "../byte-set.js";
import type { Expression, Expressions } from "../regex/expressions.js";
import type { Bound } from "./facts.js";

/** Expressions of JSON numbers. */
export class NumberForms {
  readonly #pool: Expressions;
  readonly #digits: Expression;
  readonly #zeros: Expression;
  /** Integers from 0 on. */
  readonly #natural: Expression;
  /** An optional fraction. */
  readonly #fraction: Expression;

  constructor(pool: Expressions) {
    this.#pool = pool;
    this.#digits = pool.repeat(this.#digit(0, 9), 0);
    this.#zeros = pool.repeat(this.#digit(0, 0), 0);
    this.#natural = pool.either(pool.text("0"), pool.sequence(this.#digit(1, 9), this.#digits));
    this.#fraction = this.#optional(pool.sequence(pool.text("."), pool.repeat(this.#digit(0, 9), 1)));
  }

  get integer(): Expression {
    return this.#pool.sequence(this.#optional(this.#pool.text("-")), this.#natural);
  }

  get number(): Expression {
    const pool = this.#pool;
    const sign = pool.bytes(ByteSet.of([0x2b, 0x2d]));
    const e = pool.bytes(ByteSet.of([0x45, 0x65]));
    const exponent = pool.sequence(e, this.#optional(sign), pool.repeat(this.#digit(0, 9), 1));
    return pool.sequence(this.integer, this.#fraction, this.#optional(exponent));
  }

  /** Numbers without exponents. */
  get decimal(): Expression {
    return this.#pool.sequence(this.integer, this.#fraction);
  }

  /** Decimals that are multiples of a power of ten: with that many trailing zeros, or digits of a fraction. */
  multipleOfTen(power: number): Expression {
    const pool = this.#pool;
    const sign = this.#optional(pool.text("-"));
    const digits = Math.max(0, -power);
    const point = pool.sequence(pool.text("."), pool.repeat(this.#digit(0, 9), 0, digits), this.#zeros);
    const rounded = pool.sequence(this.#digit(1, 9), this.#digits, this.#zerosOf(power));
    const tens = power > 0 ? pool.either(pool.text("0"), rounded) : this.#natural;
    const exact = pool.both(point, pool.sequence(pool.text("."), pool.repeat(this.#digit(0, 9), 1)));
    return pool.sequence(sign, tens, this.#optional(exact));
  }

  /** Numbers within bounds, without exponents. */
  within(least: Bound | undefined, most: Bound | undefined, integer: boolean): Expression {
    const pool = this.#pool;
    const positive = this.#natural0(least, most, integer);
    // -0 equals 0, which is already covered.
    if (least && least.value >= 0) return positive;
    const mirrored = this.#natural0(negated(most), negated(least), integer);
    return pool.either(positive, pool.sequence(pool.text("-"), mirrored));
  }

  /** Decimals from 0 on within bounds. */
  #natural0(least: Bound | undefined, most: Bound | undefined, integer: boolean): Expression {
    const pool = this.#pool;
    const shape = integer ? this.#natural : pool.sequence(this.#natural, this.#fraction);
    const low = least && (least.value > 0 || (least.value === 0 && least.exclusive)) ? this.#atLeast(least) : shape;
    if (most && most.value < 0) return pool.nothing;
    return pool.both(shape, low, most ? this.#atMost(most) : shape);
  }

  #atLeast({ value, exclusive }: Bound): Expression {
    const pool = this.#pool;
    const [whole, fraction] = decimal(value);
    const larger = pool.sequence(this.#larger(whole), this.#fraction);
    const after = fraction === "" ? undefined : this.#digitsFrom(fraction, exclusive);
    const nonzero = pool.sequence(this.#zeros, this.#digit(1, 9), this.#digits);
    const same = after ?? (exclusive ? nonzero : undefined);
    const rest = same ? pool.sequence(pool.text("."), same) : this.#fraction;
    return pool.either(larger, pool.sequence(pool.text(whole), rest));
  }

  #atMost({ value, exclusive }: Bound): Expression {
    const pool = this.#pool;
    const [whole, fraction] = decimal(value);
    const smaller = pool.sequence(this.#smaller(whole), this.#fraction);
    const point = pool.text(".");
    if (fraction !== "") {
      const after = pool.sequence(point, this.#digitsTo(fraction, exclusive));
      return pool.either(smaller, pool.sequence(pool.text(whole), this.#optional(after)));
    }
    if (exclusive) return smaller;
    const zeros = pool.sequence(point, pool.repeat(this.#digit(0, 0), 1));
    return pool.either(smaller, pool.sequence(pool.text(whole), this.#optional(zeros)));
  }

  /** Digits that, as a fraction, are at least (or exceed) given ones, whose last digit is not 0. */
  #digitsFrom(digits: string, exclusive: boolean): Expression {
    const pool = this.#pool;
    const [first, rest] = [Number(digits[0]), digits.slice(1)];
    const above = pool.sequence(this.#digit(first + 1, 9), this.#digits);
    const nonzero = pool.sequence(this.#zeros, this.#digit(1, 9), this.#digits);
    const equal = rest !== "" ? this.#digitsFrom(rest, exclusive) : exclusive ? nonzero : this.#digits;
    return pool.either(above, pool.sequence(this.#digit(first, first), equal));
  }

  #digitsTo(digits: string, exclusive: boolean): Expression {
    const pool = this.#pool;
    const [first, rest] = [Number(digits[0]), digits.slice(1)];
    const under = pool.sequence(this.#digit(0, first - 1), this.#digits);
    const equal =
      rest !== "" ? this.#optional(this.#digitsTo(rest, exclusive)) : exclusive ? pool.nothing : this.#zeros;
    return pool.either(under, pool.sequence(this.#digit(first, first), equal));
  }

  /** Integers above a given one. */
  #larger(whole: string): Expression {
    const pool = this.#pool;
    const longer = pool.sequence(this.#digit(1, 9), this.#any(whole.length), this.#digits);
    const alike = [...whole].map((d, i) => {
      const rest = this.#any(whole.length - i - 1);
      return pool.sequence(pool.text(whole.slice(0, i)), this.#digit(Number(d) + 1, 9), rest);
    });
    return pool.either(longer, ...alike);
  }

  /** Integers below a given one, from 0 on. */
  #smaller(whole: string): Expression {
    const pool = this.#pool;
    const shorter = Array.from({ length: whole.length - 1 }, (_, i) => {
      return i === 0 ? this.#digit(0, 9) : pool.sequence(this.#digit(1, 9), this.#any(i));
    });
    const alike = [...whole].map((d, i) => {
      const first = i === 0 && whole.length > 1 ? 1 : 0;
      return pool.sequence(
        pool.text(whole.slice(0, i)),
        this.#digit(first, Number(d) - 1),
        this.#any(whole.length - i - 1),
      );
    });
    return pool.either(...shorter, ...alike);
  }

  #any(count: number): Expression {
    return this.#pool.repeat(this.#digit(0, 9), count, count);
  }

  #zerosOf(count: number): Expression {
    return this.#pool.repeat(this.#digit(0, 0), Math.max(0, count), Math.max(0, count));
  }

  #digit(from: number, to: number): Expression {
    return this.#pool.bytes(ByteSet.ranges([0x30 + from, 0x30 + to]));
  }

  #optional(part: Expression): Expression {
    return this.#pool.either(this.#pool.empty, part);
  }
}

function negated(bound: Bound | undefined): Bound | undefined {
  return bound && { value: -bound.value, exclusive: bound.exclusive };
}

/** The digits of a number from 0 on before and after the point, without trailing zeros. */
export function decimal(value: number): [whole: string, fraction: string] {
  const [mantissa, exponent = "0"] = String(value).split("e");
  const [whole = "0", fraction = ""] = mantissa!.split(".");
  const shift = Number(exponent);
  const digits = whole + fraction;
  const point = whole.length + shift;
  const padded = point <= 0 ? "0".repeat(1 - point) + digits : digits.padEnd(point, "0");
  const at = Math.max(1, point);
  return [padded.slice(0, at).replace(/^0+(?=\d)/, ""), padded.slice(at).replace(/0+$/, "")];
}
