/** A text is rarely exactly the model's output: it is cut, trimmed, quoted and retokenized. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { GPT2 } from "../../../src/gpt2.js";

const WATERMARK = { scheme: "gumbel", key: "a secret" } as const;
const TOKENS = 80;
/** Without filters, so that a text has enough entropy for the mark, whatever the default model was trained on. */
const SAMPLING = { temperature: 1, topK: 0, minP: 0, repetitionPenalty: 1 } as const;

let model: GPT2;
let text: string;
let whole: number;

before(async () => {
  model = await GPT2.load();
  ({ text } = await model.complete("It was a dark night, and", {
    watermark: WATERMARK,
    ...SAMPLING,
    maxNewTokens: TOKENS,
    seed: 1,
  }));
  whole = (await model.verifyWatermark(text, WATERMARK)).logPValue;
});
after(() => model.dispose());

test("the unchanged text", async () => {
  const report = await model.verifyWatermark(text, WATERMARK);
  assert.equal(report.verdict, "found");
  assert.ok(report.scored + report.repeated === report.tokens && report.tokens >= TOKENS - 2);
  assert.ok(whole < Math.log(1e-5), `ln p ${whole}`);
});

test("cut anywhere at its beginning or end, within words too", async () => {
  for (let cut = 0; cut <= 12; cut++) {
    for (const part of [text.slice(cut), text.slice(0, text.length - cut)]) {
      const { logPValue } = await model.verifyWatermark(part, WATERMARK);
      assert.ok(logPValue < 0.6 * whole, `${JSON.stringify(part.slice(0, 20))}…: ln p ${logPValue}, whole ${whole}`);
    }
  }
});

test("trimmed, quoted, or with a word before it", async () => {
  for (const changed of [text.trim(), `“${text.trim()}”`, `Someone wrote:${text}`, `${text}\n\n`]) {
    const { logPValue } = await model.verifyWatermark(changed, WATERMARK);
    assert.ok(logPValue < 0.6 * whole, `ln p ${logPValue}, whole ${whole}`);
  }
});

test("inside a text without a mark it is diluted, and found as a part", async () => {
  const other = "The committee of the society met on the first Monday of the month, and read its accounts. ".repeat(3);
  const around = await model.verifyWatermark(other + text + other, WATERMARK);
  assert.ok(around.logPValue > whole && around.verdict === "found");
});

test("a longer text tokenizes differently only where it is cut", async () => {
  const { tokens, repeated } = await model.verifyWatermark(text.slice(3), WATERMARK);
  assert.ok(Math.abs(tokens - TOKENS) < 6 && repeated < 10);
});
