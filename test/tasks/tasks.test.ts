/** `model.task`: on a model whose weights determine its text, on a random one beside `gpt2 eval`, and its errors. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { ContextLengthError, TokenizerError, UsageError } from "../../src/errors.js";
import { TASKS } from "../../src/evaluate/registry.js";
import { type EvaluatedModel, runTask } from "../../src/evaluate/run.js";
import { parseTaskSpec } from "../../src/evaluate/task.js";
import type { GenerateUntilRequest } from "../../src/generate/requests.js";
import { GPT2 } from "../../src/gpt2.js";
import type { TaskOutput } from "../../src/tasks/write.js";
import { dataSource, fastBackend, seededModel, smallTokenizer } from "../evaluate/support.js";
import { BYTES, recitingModel, seededWeights } from "../generate/models.js";

const CONTEXT = 1400;

/** The text that a model writes after `prompt`, byte by byte, if its weights were made to write `text` there. */
async function reciting<T>(prompt: string, text: string, use: (model: GPT2) => Promise<T>): Promise<T> {
  const length = new TextEncoder().encode(prompt).length;
  const model = recitingModel(await fastBackend(), `${" ".repeat(length - 1)}${text}`, CONTEXT);
  try {
    return await use(model);
  } finally {
    await model.dispose();
  }
}

/** Checks prompt, writing and result of one call. */
async function check(
  prompt: string,
  writes: string,
  call: (model: GPT2) => Promise<TaskOutput>,
  want: { readonly written: string; readonly text: string; readonly seed?: number },
): Promise<void> {
  const { logprob, tokens, omitted, ...rest } = await reciting(prompt, writes, call);
  assert.deepEqual(rest, { prompt, seed: undefined, ...want });
  assert.ok(logprob < 0 && logprob > -1, `the model is sure of what it writes: ${logprob}`);
  assert.ok(tokens >= want.written.length);
  assert.deepEqual(omitted, { examples: 0, tokens: 0 });
}

describe("a task", () => {
  it("translates after pairs: the first sentence of the line", async () => {
    const examples = [
      ["Thank you.", "Danke."],
      ["Two\nlines", "Zwei Zeilen"],
    ] as const;
    await check(
      "Thank you. = Danke.\nTwo lines = Zwei Zeilen\nGood morning. =",
      " Guten Morgen. Noch etwas.\nX = Y",
      (model) => model.task.translate("Good\nmorning. ", { to: "de", examples }),
      { written: " Guten Morgen. Noch etwas.", text: "Guten Morgen." },
    );
  });

  it("summarizes after TL;DR: three sentences of 100 tokens", async () => {
    await check(
      "It rained.\nAll day.\nTL;DR:",
      ` One. Two.\nThree. ${"Four and more. ".repeat(10)}`,
      (model) => model.task.summarize(" It rained.\nAll day.\n", { seed: 7 }),
      {
        written: ` One. Two.\nThree. ${"Four and more. ".repeat(10)}`.slice(0, 100),
        text: "One.\nTwo.\nThree.",
        seed: 7,
      },
    );
    await check(
      "Old.\nTL;DR: Short.\n\nNew.\nTL;DR:",
      " Brief.",
      (model) => model.task.summarize("New.", { examples: [["Old. ", " Short."]], seed: 7, maxNewTokens: 7 }),
      { written: " Brief.", text: "Brief.", seed: 7 },
    );
  });

  it("answers from a document and a conversation: the line", async () => {
    await check(
      "Moss is a cat.\nHe sleeps.\n\nQ: Who is Moss?\nA: a cat\nQ: What does he do?\nA:",
      " he sleeps \nQ: And",
      (model) => {
        const document = "Moss is a cat.\nHe sleeps.\n";
        return model.task.answer("What does he do? ", { document, history: [["Who is Moss?", "a cat"]] });
      },
      { written: " he sleeps ", text: "he sleeps" },
    );
  });

  it("answers after questions and answers, with one mark at each", async () => {
    await check(
      "Q: who wrote emma?\nA: Jane Austen\nQ: and persuasion?\nA: she too\nQ: who wrote hamlet?\nA:",
      " Shakespeare\nQ:",
      (model) => {
        const examples = [["who wrote emma?", "Jane Austen"]] as const;
        return model.task.answer("who wrote hamlet ?", { examples, history: [["and persuasion", "she too"]] });
      },
      { written: " Shakespeare", text: "Shakespeare" },
    );
    const ours = await reciting("x", "y", (model) => model.task.answer("who wrote hamlet", { maxNewTokens: 1 }));
    assert.ok(ours.prompt.startsWith("Q: who wrote the play romeo and juliet?\nA: William Shakespeare\nQ: what is"));
    assert.ok(ours.prompt.endsWith("\nA: July 20, 1969\nQ: who wrote hamlet?\nA:"));
  });

  it("continues a text as it is, or completes a pattern", async () => {
    await check("Once\n", "upon\na time", (model) => model.task.complete("Once\n", { maxNewTokens: 9, topK: 1 }), {
      written: "upon\na ti",
      text: "upon\na ti",
    });
    await check(
      "cat = animal\nrose = flower\noak =",
      " tree\nfir",
      (model) => {
        const examples = [
          ["cat", "animal"],
          ["rose", "flower"],
        ] as const;
        return model.task.complete("oak", { examples });
      },
      { written: " tree", text: "tree" },
    );
  });
});

