/** Prompts byte by byte, the parts left out of them, and the part of the output that counts. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContextLengthError, UsageError } from "../../src/errors.js";
import { answerIn, conversationAfter, questionExample, questionPrompt } from "../../src/tasks/answer.js";
import { checkLabels } from "../../src/tasks/classify.js";
import { QUESTIONS, TRANSLATIONS } from "../../src/tasks/examples.js";
import { cutDocument, fitPrompt, type PromptParts } from "../../src/tasks/fit-prompt.js";
import { pairLine, pairLines, pairPrompt } from "../../src/tasks/pairs.js";
import { SUMMARY_HINT, summaryIn } from "../../src/tasks/summarize.js";
import { firstSentence, frenchPairs, translationPairs } from "../../src/tasks/translate.js";
import { gpt2Tokenizer } from "../../src/tokenizer/gpt2.js";
import { byteTokenizer } from "../generate/models.js";

describe("prompts", () => {
  it("are those of the paper", () => {
    assert.equal(pairLine(["A dog.", "Un chien."]), "A dog. = Un chien.\n");
    assert.equal(pairPrompt("A cat."), "A cat. =");
    assert.equal(SUMMARY_HINT, "\nTL;DR:");
    assert.equal(conversationAfter([["Who?", "Tim"]], "Why?"), "\n\nQ: Who?\nA: Tim\nQ: Why?\nA:");
    assert.equal(questionExample(["who wrote emma", "Jane Austen"]), "Q: who wrote emma?\nA: Jane Austen\n");
    assert.equal(questionPrompt("who wrote persuasion"), "Q: who wrote persuasion?\nA:");
  });

  it("have one pair on a line, whatever white space is in it", () => {
    assert.deepEqual(pairLines([[" two\nlines ", "deux\t lignes"]]), ["two lines = deux lignes\n"]);
  });

  it("have built-in examples for French and English, in the requested direction", () => {
    assert.deepEqual(frenchPairs("en", 1), [TRANSLATIONS[0]]);
    assert.deepEqual(frenchPairs("fr", 1), [[TRANSLATIONS[0]![1], TRANSLATIONS[0]![0]]]);
    assert.deepEqual(translationPairs({ to: "fr" }), frenchPairs("en"));
    assert.deepEqual(translationPairs({ to: "en" }), frenchPairs("fr"));
    assert.deepEqual(translationPairs({ to: "de", examples: [["yes", "ja"]] }), [["yes", "ja"]]);
    for (const [source, result] of [...TRANSLATIONS, ...QUESTIONS]) {
      assert.ok(!/[=\n]/.test(source + result), `${source}: an example on one line, without the mark between pairs`);
    }
  });

  it("need examples for other languages", () => {
    for (const [options, got] of [
      [{ to: "de" }, "none from en to de"],
      [{ to: "fr", from: "de" }, "none from de to fr"],
      [{ to: "en", from: "en" }, "none from en to en"],
      [{}, "neither examples nor a language"],
    ] as const) {
      assert.throws(
        () => translationPairs(options),
        (error) => error instanceof UsageError && error.details.got === got && /fr/.test(error.details.hint!),
      );
    }
  });
});

describe("the result in generated text", () => {
  it("is the first sentence, three sentences, or the line", () => {
    assert.equal(firstSentence(" M. Dupont est parti. Il pleut."), "M. Dupont est parti.");
    assert.equal(firstSentence(" "), "");
    assert.equal(summaryIn(" One. Two!\nThree? Four."), "One.\nTwo!\nThree?");
    assert.equal(summaryIn(" It broke off"), "It broke off");
    assert.equal(answerIn(" in the kitchen "), "in the kitchen");
  });
});

describe("labels", () => {
  it("are at least two, distinct, and those of the examples", () => {
    assert.deepEqual(checkLabels({ labels: [" sport", "the\nweather"] }), ["sport", "the weather"]);
    for (const labels of [[], ["a"], ["a", " a "], ["a", ""]]) {
      assert.throws(() => checkLabels({ labels }), /expected at least two distinct labels/);
    }
    const wrong = { labels: ["a", "b"], examples: [["x", "a"] as const, ["y", "c"] as const] };
    assert.throws(() => checkLabels(wrong), /label of an example: expected a, b, got "c"/);
  });
});

describe("a prompt that does not fit", () => {
  const tokenizer = byteTokenizer();
  const parts: PromptParts = { examples: ["one\n", "two\n"], before: "<", document: "0123456789", after: ">" };
  const fit = (room: number, truncate = true, given = parts) =>
    fitPrompt(tokenizer, given, { op: "test", room, reason: "as the test has it", truncate });

  it("loses examples first, then the document's end", () => {
    const whole = "one\ntwo\n<0123456789>";
    for (const [room, text, examples, tokens] of [
      [20, whole, 0, 0],
      [19, whole.slice(4), 1, 0],
      [16, whole.slice(4), 1, 0],
      [15, "<0123456789>", 2, 0],
      [12, "<0123456789>", 2, 0],
      [11, "<012345678>", 2, 1],
      [3, "<0>", 2, 9],
    ] as const) {
      const prompt = fit(room);
      assert.deepEqual([prompt.text, prompt.omitted], [text, { examples, tokens }], `room for ${room}`);
      assert.equal(tokenizer.decode(prompt.ids), text);
    }
  });

  it("is refused if cutting is off, or not enough", () => {
    const refused = (run: () => unknown, message: RegExp) =>
      assert.throws(run, (error) => error instanceof ContextLengthError && message.test(error.message));
    refused(() => fit(2), /^test: expected at most 2 tokens, as the test has it, got 12, without any of the examples$/);
    refused(() => fit(11, false), /got 12, without any of the examples\. With truncate, the text is cut/);
    refused(() => fit(-3), /at most 0 tokens/);
    refused(() => fit(2, true, { after: "abc" }), /got 3$/);
    assert.equal(fit(11, false, { after: "0123456789>" }).text, "0123456789>");
  });

  it("has the same tokens whether the hint is encoded with the article or after it", async () => {
    const gpt2 = await gpt2Tokenizer();
    for (const article of ["It rained. The end.", "Ends in spaces  ", "Ends in lines\n\n", "…", "a\r\n", "tab\t"]) {
      const { ids } = cutDocument(gpt2, article, SUMMARY_HINT, 1000);
      const limit = { op: "test", room: 1000, reason: "", truncate: false };
      assert.deepEqual(fitPrompt(gpt2, { document: article, after: SUMMARY_HINT }, limit).ids, ids, article);
    }
  });
});
