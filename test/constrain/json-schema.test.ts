import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compileConstraint } from "../../src/constrain/options.js";
import { ConstraintError } from "../../src/errors.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { acceptor, accepts, checkedWalk } from "./vocabulary.js";

interface Case {
  readonly name: string;
  readonly schema: object | boolean;
  readonly valid: readonly unknown[];
  readonly invalid: readonly unknown[];
}

const CASES: readonly Case[] = [
  { name: "anything", schema: true, valid: [null, 1, "é\n", [1, [2, {}]], { a: { b: [] } }], invalid: [] },
  { name: "types", schema: { type: ["null", "integer"] }, valid: [null, 0, -7, 120], invalid: [1.5, "1", true, []] },
  {
    name: "properties in their order, others after them",
    schema: { type: "object", properties: { a: { type: "integer" }, b: { type: "string" } }, required: ["b"] },
    valid: [{ a: 1, b: "x" }, { b: "" }, { b: "x", c: [1] }],
    invalid: [{ a: 1 }, { b: 1 }, { b: "x", a: 1 }, {}, { a: "1", b: "x" }],
  },
  {
    name: "no other properties",
    schema: { type: "object", properties: { a: { type: "null" } }, additionalProperties: false },
    valid: [{}, { a: null }],
    invalid: [{ b: null }, { a: 1 }],
  },
  {
    name: "properties by pattern",
    schema: {
      type: "object",
      properties: { x1: { type: "string" } },
      patternProperties: { "^x": { type: "string" }, "1$": { minLength: 2 } },
      additionalProperties: { type: "integer" },
    },
    valid: [{ x1: "ab" }, { x2: "" }, { y: 3, x3: "s" }, { y1: "ab" }],
    invalid: [{ x1: "a" }, { x2: 1 }, { y: "s" }, { x21: "a" }],
  },
  {
    name: "numbers of properties, and their names",
    schema: {
      type: "object",
      properties: { a: {}, b: {}, c: {} },
      additionalProperties: false,
      minProperties: 2,
      maxProperties: 2,
    },
    valid: [
      { a: 1, b: 1 },
      { a: 1, c: 1 },
      { b: 1, c: 2 },
    ],
    invalid: [{}, { a: 1 }, { a: 1, b: 1, c: 1 }],
  },
  {
    name: "names of properties",
    schema: { type: "object", propertyNames: { pattern: "^[a-c]+$", maxLength: 2 } },
    valid: [{ a: 1, bc: 2 }, {}],
    invalid: [{ d: 1 }, { aaa: 1 }],
  },
  {
    name: "arrays",
    schema: {
      type: "array",
      prefixItems: [{ type: "integer" }, { type: "string" }],
      items: { type: "null" },
      minItems: 1,
      maxItems: 4,
    },
    valid: [[1], [1, "a"], [1, "a", null], [1, "a", null, null]],
    invalid: [[], ["a"], [1, 2], [1, "a", null, null, null], [1, "a", 1]],
  },
  {
    name: "lists of numbers",
    schema: { type: "array", items: { type: "integer" }, minItems: 2, maxItems: 3 },
    valid: [
      [1, 2],
      [1, 2, 3],
    ],
    invalid: [[], [1], [1, 2, 3, 4]],
  },
  {
    name: "lengths in characters",
    schema: { type: "string", minLength: 2, maxLength: 3 },
    valid: ["ab", "日本", "😀é\n", '""'],
    invalid: ["a", "abcd", ""],
  },
  {
    name: "patterns",
    schema: { type: "string", pattern: "^a.c$|x", maxLength: 4 },
    valid: ["abc", "x", "axxx", 'a"c'],
    invalid: ["ac", "abcd", "xxxxx"],
  },
  {
    name: "patterns anywhere",
    schema: { type: "string", pattern: "\\d\\s" },
    valid: ["1 ", "ab1\tcd"],
    invalid: ["1", ""],
  },
  {
    name: "whole numbers in bounds",
    schema: { type: "integer", minimum: -12, exclusiveMaximum: 105 },
    valid: [-12, -9, 0, 7, 99, 104],
    invalid: [-13, 105, 110, 1000],
  },
  {
    name: "numbers in bounds",
    schema: { type: "number", minimum: 0.25, maximum: 10.5 },
    valid: [0.25, 0.3, 1, 9.99, 10, 10.5],
    invalid: [0.2, 0, 10.51, 11, -1],
  },
  {
    name: "exclusive bounds",
    schema: { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1 },
    valid: [0.1, 0.001, 0.999],
    invalid: [0, 1, -0.5],
  },
  {
    name: "exclusive bounds of draft 4",
    schema: { type: "number", minimum: 0, exclusiveMinimum: true },
    valid: [0.5, 3],
    invalid: [0, -1],
  },
  {
    name: "multiples",
    schema: { type: "integer", multipleOf: 5, minimum: -5, maximum: 12 },
    valid: [-5, 0, 5, 10],
    invalid: [-10, 1, 12, 15],
  },
  {
    name: "multiples of tenths",
    schema: { type: "number", multipleOf: 0.01 },
    valid: [1, 1.5, 1.25, -0.01],
    invalid: [1.255],
  },
  {
    name: "enumerations",
    schema: { enum: ["a", 1, null, { x: [1, 2] }, []] },
    valid: ["a", 1, null, { x: [1, 2] }, []],
    invalid: ["b", 2, { x: [1] }, true],
  },
  {
    name: "enumerations with more",
    schema: { enum: ["a", "abc", 5], type: "string", minLength: 2 },
    valid: ["abc"],
    invalid: ["a", 5],
  },
  { name: "constants", schema: { const: "x\u007f\u0001" }, valid: [], invalid: ["x"] },
  {
    name: "allOf",
    schema: { allOf: [{ type: "integer", minimum: 3 }, { maximum: 5 }] },
    valid: [3, 4, 5],
    invalid: [2, 6, 4.5],
  },
  {
    name: "allOf of objects",
    schema: {
      allOf: [
        { type: "object", properties: { a: { minimum: 2 } } },
        { properties: { a: { type: "integer" }, b: { type: "null" } }, required: ["b"] },
      ],
    },
    valid: [{ a: 3, b: null }, { b: null }],
    invalid: [{ a: 1, b: null }, { a: 2 }],
  },
  {
    name: "anyOf",
    schema: { anyOf: [{ type: "string" }, { type: "integer" }], maximum: 3 },
    valid: ["x", 3],
    invalid: [4, null],
  },
  {
    name: "oneOf that a constant decides",
    schema: {
      oneOf: [
        {
          type: "object",
          properties: { kind: { const: "a" }, n: { type: "integer" } },
          required: ["kind"],
          additionalProperties: false,
        },
        {
          type: "object",
          properties: { kind: { const: "b" }, s: { type: "string" } },
          required: ["kind"],
          additionalProperties: false,
        },
      ],
    },
    valid: [
      { kind: "a", n: 1 },
      { kind: "b", s: "" },
    ],
    invalid: [{ kind: "a", s: "" }, { kind: "c" }],
  },
  {
    name: "oneOf of bounds apart",
    schema: {
      oneOf: [
        { type: "integer", maximum: 3 },
        { type: "integer", minimum: 5 },
      ],
    },
    valid: [3, 5],
    invalid: [4],
  },
  {
    name: "recursion",
    schema: {
      $defs: {
        tree: {
          type: "object",
          properties: { v: { type: "integer" }, kids: { type: "array", items: { $ref: "#/$defs/tree" } } },
          required: ["v"],
          additionalProperties: false,
        },
      },
      $ref: "#/$defs/tree",
    },
    valid: [{ v: 1 }, { v: 1, kids: [{ v: 2, kids: [] }, { v: 3 }] }],
    invalid: [{ kids: [] }, { v: 1, kids: [1] }],
  },
  {
    name: "references by name",
    schema: { $defs: { n: { $anchor: "num", type: "integer" } }, type: "array", items: { $ref: "#num" } },
    valid: [[1]],
    invalid: [["a"]],
  },
  {
    name: "required without a property",
    schema: { type: "object", required: ["z"] },
    valid: [{ z: 1 }, { z: 1, a: 2 }],
    invalid: [{ a: 1 }],
  },
  {
    name: "dependencies",
    schema: {
      type: "object",
      properties: { a: {}, b: {} },
      dependentRequired: { a: ["b"] },
      additionalProperties: false,
    },
    valid: [{}, { b: 1 }, { a: 1, b: 1 }],
    invalid: [{ a: 1 }],
  },
  { name: "not a type", schema: { not: { type: ["string", "object"] } }, valid: [1, null, []], invalid: ["a", {}] },
  {
    name: "dates",
    schema: { type: "string", format: "date" },
    valid: ["2024-02-29", "2023-12-31"],
    invalid: ["2023-02-29", "2023-13-01", "23-1-1"],
  },
  {
    name: "times",
    schema: { format: "date-time", type: "string" },
    valid: ["2024-02-29T23:59:59Z", "2024-01-01T00:00:00.5+01:00"],
    invalid: ["2024-01-01", "2024-01-01T24:00:00Z"],
  },
  {
    name: "addresses",
    schema: {
      anyOf: [
        { type: "string", format: "ipv4" },
        { type: "string", format: "ipv6" },
      ],
    },
    valid: ["127.0.0.1", "::1", "fe80::1:2", "1:2:3:4:5:6:7:8", "::"],
    invalid: ["256.0.0.1", "1.2.3", "1::2::3", ":1"],
  },
  {
    name: "mail, hosts, uuids and addresses of the web",
    schema: {
      type: "array",
      items: {
        anyOf: [
          { type: "string", format: "email" },
          { type: "string", format: "uuid" },
          { type: "string", format: "uri" },
        ],
      },
    },
    valid: [["a.b@c.org", "123e4567-e89b-12d3-a456-426614174000", "https://a.org:80/b?c=d#e"]],
    invalid: [["a@"], ["no"]],
  },
];

