import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compileConstraint } from "../../src/constrain/options.js";
import { ConstraintError } from "../../src/errors.js";
import { accepts, checkedWalk } from "./vocabulary.js";

const ARITHMETIC = `
root  ::= term (("+" | "-") term)*   # a sum
term  ::= factor ([*/] factor)*
factor ::= number | "(" root ")"
number ::= [0-9]{1,3}
`;

const JSON_GRAMMAR = `
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws

object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws

array  ::=
  "[" ws (
            value
    ("," ws value)*
  )? "]" ws

string ::=
  "\\"" (
    [^"\\\\\\x7F\\x00-\\x1F] |
    "\\\\" (["\\\\/bfnrt] | "u" [0-9a-fA-F]{4})
  )* "\\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\\n" [ \\t]{0,20}
`;

describe("grammars in GBNF", () => {
  for (const [name, grammar, valid, invalid] of [
    ["arithmetic", ARITHMETIC, ["1", "1+2*(3-4)", "((999))/1"], ["", "1+", "(1", "1000", "1 + 2"]],
    [
      "JSON",
      JSON_GRAMMAR,
      ["{}", '{"a": [1, {"b": null}], "c": "\\u00e9"}', '{\n  "a":1.5e3}'],
      ["[]", '{"a"}', '{"a":1,}'],
    ],
    ["brackets that match", 'root ::= "(" root ")" | ""\n', ["()", "((()))"], ["(", "(()"]],
    ["palindromes", 'root ::= "a" root "a" | "b" root "b" | "c"', ["c", "abcba"], ["abcab", "ab"]],
    ["right recursion", 'root ::= item root | item\nitem ::= [a-c] "é"', ["aé", "aébécé"], ["", "a"]],
    [
      "rounds that may be empty",
      'root ::= (x | y){2,5} "."\nx ::= "a"*\ny ::= "b" root?',
      [".", "aa.", "b..", "abb."],
      ["", "a"],
    ],
    ["a bar that begins a line", 'root ::= "a"\n  | "b"\n', ["a", "b"], ["ab"]],
    ["characters", 'root ::= [^a-c\\]] . "\\x41\\u00e9\\U0001F600"', ["dxAé😀"], ["axAé😀", "dAé😀"]],
  ] as const) {
    it(`accept the texts that they describe: ${name}`, () => {
      for (const text of valid) assert.ok(accepts({ grammar }, text), text);
      for (const text of invalid) assert.ok(!accepts({ grammar }, text), text);
      for (let seed = 0; seed < 3; seed++) {
        const { text, complete } = checkedWalk({ grammar }, seed, 20);
        if (complete) assert.ok(accepts({ grammar }, text), text);
      }
    });
  }

  it("that are ambiguous stay small: two parses at each of many levels", () => {
    const grammar = 'root ::= "a" root "x" | "a" root "y" | "a" (root | "") [xy] | ""';
    const text = `${"a".repeat(60)}${"xy".repeat(30)}`;
    assert.ok(accepts({ grammar }, text));
    assert.ok(!accepts({ grammar }, `${text}x`));
  });

  for (const [grammar, at, reason] of [
    ['root ::= root "a" | "b"', "root", /left recursion/],
    ['root ::= x\nx ::= y? z\nz ::= x "a" | "b"\ny ::= "c"', undefined, /left recursion/],
    ['root ::= "a" missing', "1:14", /rule that is defined, got missing/],
    ['start ::= "a"', "1:1", /rule that is defined, got root/],
    ['root ::= "a', "1:10", /closing quote/],
    ["root ::= [a", "1:10", /closing quote or bracket/],
    ['root ::= ("a"', "1:10", /closed/],
    ['root = "a"', "1:6", /::=/],
    ['root ::= "a"{3,2}', "1:13", /bounds in order/],
    ['root ::= "a"\nroot ::= "b"', "2:1", /one rule of each name/],
    ["root ::= <think>", "1:10", /no tokens by name/],
    ['root ::= "a" root', undefined, /some text satisfies/],
  ] as const) {
    it(`are refused, naming the place: ${grammar.slice(0, 30)}`, () => {
      assert.throws(
        () => accepts({ grammar }, "a"),
        (error: Error) => {
          return (
            error instanceof ConstraintError && reason.test(error.message) && (at === undefined || error.at === at)
          );
        },
      );
    });
  }

  for (const [name, grammar] of [
    ["nesting", `root ::= ${"(".repeat(5000)}"a"${")".repeat(5000)}`],
    [
      "rules that double",
      `${Array.from({ length: 40 }, (_, i) => `r${i} ::= r${i + 1} r${i + 1}`).join("\n")}\nr40 ::= "a"\nroot ::= r0`,
    ],
    ["repetitions of repetitions", 'root ::= (((("a" | root "b")? "c"?){0,1000}){0,1000}){0,1000} "d"'],
    [
      "ways that multiply",
      'root ::= ("a" x | "a" y | "a" z)*\nx ::= "a"* root? "b"\ny ::= "a"+ root? "b"\nz ::= "a"? root? "b"',
    ],
    ["a text without end", `root ::= "${"a".repeat(500_000)}"`],
  ] as const) {
    it(`that are hostile end quickly: ${name}`, () => {
      const started = process.cpuUsage().user;
      try {
        const { grammar: compiled } = { grammar: compileConstraint({ grammar }) };
        assert.ok(compiled.root);
        accepts({ grammar }, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbb");
      } catch (error) {
        assert.ok(error instanceof ConstraintError, String(error));
      }
      assert.ok(process.cpuUsage().user - started < 20e6);
    });
  }
});
