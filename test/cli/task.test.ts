/** `gpt2 task`, as a user runs it, with the package's own model. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { GPT2 } from "../../src/gpt2.js";
import type { Choice } from "../../src/tasks/choose.js";
import type { TaskOutput } from "../../src/tasks/write.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { gpt2 } from "./run.js";

const folder = mkdtempSync(join(tmpdir(), "gpt2-task-command-"));
const PARALLEL = { concurrency: 3 };

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** Runs a task, and returns its JSON. */
async function json<T = TaskOutput>(args: readonly string[], input = ""): Promise<T & { readonly task: string }> {
  const { stdout, stderr, status } = await gpt2(["task", ...args, "--json"], input);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as T & { readonly task: string };
}

async function refused(args: readonly string[], message: RegExp, exit = 2): Promise<void> {
  const { stderr, status } = await gpt2(["task", ...args]);
  assert.match(stderr, message);
  assert.equal(status, exit, stderr);
}

let model: GPT2;
before(async () => {
  model = await GPT2.load(undefined, { threads: 1 });
});
after(async () => {
  await model.dispose();
  rmSync(folder, { recursive: true });
});

describe("gpt2 task", PARALLEL, () => {
  it("gives what the library gives", async () => {
    const { task, ...output } = await json(["translate", "--to", "fr", "Good", "morning.", "-n", "20"]);
    const { seed, logprob, ...want } = await model.task.translate("Good morning.", { to: "fr", maxNewTokens: 20 });
    assert.equal(task, "translate");
    assert.equal(seed, undefined);
    assert.deepEqual(output, { ...want, logprob: Number(logprob.toPrecision(6)) });
    assert.match(output.prompt, /^The talks will start again on Monday\. = Les discussions reprendront lundi\.\n/);
  });

  it("shows the prompt before the result", { skip: LIKE_OTHERS }, async () => {
    const args = ["task", "complete", "oak", "--example", "cat=animal", "--example", "rose = flower", "--show-prompt"];
    const { stdout } = await gpt2(args);
    const start = "--- prompt ---\ncat = animal\nrose = flower\noak =\n--- result ---\n";
    assert.ok(stdout.startsWith(start), stdout);
    const examples = [
      ["cat", "animal"],
      ["rose", "flower"],
    ] as const;
    assert.equal(stdout.slice(start.length), `${(await model.task.complete("oak", { examples })).text}\n`);
  });

  it("summarizes a file or standard input", async () => {
    const article = "The rain began on Monday. It did not stop until Friday.\n";
    const args = ["summarize", "--seed", "5", "-n", "30"];
    const fromFile = await json([...args, file("article.txt", article)]);
    assert.ok(fromFile.prompt.endsWith("until Friday.\nTL;DR:"));
    assert.equal(fromFile.seed, 5);
    assert.deepEqual(await json(args, article), fromFile);
    assert.deepEqual(await json([...args, "-"], article), fromFile);
    const long = file("long.txt", article.repeat(100));
    const { stderr, stdout } = await gpt2(["task", "summarize", long, "-n", "2"]);
    assert.match(stderr, /^gpt2: the text exceeds the context: its last \d{3} tokens left out\n$/);
    assert.ok(stdout.endsWith("\n"));
    await refused(["summarize", long, "--no-truncate"], /With truncate, the text is cut to its beginning/, 1);
  });

  it("answers from a document, after a conversation, or from nothing", { skip: LIKE_OTHERS }, async () => {
    const document = file("document.txt", "Moss is a cat. He sleeps in the kitchen.\n");
    const told = ["answer", "Where does he sleep?", "--history", "Who is Moss?=a cat"];
    const { prompt } = await json([...told, "--document", document]);
    const want = "Moss is a cat. He sleeps in the kitchen.\n\nQ: Who is Moss?\nA: a cat\nQ: Where does he sleep?\nA:";
    assert.equal(prompt, want);
    assert.equal((await json([...told, "--document", "-"], "Moss is a cat. He sleeps in the kitchen.")).prompt, want);
    const piped = await json(["answer", "--document", document], "Why?\n");
    assert.ok(piped.prompt.endsWith("kitchen.\n\nQ: Why?\nA:"), piped.prompt);
    const open = await json(["answer", "who wrote hamlet", "--example", "who wrote emma=Jane Austen"]);
    assert.equal(open.prompt, "Q: who wrote emma?\nA: Jane Austen\nQ: who wrote hamlet?\nA:");
    await refused(["answer", "--document", "-"], /both on standard input/);
    await refused(["answer", "x", "--document", document, "--example", "a=b"], /expected examples or a document/);
  });

  it("takes examples from files", { skip: LIKE_OTHERS }, async () => {
    const lines = [
      { input: "Thank you.", output: "Danke." },
      { input: "a = b", output: "c" },
    ];
    const examples = file("examples.jsonl", lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    const { prompt } = await json(["translate", "Hello.", "--example", "Yes.=Ja.", "--examples", examples]);
    assert.equal(prompt, "Yes. = Ja.\nThank you. = Danke.\na = b = c\nHello. =");
    const wrong = file("wrong.jsonl", '{"input":"x"}\n');
    await refused(["translate", "x", "--examples", wrong], /wrong\.jsonl, line 1: expected "input" and "output"/, 1);
  });

  it("classifies by labels, and chooses among candidates", { skip: LIKE_OTHERS }, async () => {
    const labels = ["--labels", "sport, weather", "--label", "trade, finance"];
    const text = "It rained all night.";
    const {
      task,
      text: label,
      candidates,
      prompt,
    } = await json<Choice>(["classify", text, ...labels, "--kind", "Topic"]);
    assert.equal(task, "classify");
    assert.equal(prompt, "Text: It rained all night.\nTopic:");
    const want = await model.task.classify(text, { labels: ["sport", "weather", "trade, finance"], kind: "Topic" });
    assert.equal(label, want.text);
    for (const [i, { text, logprob }] of candidates.entries()) {
      assert.equal(text, want.candidates[i]!.text);
      assert.equal(logprob, Number(want.candidates[i]!.logprob.toPrecision(6)));
    }
    const chosen = await gpt2(["task", "choose", "The cat sat on the", "--candidates", "mat,idea", "--by", "byte"]);
    const best = await model.choose("The cat sat on the", [" mat", " idea"], { normalization: "byte" });
    assert.match(chosen.stdout, /^candidate +total +per token +per byte +share\n/);
    assert.equal(chosen.stdout.split("\n")[1]!.split(" ")[0], best.text.trim());
    assert.ok(chosen.stdout.includes(best.candidates[best.index]!.logprob.toFixed(2)));
    const bare = await json<Choice>(["choose", "un", "--candidate", "happy", "--candidate", " a,b", "--no-space"]);
    const unspaced = await model.choose("un", ["happy", " a,b"]);
    assert.deepEqual(
      bare.candidates.map(({ tokens }) => tokens),
      unspaced.candidates.map(({ tokens }) => tokens),
    );
  });

  it("refuses wrong calls before a model is loaded", async () => {
    const nowhere = ["--model", join(folder, "nowhere")];
    await refused(["translate", "--to", "de", "Hello.", ...nowhere], /expected examples.*none from en to de.*\(fr\)/);
    await refused(["translate", "--to", "fr", ...nowhere], /gpt2 task translate: expected a sentence, got none/);
    await refused(
      ["translate", "x", "--example", "none", ...nowhere],
      /--example: expected "input=output", got "none"/,
    );
    await refused(["summarize", join(folder, "missing.txt"), ...nowhere], /expected a text file, got no such file/);
    await refused(["classify", "x", "--labels", "one", ...nowhere], /at least two distinct labels/);
    await refused(["choose", "x", ...nowhere], /--candidates or --candidate, got none/);
    await refused(
      ["choose", "x", "--candidates", "a,b", "--by", "word", ...nowhere],
      /Allowed choices are total, token/,
    );
    await refused(["complete", "x", ...nowhere], /nowhere/, 1);
  });

  it("has help", async () => {
    const { stdout } = await gpt2(["task", "--help"]);
    for (const task of ["translate", "summarize", "answer", "complete", "classify", "choose"]) {
      assert.match(stdout, new RegExp(`^  ${task} `, "m"));
    }
    assert.match(stdout, /demonstrations/);
    assert.match((await gpt2(["task", "answer", "--help"])).stdout, /--history <q=a>/);
    assert.match((await gpt2(["--help"])).stdout, /^ {2}task +/m);
  });
});
