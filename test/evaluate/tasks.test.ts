import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { DataError, UsageError } from "../../src/errors.js";
import { TASKS } from "../../src/evaluate/registry.js";
import { type EvaluatedModel, runTask } from "../../src/evaluate/run.js";
import { formatTaskSpec, parseTaskSpec } from "../../src/evaluate/task.js";
import { partOf } from "../../src/evaluate/tasks/compression.js";
import { STOP_WORDS } from "../../src/evaluate/tasks/lambada.js";
import { windowsApart } from "../../src/evaluate/tasks/rolling.js";
import { userFileTask } from "../../src/evaluate/tasks/user-file.js";
import { fitCandidate } from "../../src/evaluate/tasks/winograd.js";
import type { GenerateUntilRequest, LogLikelihoodRequest } from "../../src/generate/requests.js";
import type { GPT2 } from "../../src/gpt2.js";
import { encodePair } from "../../src/tokenizer/encode-pair.js";
import { gpt2Tokenizer } from "../../src/tokenizer/gpt2.js";
import { packageFile } from "../../src/util/package-root.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { dataSource, evaluateOn, memorySource, metricOf, seededModel, smallTokenizer } from "./support.js";

/** Small enough to be quick, with room for a story of the Children's Book Test, but less than some windows need. */
const CONFIG = gpt2Config({ vocabSize: 600, nCtx: 256, nEmbd: 24, nLayer: 2, nHead: 2 });

/** Sums of many log-probabilities in single precision, taken in other runs of the model. */
function assertNear(what: string, got: number, want: number, tolerance = 1e-5): void {
  assert.ok(Math.abs(got - want) <= tolerance * Math.max(1, Math.abs(want)), `${what}: ${got}, want ${want}`);
}

let model: GPT2;
before(async () => {
  model = await seededModel(CONFIG, 11, await smallTokenizer(CONFIG.vocabSize));
});
after(() => model.dispose());

/** The model, and the texts of its requests. */
function listening(): { readonly model: EvaluatedModel; readonly prompts: string[]; readonly requests: number[] } {
  const prompts: string[] = [];
  const requests: number[] = [];
  const text = (ids: readonly number[]) => model.tokenizer!.decode(ids);
  const heard: EvaluatedModel = {
    config: model.config,
    tokenizer: model.tokenizer,
    endOfText: model.endOfText,
    logLikelihoods: (asked: readonly LogLikelihoodRequest[], options) => {
      requests.push(asked.length);
      prompts.push(...asked.map(({ context, continuation }) => `${text(context)}|${text(continuation)}`));
      return model.logLikelihoods(asked, options);
    },
    generateUntil: (asked: readonly GenerateUntilRequest[], options) => {
      requests.push(asked.length);
      prompts.push(...asked.map(({ prompt }) => text(prompt)));
      return model.generateUntil(asked, options);
    },
  };
  return { model: heard, prompts, requests };
}

/** Runs a task, and returns the model's requests and the result. */
async function listen(spec: string, limit?: number) {
  const heard = listening();
  const result = await runTask(heard.model, parseTaskSpec(spec, TASKS), { source: dataSource, limit });
  return { ...heard, result };
}

