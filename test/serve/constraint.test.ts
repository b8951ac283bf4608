import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventsOf, type Served, served } from "./client.js";

let api: Served;
before(async () => {
  api = await served();
});
after(() => api.close());

const SCHEMA = {
  type: "object",
  properties: { ok: { type: "boolean" }, n: { type: "integer", minimum: 0, maximum: 9 } },
  required: ["ok", "n"],
  additionalProperties: false,
};
const isAnswer = (text: string): void => {
  const value = JSON.parse(text);
  assert.deepEqual(Object.keys(value), ["ok", "n"]);
  assert.ok(typeof value.ok === "boolean" && Number.isInteger(value.n), text);
};
/** Forbids white space, which a model of random weights writes wherever it is allowed. */
const FEW_SPACES = { 9: -100, 10: -100, 13: -100, 32: -100 };
const BODY = { prompt: "A: ", max_tokens: 80, seed: 1, logit_bias: FEW_SPACES };

describe("constrained output over HTTP", () => {
  it("takes OpenAI's response_format in completions, chats and responses", async () => {
    const format = { type: "json_schema", json_schema: { name: "answer", strict: true, schema: SCHEMA } };
    const completion = await api.post("/v1/completions", { ...BODY, response_format: format });
    isAnswer(completion.json.choices[0].text);
    assert.equal(completion.json.choices[0].finish_reason, "stop");
    const messages = [{ role: "user", content: "Hi" }];
    const chat = await api.post("/v1/chat/completions", {
      ...BODY,
      prompt: undefined,
      messages,
      response_format: format,
    });
    isAnswer(chat.json.choices[0].message.content);
    const text = {
      format: { type: "json_schema", name: "digit", schema: { type: "integer", minimum: 5, maximum: 7 } },
    };
    const response = await api.post("/v1/responses", { input: "Hi", max_output_tokens: 80, seed: 3, text });
    assert.match(response.json.output[0].content[0].text, /^[567]$/);
    const anything = await api.post("/v1/completions", { ...BODY, response_format: { type: "json_object" } });
    assert.match(anything.json.choices[0].text, /^\{/);
  });

  it("accepts vLLM's fields, current and older", async () => {
    for (const [fields, pattern] of [
      [{ structured_outputs: { choice: ["red", "blue"] } }, /^(red|blue)$/],
      [{ structured_outputs: { regex: "[ab]{3}" } }, /^[ab]{3}$/],
      [{ structured_outputs: { json: SCHEMA, disable_any_whitespace: true } }, /^\{"ok":(true|false),"n":\d\}$/],
      [{ structured_outputs: { grammar: 'root ::= "<" root ">" | "x"' }, logit_bias: { 120: 100 } }, /^<*x>*$/],
      [{ guided_choice: ["yes", "no"] }, /^(yes|no)$/],
      [{ guided_json: JSON.stringify({ type: "integer", minimum: 5, maximum: 7 }) }, /^[567]$/],
      [{ guided_regex: "\\d{4}" }, /^\d{4}$/],
      [{ guided_grammar: 'root ::= "a" | "b"' }, /^[ab]$/],
    ] as const) {
      const { json } = await api.post("/v1/completions", { ...BODY, ...fields });
      assert.match(json.choices[0].text, pattern, JSON.stringify(fields));
    }
  });

  it("gives many requests at once their own results, the same as alone", async () => {
    const bodies = [
      { structured_outputs: { regex: "[a-f0-9]{8}" }, logprobs: 1 },
      { response_format: { type: "json_schema", json_schema: { name: "a", schema: SCHEMA } } },
      {},
      { structured_outputs: { choice: ["alpha", "beta"] }, n: 3 },
    ].map((body, seed) => ({ ...BODY, max_tokens: 30, ...body, seed }));
    const alone = [];
    for (const body of bodies) alone.push((await api.post("/v1/completions", body)).json.choices);
    const among = await Promise.all(bodies.map(async (body) => (await api.post("/v1/completions", body)).json.choices));
    assert.deepEqual(among, alone);
  });

  it("streams", async () => {
    const body = { ...BODY, stream: true, structured_outputs: { json: SCHEMA } };
    const { text } = await api.post("/v1/completions", body);
    const events = eventsOf(text).filter((event) => event !== "[DONE]");
    isAnswer(events.map((event) => event.choices[0].text).join(""));
  });

  it("refuses a constraint before any text, naming the field and the place", async () => {
    for (const [fields, param, message] of [
      [{ structured_outputs: { regex: "(?=a)" } }, "structured_outputs.regex", /position 2/],
      [
        {
          response_format: {
            type: "json_schema",
            json_schema: { schema: { properties: { a: { not: {} }, b: { contains: {} } } } },
          },
        },
        "response_format.json_schema.schema",
        /\/properties\/b\/contains/,
      ],
      [{ response_format: { type: "json_schema" } }, "response_format.schema", /got nothing/],
      [{ guided_json: "{" }, "guided_json", /not JSON/],
      [{ guided_grammar: "root ::= root" }, "guided_grammar", /left recursion|some text satisfies/],
      [{ guided_regex: "a", guided_choice: ["b"] }, "guided_choice", /not together with guided_regex/],
      [{ structured_outputs: { choice: [] } }, "structured_outputs.choice", /list of 1/],
      [{ structured_outputs: { structural_tag: "x" } }, "structured_outputs.structural_tag", /not supported/],
      [{ response_format: { type: "xml" } }, "response_format.type", /json_schema/],
      [
        { structured_outputs: { regex: `(${"a{1,1000}".repeat(3)}){1,1000}`.repeat(50) }, use_beam_search: true, n: 2 },
        "use_beam_search",
        /not with constrained/,
      ],
    ] as const) {
      for (const stream of "use_beam_search" in fields ? [false] : [false, true]) {
        const { status, json } = await api.post("/v1/completions", { ...BODY, ...fields, stream });
        assert.equal(status, 400, JSON.stringify(fields));
        assert.equal(json.error.param, param);
        assert.match(json.error.message, message);
      }
    }
  });
});