describe("tasks and evaluations", () => {
  const CONFIG = gpt2Config({ vocabSize: 600, nCtx: 1024, nEmbd: 24, nLayer: 2, nHead: 2 });
  let model: GPT2;
  before(async () => {
    model = await seededModel(CONFIG, 11, await smallTokenizer(CONFIG.vocabSize));
  });
  after(() => model.dispose());

  /** An evaluation's requests, and their results. */
  async function evaluated(spec: string, limit: number) {
    const sent: GenerateUntilRequest[] = [];
    const heard: EvaluatedModel = {
      config: model.config,
      tokenizer: model.tokenizer,
      endOfText: model.endOfText,
      logLikelihoods: (asked, options) => model.logLikelihoods(asked, options),
      generateUntil: (asked, options) => {
        sent.push(...asked);
        return model.generateUntil(asked, options);
      },
    };
    const { outcomes } = await runTask(heard, parseTaskSpec(spec, TASKS), { source: dataSource, limit });
    return { sent, prompts: sent.map(({ prompt }) => model.tokenizer!.decode(prompt)), outcomes };
  }

  it("send the same prompts, and extract the same results", async () => {
    const wmt = await evaluated("wmt14-en-fr", 1);
    const source = /\n([^\n]*) =$/.exec(wmt.prompts[0]!)![1]!;
    const translated = await model.task.translate(source, { to: "fr" });
    assert.equal(translated.prompt, wmt.prompts[0]);
    assert.equal(translated.text, wmt.outcomes[0]!.translation);

    const nq = await evaluated("nq", 1);
    const answered = await model.task.answer(nq.outcomes[0]!.question as string);
    assert.equal(answered.prompt, nq.prompts[0]);
    assert.equal(answered.text, nq.outcomes[0]!.answer);
    assert.ok(Math.abs(answered.logprob - (nq.outcomes[0]!.logprob as number)) < 1e-4);

    const coqa = await evaluated("coqa", 3);
    const document = coqa.prompts[0]!.split("\n\n")[0]!;
    const history = [
      ["What is the cat called?", "Moss"],
      ["Where does it sleep?", "in the kitchen"],
    ] as const;
    const told = await model.task.answer("Who brings fish?", { document, history });
    assert.equal(told.prompt, coqa.prompts[2]);
    assert.equal(told.text, coqa.outcomes[2]!.answer);

    const news = await evaluated("cnn-dm", 1);
    const article = news.prompts[0]!.slice(0, -"\nTL;DR:".length);
    const summarized = await model.task.summarize(article, { seed: 1 });
    assert.equal(summarized.prompt, news.prompts[0]);
    assert.equal(summarized.text, news.outcomes[0]!.summary);
  });

  it("cut an article that is too long at the same token", async () => {
    const article = "The talks will start again on Monday, the minister said. ".repeat(100).trim();
    const { prompt, omitted } = await model.task.summarize(article, { seed: 1 });
    const ids = model.tokenizer!.encode(article);
    const hint = model.tokenizer!.encode("\nTL;DR:").length;
    const kept = CONFIG.nCtx - 100 - hint;
    assert.equal(omitted.tokens, ids.length - kept);
    assert.equal(prompt, `${model.tokenizer!.decode(ids.slice(0, kept))}\nTL;DR:`);
    await assert.rejects(model.task.summarize(article, { truncate: false }), ContextLengthError);
  });

  it("leave out examples that do not fit, and refuse documents without truncate", async () => {
    const examples = Array.from({ length: 200 }, (_, i) => [`number ${i}`, `numéro ${i}`] as const);
    const { prompt, omitted } = await model.task.translate("number 200", { examples });
    assert.ok(omitted.examples > 0 && omitted.examples < 200);
    assert.ok(prompt.startsWith(`number ${omitted.examples} = `));
    assert.ok(prompt.endsWith("number 199 = numéro 199\nnumber 200 ="));
    const document = "It rained. ".repeat(1000);
    await assert.rejects(model.task.answer("When?", { document }), (error) => {
      return error instanceof ContextLengthError && /^answer: prompt: .*With truncate/.test(error.message);
    });
    const cut = await model.task.answer("When?", { document, truncate: true });
    assert.ok(cut.prompt.startsWith("It rained. It") && cut.prompt.endsWith("\n\nQ: When?\nA:"));
    assert.ok(cut.omitted.tokens > 1000);
  });

  it("sample the same with the same seed, and report a random one", async () => {
    const one = await model.task.complete("Alice", { seed: 3 });
    assert.equal(one.tokens, 100);
    assert.deepEqual(await model.task.complete("Alice", { seed: 3 }), one);
    const other = await model.task.complete("Alice");
    assert.notEqual(other.text, one.text);
    assert.deepEqual(await model.task.complete("Alice", { seed: other.seed }), other);
  });

  it("refuse missing and wrong options, and stop on their signal", async () => {
    const { task } = model;
    const wrong: readonly [Promise<unknown>, RegExp][] = [
      [task.translate(" ", { to: "fr" }), /^translation: expected a sentence, got none/],
      [task.translate("Hello."), /neither examples nor a language/],
      [task.summarize("\n"), /^summary: expected an article/],
      [task.answer(""), /^answer: expected a question/],
      [task.answer("Who?", { document: " " }), /a document that is not empty/],
      [task.answer("Who?", { document: "It.", examples: [] }), /expected examples or a document/],
      [task.complete(""), /^completion: expected a text/],
      [task.complete("x", { maxNewTokens: -1 }), /maxNewTokens/],
      [task.complete("x", { topK: 1.5 }), /topK/],
      [task.complete("x", { seed: -1 }), /seed/],
      [task.complete("x", { adapter: "none" }), /adapter/],
      [task.classify("x", { labels: ["a"] }), /at least two distinct labels/],
      [task.classify(" ", { labels: ["a", "b"] }), /^classification: expected a text/],
    ];
    for (const [call, message] of wrong) {
      await assert.rejects(
        call,
        (error) => error instanceof UsageError && message.test(error.message),
        String(message),
      );
    }
    await assert.rejects(task.complete("x", { maxNewTokens: CONFIG.nCtx }), ContextLengthError);
    const signal = AbortSignal.abort();
    await assert.rejects(task.translate("Hello.", { to: "fr", signal }), { name: "AbortError" });
    await assert.rejects(task.classify("x", { labels: ["a", "b"], signal }), { name: "AbortError" });
  });

  it("need a tokenizer", async () => {
    const config = gpt2Config({ vocabSize: BYTES - 1, nCtx: 8, nEmbd: 8, nLayer: 1, nHead: 1 });
    const backend = await fastBackend();
    await using bare = new GPT2({ backend, config, weights: seededWeights(backend, config) });
    await assert.rejects(bare.task.complete("x"), TokenizerError);
    await assert.rejects(bare.choose("x", ["y"]), TokenizerError);
    await assert.rejects(bare.task.classify("x", { labels: ["a", "b"] }), TokenizerError);
  });
});