describe("LAMBADA", () => {
  it("is right by word, by last token and with filters, as the logits say", async () => {
    const result = await evaluateOn(model, "lambada", { limit: 8 });
    const passages = await listen("lambada", 8);
    for (const [i, outcome] of result.outcomes.entries()) {
      const [context, word] = passages.prompts[i]!.split(/\|(?=[^|]*$)/) as [string, string];
      assert.equal(word, ` ${outcome.word}`);
      const before = [...model.tokenizer!.encode(context)];
      const target = [...model.tokenizer!.encode(word)];
      const logits = await model.logits([...before, ...target.slice(0, -1)].slice(-CONFIG.nCtx));
      const V = CONFIG.vocabSize;
      const T = logits.length / V;
      const row = (k: number) => logits.subarray((T - target.length + k) * V, (T - target.length + k + 1) * V);
      const order = (k: number) => [...row(k).keys()].sort((a, b) => row(k)[b]! - row(k)[a]!);
      const greedy = target.map((id, k) => order(k)[0] === id);
      assert.equal(outcome.greedy, greedy.every(Boolean));
      assert.equal(outcome.lastGreedy, greedy.at(-1));
      const isStop = (id: number) => STOP_WORDS.has(model.tokenizer!.decode([id]).trim().toLowerCase());
      const filtered = order(0).find((id) => !isStop(id)) === target[0] && greedy.slice(1).every(Boolean);
      assert.equal(outcome.filtered, filtered);
      assert.equal(outcome.lastFiltered, target.length === 1 ? filtered : greedy.at(-1));
    }
    const mean = result.outcomes.reduce((sum, { logprob }) => sum + (logprob as number), 0) / 8;
    assertNear("perplexity", Math.log(metricOf(result, "perplexity")), -mean);
  });

  it("normalized begins with a line feed, and has straight quotes", async () => {
    const { prompts } = await listen("lambada:normalized", 24);
    assert.ok(prompts.every((prompt) => prompt.startsWith("\n") && !/[“”]/.test(prompt)));
    const plain = await listen("lambada", 24);
    assert.ok(plain.prompts.some((prompt) => /[“”]/.test(prompt)));
  });

  it("reads the original file, de-tokenized on request", async () => {
    const source = memorySource({ "lambada/lambada_test_plain_text.txt": "`` do n't go , '' said the cat\n" });
    for (const [spec, want] of [
      ["lambada:original", "`` do n't go , '' said the| cat"],
      ["lambada:detokenized", '"don\'t go," said the| cat'],
    ] as const) {
      const heard = listening();
      await runTask(heard.model, parseTaskSpec(spec, TASKS), { source });
      assert.deepEqual(heard.prompts, [want]);
    }
  });
});

describe("language modelling", () => {
  it("is the model's score of the text, by its original words, tokens and bytes", async () => {
    const text = " it did n't rain , said mr. fox \n it 's true \n";
    const source = memorySource({ "ptb/ptb.test.txt": text });
    for (const [spec, written] of [
      ["ptb", "it didn't rain , said mr. fox\nit's true\n"],
      ["ptb:plain", text],
    ] as const) {
      const result = await runTask(model, parseTaskSpec(spec, TASKS), { source });
      const { logprob, tokens } = await model.score(written);
      assert.deepEqual([result.facts.words, result.facts.lineEnds], [11, 2]);
      assertNear("per word", Math.log(metricOf(result, "perplexity per word")), -logprob / 13);
      const without = metricOf(result, "perplexity per word, line ends not counted");
      assertNear("without line ends", Math.log(without), -logprob / 11);
      assertNear("per token", Math.log(metricOf(result, "perplexity per token")), -logprob / tokens.length);
      assertNear("per byte", metricOf(result, "bits per byte"), -logprob / Math.LN2 / text.length);
    }
  });

  it("slides over long texts by the stride", { skip: LIKE_OTHERS }, async () => {
    const path = "wikitext-2:plain,stride=";
    const text = new TextDecoder().decode(await dataSource.read("wikitext-2/wiki.test.tokens"));
    for (const stride of [CONFIG.nCtx, 100]) {
      const result = await evaluateOn(model, path + stride);
      const { logprob, tokens } = await model.score(text, { stride });
      assertNear("log-probability", Math.log(metricOf(result, "perplexity per token")), -logprob / tokens.length);
      assert.equal(result.facts.tokens, tokens.length);
      const sum = (key: string) => result.outcomes.reduce((total, outcome) => total + (outcome[key] as number), 0);
      assertNear("words", sum("words"), text.split(/\s+/).filter(Boolean).length, 1e-9);
      assertNear("line ends", sum("lineEnds"), text.split("\n").length - 1, 1e-9);
    }
    const short = await evaluateOn(model, `${path}1`, { limit: 1 });
    assert.equal(short.items, 1);
    await assert.rejects(evaluateOn(model, `${path}257`), UsageError);
  });

  it("scores every article and sentence separately on request", async () => {
    const { prompts, result } = await listen("1bw");
    const lines = prompts.map((prompt) => prompt.replace("<|endoftext|>|", ""));
    assert.equal(result.facts.documents, 6);
    assert.deepEqual(lines.slice(0, 2), [
      "The baker, who doesn't sleep much, opens his shop at five.\n",
      '"We\'ve sold 1,200 loaves," she said.\n',
    ]);
    assert.ok(prompts.every((prompt) => prompt.startsWith("<|endoftext|>")));
    const articles = await listen("wikitext-2:document");
    assert.equal(articles.result.facts.documents, 4);
    assert.ok(articles.prompts.some((prompt) => prompt.startsWith("<|endoftext|>|= New York State Route 31B =")));
  });

  it("has transformers' windows: apart, tokens without context unscored", async () => {
    assert.deepEqual(
      [...windowsApart(10, 4, 4)],
      [
        { start: 0, from: 1, end: 4 },
        { start: 4, from: 5, end: 8 },
        { start: 8, from: 9, end: 10 },
      ],
    );
    assert.deepEqual(
      [...windowsApart(9, 4, 2)],
      [
        { start: 0, from: 1, end: 4 },
        { start: 2, from: 4, end: 6 },
        { start: 4, from: 6, end: 8 },
        { start: 6, from: 8, end: 9 },
      ],
    );
    const result = await evaluateOn(model, "wikitext-2:transformers,apart");
    const text = new TextDecoder().decode(await dataSource.read("wikitext-2/wiki.test.tokens"));
    const lines = text.split(/(?<=\n)/).map((line) => (line.trim() === "" ? "" : line));
    const ids = [...model.tokenizer!.encode(lines.join("\n\n"))];
    let [logprob, count] = [0, 0];
    for (let start = 0; start < ids.length; start += CONFIG.nCtx) {
      const [first, ...rest] = ids.slice(start, start + CONFIG.nCtx);
      if (rest.length === 0) continue;
      logprob += (await model.score(rest, { context: [first!], stride: CONFIG.nCtx })).logprob;
      count += rest.length;
    }
    assertNear("per token", Math.log(metricOf(result, "perplexity per token")), -logprob / count);
  });

  it("takes enwik8 and text8 in parts", async () => {
    const whole = new Uint8Array(100_000_000);
    assert.deepEqual(
      ["test", "valid", "whole", "opening"].map((part) => {
        const { byteOffset, length } = partOf(whole, part, "x");
        return [byteOffset, length];
      }),
      [
        [95_000_000, 5_000_000],
        [90_000_000, 5_000_000],
        [0, 100_000_000],
        [0, 100_001],
      ],
    );
    const source = memorySource({ "enwik8/enwik5/enwik5": "<page>é</page>\n" });
    const opening = await runTask(model, parseTaskSpec("enwik8:opening", TASKS), { source });
    const { bitsPerByte } = await model.score("<page>é</page>\n");
    assertNear("bits per byte", metricOf(opening, "bits per byte"), bitsPerByte!);
    const short = memorySource({ enwik8: "too short" });
    await assert.rejects(runTask(model, parseTaskSpec("enwik8", TASKS), { source: short }), DataError);
  });
});