const ROUNDS = [JSON.stringify, (value: unknown) => JSON.stringify(value, null, 2)];

describe("JSON Schema", () => {
  for (const { name, schema, valid, invalid } of CASES) {
    it(`accepts valid values and nothing else: ${name}`, () => {
      const [ordinary, none, any] = (["ordinary", "none", "any"] as const).map((whiteSpace) =>
        acceptor({ jsonSchema: schema, whiteSpace }),
      );
      for (const write of ROUNDS) {
        for (const value of valid) assert.ok(ordinary!(write(value)), write(value));
        for (const value of invalid) assert.ok(!ordinary!(write(value)), write(value));
      }
      for (const value of valid) {
        assert.ok(none!(JSON.stringify(value)));
        assert.ok(any!(JSON.stringify(value, null, "\t\t")));
      }
    });
  }

  it("gives masks equal to feeding each token byte by byte, and JSON at the end", () => {
    for (const [i, { schema }] of CASES.entries()) {
      const { text, complete } = checkedWalk(
        { jsonSchema: schema, whiteSpace: i % 2 === 0 ? "none" : "ordinary" },
        i,
        25,
      );
      if (complete) assert.doesNotThrow(() => JSON.parse(text), text);
    }
  });

  it("keeps white space ordinary by default", () => {
    const jsonSchema = { type: "object", properties: { a: { type: "integer" } } };
    for (const [text, ordinary, none, any] of [
      ['{"a":1}', true, true, true],
      ['{"a": 1}', true, false, true],
      ['{\n  "a": 1\n}', true, false, true],
      ['{\n\n\n"a" : 1 }', false, false, true],
      [' {"a":1}', false, false, false],
      ['{"a":1}\n', false, false, false],
    ] as const) {
      assert.equal(accepts({ jsonSchema }, text), ordinary, text);
      assert.equal(accepts({ jsonSchema, whiteSpace: "none" }, text), none, text);
      assert.equal(accepts({ jsonSchema, whiteSpace: "any" }, text), any, text);
    }
  });

  it("writes each character in one way, so that no name is repeated", () => {
    const jsonSchema = { type: "object", properties: { a: { type: "integer" } } };
    assert.ok(!accepts({ jsonSchema }, '{"\\u0061":"x"}'));
    assert.ok(accepts({ jsonSchema }, '{"b\\n\\u0001\\"":"x"}'));
    assert.ok(!accepts({ jsonSchema }, '{"b\n":"x"}'));
  });

  for (const [schema, pointer, reason] of [
    [{ properties: { a: { if: {} } } }, "/properties/a/if", /got if/],
    [{ items: { contains: {} } }, "/items/contains", /contains/],
    [{ type: "array", uniqueItems: true }, "/uniqueItems", /uniqueItems/],
    [{ $defs: { a: { pattern: "(?=b)" } }, anyOf: [{ $ref: "#/$defs/a" }] }, "/$defs/a/pattern", /look-around/],
    [{ type: "strin" }, "/type", /null, boolean/],
    [{ $ref: "#/nowhere" }, "/$ref", /a reference to an existing schema/],
    [{ $ref: "https://example.org/a.json" }, "/$ref", /another document/],
    [{ oneOf: [{ type: "integer" }, { type: "number" }] }, "/oneOf", /anyOf/],
    [{ not: { required: ["a"] } }, "/not", /not of anything but types/],
    [{ type: "string", format: "regex" }, "/format", /format regex/],
    [{ "a/b": 1, properties: { "x/~y": { minLength: -1 } } }, "/properties/x~1~0y/minLength", /positive integer/],
    [{ properties: 3 }, "/properties", /object of schemas/],
    [{ type: "number", multipleOf: 7 }, "/multipleOf", /Powers of ten/],
    [{ type: "object", minProperties: 3 }, "/minProperties", /minProperties/],
  ] as const) {
    it(`refuses unsupported keywords, at ${pointer}`, () => {
      assert.throws(
        () => compileConstraint({ jsonSchema: schema }),
        (error: Error) => error instanceof ConstraintError && error.at === pointer && reason.test(error.message),
      );
    });
  }

  it("refuses unsatisfiable schemas", () => {
    for (const schema of [
      false,
      { allOf: [{ type: "string" }, { type: "null" }] },
      { type: "object", properties: { a: false }, required: ["a"] },
      {
        $defs: { a: { type: "object", properties: { b: { $ref: "#/$defs/a" } }, required: ["b"] } },
        $ref: "#/$defs/a",
      },
      { enum: [] },
      { type: "string", minLength: 3, maxLength: 2 },
    ]) {
      assert.throws(
        () => accepts({ jsonSchema: schema }, "1"),
        /a constraint that some text satisfies/,
        JSON.stringify(schema),
      );
    }
  });

  const nested = (depth: number): object => {
    let schema: object = { type: "null" };
    for (let i = 0; i < depth; i++) schema = { type: "array", items: schema };
    return schema;
  };
  for (const [name, schema] of [
    ["nesting", nested(5000)],
    [
      "alternatives that multiply",
      { allOf: Array.from({ length: 30 }, () => ({ anyOf: [{ minimum: 1 }, { maximum: 2 }, { minLength: 1 }] })) },
    ],
    ["a large list", { type: "array", minItems: 1e9, items: { type: "string" } }],
    ["long strings", { type: "string", minLength: 1e9, pattern: "a*b" }],
    [
      "many properties counted",
      {
        type: "object",
        properties: Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`p${i}`, true])),
        maxProperties: 300,
        additionalProperties: false,
      },
    ],
    ["a reference to itself", { $ref: "#" }],
    ["references in a circle", { $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } }, $ref: "#/$defs/a" }],
  ] as const) {
    it(`ends quickly on ${name}`, { skip: name === "long strings" && LIKE_OTHERS }, () => {
      const started = process.cpuUsage().user;
      try {
        checkedWalk({ jsonSchema: schema }, 1, 3);
      } catch (error) {
        assert.ok(error instanceof ConstraintError, String(error));
      }
      assert.ok(process.cpuUsage().user - started < 20e6);
    });
  }
});
