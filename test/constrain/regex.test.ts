import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compileConstraint } from "../../src/constrain/options.js";
import { ConstraintError, ConstraintLimitError } from "../../src/errors.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { acceptor, accepts, checkedWalk, constraintOver, randomly } from "./vocabulary.js";

const PATTERNS = [
  "abc",
  "a|b|cd",
  "(ab)*c?",
  "a+b{2,3}",
  "[^a-c]x",
  "[\\w.]+@[a-z]+\\.(?:com|org)",
  "\\d{3}-\\d{4}",
  "(?<year>\\d{4})-(0[1-9]|1[0-2])",
  "é|日本*",
  "[à-ü]{2}",
  "\\u{1F600}|\\uD83D\\uDE01",
  "\\p{Lu}\\p{Ll}*",
  "\\P{L}{2}",
  "[^\\s\\d]{1,3}",
  ".{2}",
  "(a*)*b",
  "(a|ab)(c|bcd)",
  "(?:a?){4}a{4}",
  "x*?y+?",
  "^anchored$",
  "^a|b$",
  "[-a]|[a-]|[\\]\\-]",
  "\\x41\\cA?\\0?",
];

/** Texts near what a pattern matches. */
function* texts(random: (below: number) => number): Generator<string> {
  const alphabet = [
    "a",
    "b",
    "c",
    "d",
    "x",
    "y",
    "0",
    "1",
    "2",
    "-",
    ".",
    "@",
    "com",
    "é",
    "日",
    "本",
    "ü",
    "😀",
    "\n",
    " ",
    "A",
    "Z",
  ];
  for (let i = 0; i < 400; i++) {
    yield Array.from({ length: random(9) }, () => alphabet[random(alphabet.length)]).join("");
  }
}

describe("regular expressions", () => {
  for (const pattern of PATTERNS) {
    it(`match the same whole texts as JavaScript: ${pattern}`, () => {
      const reference = new RegExp(`^(?:${pattern})$`, "u");
      const matches = acceptor({ regex: pattern });
      for (const text of texts(randomly(pattern.length + 1))) {
        assert.equal(matches(text), reference.test(text), JSON.stringify(text));
      }
    });
  }

  it("give masks equal to feeding each token byte by byte", () => {
    for (const [i, regex] of PATTERNS.entries()) {
      for (let seed = 0; seed < 3; seed++) {
        const { text, complete } = checkedWalk({ regex }, 10 * i + seed);
        if (complete) assert.match(text, new RegExp(`^(?:${regex})$`, "u"));
      }
    }
  });

  it("that are random match like JavaScript's, and so do their masks", () => {
    const random = randomly(7);
    const make = (depth: number): string => {
      const kind = depth === 0 ? random(3) : random(8);
      if (kind < 2) return "abé0"[random(4)]!;
      if (kind === 2) return ["[ab]", "[^a]", ".", "\\d", "[a-z0-9]"][random(5)]!;
      if (kind < 5) return make(depth - 1) + make(depth - 1);
      if (kind === 5) return `(?:${make(depth - 1)}|${make(depth - 1)})`;
      return `(?:${make(depth - 1)})${["*", "+", "?", "{2}", "{0,2}", "{1,}"][random(6)]}`;
    };
    for (let i = 0; i < 60; i++) {
      const regex = make(4);
      const reference = new RegExp(`^(?:${regex})$`, "u");
      const matches = acceptor({ regex });
      for (const text of ["", "a", "ab", "aab", "é", "0a", "ba0é", "abab", "aaaa", "bb0"]) {
        assert.equal(matches(text), reference.test(text), `${regex} on ${text}`);
      }
      const { text, complete } = checkedWalk({ regex: `(?:${regex})x` }, i, 12);
      if (complete) assert.match(text, new RegExp(`^(?:${regex})x$`, "u"));
    }
  });

  for (const [pattern, position, reason] of [
    ["a(?=b)", "3", /look-around/],
    ["(?<!a)b", "2", /look-around/],
    ["(a)\\1", "3", /back references/],
    ["\\bword", "0", /no \\b/],
    ["a{3,2}", "1", /bounds in order/],
    ["*a", "0", /something to repeat/],
    ["(a", "0", /closed/],
    ["[a", "0", /closed/],
    ["a)", "1", /the end/],
    ["a++", "2", /possessive/],
    ["a^b", "1", /anchors only at the ends/],
    ["\\p{Nothing}", "0", /property of Unicode/],
    ["a{1,9999999}", "1", /at most 1000000/],
    ["(".repeat(300), "200", /levels of groups/],
    ["a{", "1", /brace/],
  ] as const) {
    it(`that are not supported are refused, naming the position: ${pattern.slice(0, 20)}`, () => {
      assert.throws(
        () => compileConstraint({ regex: pattern }),
        (error: Error) => error instanceof ConstraintError && error.at === position && reason.test(error.message),
      );
    });
  }

  for (const pattern of [
    `${"(a*)*".repeat(20)}b`,
    "((((a{1,1000}){1,1000}){1,1000}){1,1000})b",
    "(a|aa|aaa|aaaa)*b",
    "(?:.*a.{12})b",
    "(?:.*a.{400}){20}",
    "(x{0,1000000}y?){0,1000000}",
    `${"(a?".repeat(150)}${")".repeat(150)}b`,
    `(?:${Array.from({ length: 3000 }, (_, i) => `w${i * 7919}`).join("|")})+`,
  ]) {
    const skip = pattern.startsWith("((((") && LIKE_OTHERS;
    it(`that are hostile end quickly, at worst with a typed error: ${pattern.slice(0, 30)}`, { skip }, () => {
      const started = process.cpuUsage().user;
      try {
        const text = constraintOver({ regex: pattern }).begin();
        for (let i = 0; i < 30; i++) {
          assert.ok(text.mask.some((word) => word !== 0));
          const next = [97, 120, 119].find((byte) => ((text.mask[byte >> 5]! >>> (byte & 31)) & 1) === 1);
          if (next === undefined) break;
          text.accept(next);
        }
      } catch (error) {
        assert.ok(error instanceof ConstraintLimitError, String(error));
      }
      assert.ok(process.cpuUsage().user - started < 20e6);
    });
  }
});

describe("choices", () => {
  it("match completely", () => {
    const choices = ["positive", "negative", "neutral", "neutrally"];
    for (const text of [...choices, "pos", "positively", ""]) {
      assert.equal(accepts({ choices }, text), choices.includes(text));
    }
    for (let seed = 0; seed < 10; seed++) {
      const { text, complete } = checkedWalk({ choices }, seed);
      assert.ok(complete && choices.includes(text));
    }
  });

  it("are refused if there are none, if one is empty, or with a second kind of constraint", () => {
    assert.throws(() => compileConstraint({ choices: [] }), /1 to 20000 texts/);
    assert.throws(() => compileConstraint({ choices: ["a", ""] }), /not empty/);
    assert.throws(() => compileConstraint({}), /one of/);
    assert.throws(() => compileConstraint({ choices: ["a"], regex: "b" }), /one of/);
    assert.throws(() => compileConstraint({ regexp: "b" } as never), /regex/);
  });
});