describe("choices", () => {
  it("of the Children's Book Test go by the word and the rest of its sentence", async () => {
    const { result, prompts } = await listen("cbt-cn");
    assert.equal(result.items, 2);
    assert.equal(prompts.length, 20);
    const [first] = prompts as [string];
    assert.ok(first.startsWith("For the white kitten had been having its face washed"));
    assert.ok(first.includes('"Oh, you wicked little thing!" cried Alice, catching up the kitten'));
    assert.match(first, /put down the saucer of\| milk before her!$/);
    const { right, chosen, logprobs } = result.outcomes[0] as { right: number; chosen: number; logprobs: number[] };
    assert.equal(right, 0);
    assert.equal(chosen, logprobs.indexOf(Math.max(...logprobs)));
    const plain = await listen("cbt-ne:plain");
    assert.match(plain.prompts[3]!, /that you 're the Red\| Queen , Kitty !$/);
  });

  it("of Winograd schemas go by the whole sentence, or by what follows", async () => {
    const { result, prompts } = await listen("winograd");
    assert.equal(result.items, 10);
    assert.equal(
      prompts[0],
      "The city councilmen refused the demonstrators a permit because| the city councilmen feared violence.",
    );
    const { tokenizer } = model;
    const { full, partial } = result.outcomes[0] as { full: number[]; partial: number[] };
    const [context, sentence] = prompts[0]!.split("|") as [string, string];
    const score = await model.score(sentence, { context });
    assertNear("full", full[0]!, score.logprob);
    const after = tokenizer!.encode(" feared violence.").length;
    assertNear(
      "partial",
      partial[0]!,
      score.logprobs.slice(-after).reduce((a, b) => a + b),
    );
    assert.ok(prompts.some((prompt) => prompt.endsWith("| the older students.")));
    assert.deepEqual(
      ["", "He left. ", 'He said "no." ', "because ", "because ", "because "].map((text, i) =>
        fitCandidate(text, ["the cat", "my aunt", "the cat", "The cat", "Emma's mother", "Ann"][i]!),
      ),
      ["The cat", "My aunt", "The cat", "the cat", "Emma's mother", "Ann"],
    );
  });

  it("of Winograd schemas come from Davis's collection too, with its genitives", async () => {
    const xml = `<?xml version="1.0"?><collection><schema><text>
      <txt1>The man lifted the boy onto</txt1><pron>his</pron><txt2>shoulders.</txt2></text>
      <answers><answer> The man</answer><answer>The boy </answer></answers>
      <correctAnswer>A.</correctAnswer></schema></collection>`;
    const heard = listening();
    const source = memorySource({ "wsc273/WSCollection.xml": xml });
    await runTask(heard.model, parseTaskSpec("winograd", TASKS), { source });
    assert.deepEqual(heard.prompts, [
      "The man lifted the boy onto| the man's shoulders.",
      "The man lifted the boy onto| the boy's shoulders.",
    ]);
  });

  it("of HellaSwag are read from the text extract as from the set's own file", async () => {
    const extract = "Rowing: Two women carry a boat. they\n1\neat it.\nput it down.\nfold it.\nread it.\n";
    const heard = listening();
    const source = memorySource({ "hellaswag/hellaswag_val_full.txt": extract });
    const { outcomes } = await runTask(heard.model, parseTaskSpec("hellaswag", TASKS), { source });
    assert.equal(heard.prompts[1], "Rowing: Two women carry a boat. They| put it down.");
    assert.equal(outcomes[0]!.right, 1);
    const harness = await listen("hellaswag", 17);
    assert.equal(
      harness.prompts[64],
      "Home and Garden: How to water a fern. Feel the soil. Put a finger into the pot. If the soil is dry, the plant is " +
        "thirsty.|  Pour water slowly until it runs out below.",
    );
    await assert.rejects(runTask(model, parseTaskSpec("hellaswag:completion", TASKS), { source }), DataError);
  });
});

describe("generated answers", () => {
  it("of CoQA follow the document, the conversation and `A:`", async () => {
    const { result, prompts } = await listen("coqa");
    const story =
      "Nora has a grey cat called Moss. Moss sleeps in the kitchen because it is warm there. On Sundays Nora's brother Tim " +
      "brings him fish.";
    assert.equal(prompts[0], `${story}\n\nQ: What is the cat called?\nA:`);
    assert.equal(
      prompts[2],
      `${story}\n\nQ: What is the cat called?\nA: Moss\nQ: Where does it sleep?\nA: in the kitchen\nQ: Who brings fish?\nA:`,
    );
    assert.deepEqual(result.outcomes[2]!.answers, ["Tim", "Nora's brother", "her brother Tim", "Tim"]);
    assert.ok(result.outcomes.every(({ answer }) => !(answer as string).includes("\n")));
    assert.equal((await listen("coqa:last")).result.items, 1);
  });

  it("of WMT-14 follow example pairs, aligned by document and segment", async () => {
    const { result, prompts } = await listen("wmt14-en-fr");
    assert.equal(prompts.length, 3);
    assert.ok(prompts[0]!.startsWith("The talks will start again on Monday. = Les discussions reprendront lundi.\n"));
    assert.ok(prompts[1]!.endsWith('\n"We have sold everything," said the baker & his wife. ='));
    assert.deepEqual(
      result.outcomes.map(({ reference }) => reference),
      [
        "La boulangerie ouvre à cinq heures.",
        "« Nous avons tout vendu », ont dit le boulanger & sa femme.",
        "Les prix ont baissé de 2,5 %.",
      ],
    );
    assert.equal(result.facts.signature, "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:gpt2-ts");
    const none = await evaluateOn(model, "wmt14-en-fr:examples=2");
    assert.equal(none.items, 3);
    await assert.rejects(evaluateOn(model, "wmt14-en-fr:examples=7"), UsageError);
  });

  it("of Natural Questions follow example pairs, with the model's confidence", async () => {
    const { result, prompts } = await listen("nq", 3);
    assert.ok(prompts[0]!.startsWith("Q: who wrote the play romeo and juliet?\nA: William Shakespeare\nQ: "));
    assert.ok(prompts[0]!.endsWith("\nQ: when was the last time anyone was on the moon?\nA:"));
    assert.ok(result.outcomes.every(({ logprob }) => (logprob as number) < 0));
  });

  it("of the most confident are the first hundredth by confidence", async () => {
    const task = TASKS.find(({ name }) => name === "nq")!;
    const setup = { source: dataSource, tokenizer: model.tokenizer!, endOfText: 0, nCtx: 256 };
    const options = parseTaskSpec("nq", TASKS).options;
    const { metrics } = await task.prepare({ ...setup, options });
    const outcomes = Array.from({ length: 200 }, (_, i) => ({
      logprob: -((i * 7) % 200),
      right: (i * 7) % 200 < 4 ? 1 : 0,
    }));
    const surest = metrics.find(({ name }) => name === "exact match, most confident 1%")!;
    assert.ok("of" in surest);
    assert.equal(surest.of(outcomes), 1);
    assert.equal((metrics.find(({ name }) => name.endsWith("5%")) as typeof surest).of(outcomes), 0.4);
  });

  it("of CNN/Daily Mail are three sentences, after the hint, without, or the article's own", async () => {
    const { prompts, result } = await listen("cnn-dm");
    assert.ok(prompts.every((prompt) => prompt.endsWith("\nTL;DR:")));
    assert.ok(result.outcomes.every(({ summary }) => (summary as string).split("\n").length <= 3));
    const again = await evaluateOn(model, "cnn-dm");
    assert.deepEqual(again.outcomes, result.outcomes, "same seed, same summaries");
    const other = await evaluateOn(model, "cnn-dm:seed=2");
    assert.notDeepEqual(other.outcomes, result.outcomes);
    assert.ok((await listen("cnn-dm:no-hint")).prompts.every((prompt) => !prompt.includes("TL;DR")));
    const lead = await listen("cnn-dm:lead-3");
    assert.deepEqual(lead.prompts, []);
    assert.equal(
      lead.result.outcomes[0]!.summary,
      'A baker in Leeds has sold every loaf for a year.\nDr. Jones, who lives nearby, buys two a day.\n"It is the crust," he said.',
    );
    const three = (await listen("cnn-dm:random-3")).result.outcomes[1]!.summary as string;
    assert.equal(new Set(three.split("\n")).size, 3);
  });

  it("of CNN/Daily Mail come from its stories by See et al.'s list", async () => {
    const url = "http://example.org/story";
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-1", new TextEncoder().encode(url)));
    const name = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const story = "First one.\n\nSecond one. Third.\n\nFourth.\n\n@highlight\n\nShort\n\n@highlight\n\nShorter\n";
    const source = memorySource({ "cnn-dm/all_test.txt": `${url}\n`, [`cnn-dm/cnn/stories/${name}.story`]: story });
    const { outcomes } = await runTask(model, parseTaskSpec("cnn-dm:lead-3", TASKS), { source });
    assert.equal(outcomes[0]!.summary, "First one.\nSecond one.\nThird.");
    const missing = memorySource({ "cnn-dm/all_test.txt": `${url}\n` });
    await assert.rejects(runTask(model, parseTaskSpec("cnn-dm", TASKS), { source: missing }), DataError);
  });
});

describe("files of the user's", () => {
  const run = (name: string, content: string | Uint8Array, limit?: number) => {
    const spec = parseTaskSpec(name, [userFileTask(name)]);
    return runTask(model, spec, { source: memorySource({ [name]: content }), limit });
  };

  it("are texts, to the byte", async () => {
    const bytes = Uint8Array.of(0x61, 0x20, 0xff, 0x62, 0x0a);
    const result = await run("my.txt", bytes);
    const { logprob } = await model.score(model.tokenizer!.encodeBytes(bytes));
    assertNear("bits per byte", metricOf(result, "bits per byte"), -logprob / Math.LN2 / 5);
  });

  it("may be compressed", async () => {
    const text = '{"text":"One text."}\n';
    const plain = await run("my.jsonl", text);
    // A frame of one uncompressed block (RFC 8878).
    const [size, block] = [text.length, 1 | (text.length << 3)];
    const header = [0x28, 0xb5, 0x2f, 0xfd, 0x20, size, block & 0xff, block >> 8, 0];
    const zstd = Uint8Array.from([...header, ...new TextEncoder().encode(text)]);
    for (const [name, bytes] of [
      ["my.jsonl.zst", zstd],
      ["my.jsonl.gz", gzipSync(text)],
    ] as const) {
      assert.deepEqual((await run(name, bytes)).metrics, plain.metrics);
    }
    await assert.rejects(run("my.jsonl.zst", zstd.subarray(0, 20)), /decompressing my.jsonl.zst.*whole zstd data/);
  });

  it("are several texts, or questions, as JSON lines", async () => {
    const texts = await run("my.jsonl", '{"text":"One text."}\n{"text":"Another one."}\n');
    const sum = (await model.score("One text.")).logprob + (await model.score("Another one.")).logprob;
    assertNear("per word", Math.log(metricOf(texts, "perplexity per word")), -sum / 4);
    const questions = await run("q.jsonl", '{"context":"The sky is","choices":[" blue."," loud."],"answer":1}\n');
    const [a, b] = questions.outcomes[0]!.logprobs as [number, number];
    assertNear("first", a, (await model.score(" blue.", { context: "The sky is" })).logprob);
    assert.equal(metricOf(questions, "accuracy"), Number(b > a));
  });

  it("are refused with the line that is wrong", async () => {
    for (const [line, message] of [
      ['{"context":"x","choices":["a"],"answer":0}', /line 1: choices/],
      ['{"context":"x","choices":["a","b"],"answer":2}', /line 1: answer/],
      ['{"choices":["a","b"],"answer":0}', /line 1: context/],
      ['{"other":"x"}', /line 1: text/],
      ["", /at least one line/],
    ] as const) {
      await assert.rejects(run("q.jsonl", `${line}\n`), (error: Error) => {
        assert.ok(error instanceof DataError, String(error));
        assert.match(error.message, message);
        return true;
      });
    }
  });
});

describe("task names", () => {
  it("have options by name, or by value where it is unambiguous, and are formatted as short as possible", () => {
    const spec = parseTaskSpec("wikitext-2:plain,stride=512,split=test,raw", TASKS);
    assert.deepEqual(spec.options, {
      text: "plain",
      split: "test",
      vocabulary: "raw",
      unit: "stream",
      stride: "512",
      windows: "joined",
    });
    assert.equal(formatTaskSpec(spec), "wikitext-2:plain,raw,stride=512");
    assert.equal(formatTaskSpec(parseTaskSpec("lambada", TASKS)), "lambada");
    for (const { name } of TASKS) assert.equal(formatTaskSpec(parseTaskSpec(name, TASKS)), name);
  });

  it("that are wrong are refused with the list of names", () => {
    assert.throws(() => parseTaskSpec("lambda", TASKS), /one of lambada, cbt-cn/);
    assert.throws(() => parseTaskSpec("lambada:nonsense", TASKS), /text=openai\|normalized/);
    assert.throws(() => parseTaskSpec("ptb:stride=0", TASKS), /context, a positive integer/);
    assert.throws(() => parseTaskSpec("ptb:colour=red", TASKS), UsageError);
  });
});

/** Made by scripts/python/make_pairs_fixture.py. */
interface HarnessPair {
  readonly context: string;
  readonly continuation: string;
  readonly ids: readonly [context: number[], continuation: number[]];
}

describe("pairs of texts", () => {
  it("are cut into tokens as the LM evaluation harness does, between words and within them", async () => {
    const pairs: HarnessPair[] = JSON.parse(readFileSync(packageFile("test/fixtures/evaluate/pairs.json"), "utf8"));
    const tokenizer = await gpt2Tokenizer();
    let apart = 0;
    for (const { context, continuation, ids } of pairs) {
      const pair = encodePair(tokenizer, 50256, context, continuation);
      assert.deepEqual(pair, { context: ids[0], continuation: ids[1] }, `${context}|${continuation}`);
      const together = tokenizer.encode(context + continuation);
      if (ids[0].some((id, i) => id !== together[i])) apart++;
    }
    assert.ok(apart >= 20, `${apart} pairs whose context has other tokens than the whole text`);
  });

  it("have an end of text for no context, and spaces with what follows them", async () => {
    const tokenizer = await gpt2Tokenizer();
    const pair = (context: string, continuation: string) => encodePair(tokenizer, 50256, context, continuation);
    const ids = (text: string) => [...tokenizer.encode(text)];
    assert.deepEqual(pair("the cat ", "sat"), { context: ids("the cat"), continuation: ids(" sat") });
    assert.deepEqual(pair("", "sat"), { context: [50256], continuation: ids("sat") });
    assert.deepEqual(pair(" \n", "sat"), { context: [50256], continuation: ids(" \nsat") });
  });
});
