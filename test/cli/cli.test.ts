import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { saveCheckpoint } from "../../src/pretrained/node.js";
import { saveTokenizer } from "../../src/tokenizer/files.js";
import { packageFile } from "../../src/util/package-root.js";
import { byteTokenizer, END_OF_TEXT_ID, recitingTensors } from "../generate/models.js";
import { exitOf, gpt2, gpt2Process, start } from "./run.js";

/** After a prompt of one byte the model recites this; a longer one it joins later. */
const LINE = "It was a café; the rain fell.";
const SCRIPT = [...byteTokenizer().encode(`${LINE}\n`), END_OF_TEXT_ID, ...byteTokenizer().encode("Again and again. ")];

const folder = mkdtempSync(join(tmpdir(), "gpt2-cli-"));
const model = join(folder, "model");
const withModel = ["--model", model];
/** Most of the time is spent starting. */
const PARALLEL = { concurrency: 3 };

before(async () => {
  await saveCheckpoint(model, recitingTensors(SCRIPT, 96));
  await saveTokenizer(byteTokenizer(), model);
});
after(() => rmSync(folder, { recursive: true }));

describe("gpt2 PROMPT", PARALLEL, () => {
  it("prints the prompt and its continuation, to the end of the text", async () => {
    for (const run of [gpt2, gpt2Process]) {
      const { stdout, stderr, status } = await run(["X", ...withModel]);
      assert.deepEqual({ stdout, stderr, status }, { stdout: `X${LINE}\n`, stderr: "", status: 0 });
    }
  });

  it("is short for gpt2 generate, which takes a prompt that is a command's name", async () => {
    const { stdout } = await gpt2(["generate", "score", ...withModel, "--no-echo"]);
    // Five bytes of prompt: the model continues with its text for the fifth position.
    assert.equal(stdout, `${LINE.slice(4)}\n`);
  });

  it("searches with beams, and chooses the best of several samples", async () => {
    const beams = await gpt2(["X", ...withModel, "--beams", "3", "--samples", "2", "-n", "4", "--json"]);
    const lines = beams.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(lines.length, 2);
    assert.equal(lines[0].text, LINE.slice(0, 4));
    assert.ok(lines[0].score > lines[1].score && lines[0].seed === undefined);
    const text = await gpt2([
      "X",
      ...withModel,
      "--beams",
      "4",
      "--beam-groups",
      "2",
      "--diversity-penalty",
      "1",
      "-n",
      "4",
    ]);
    assert.equal(text.stdout, `X${LINE.slice(0, 4)}\n`);
    const sampled = ["X", ...withModel, "--temperature", "5", "--top-k", "0", "--seed", "1", "-n", "6", "--json"];
    const all = (await gpt2([...sampled, "--samples", "5"])).stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const best = JSON.parse((await gpt2([...sampled, "--best-of", "5"])).stdout);
    const sum = ({ logprobs }: { logprobs: number[] }) => logprobs.reduce((a, b) => a + b) / logprobs.length;
    assert.equal(best.text, all.sort((a, b) => sum(b) - sum(a))[0].text);
  });

  it("takes a draft model, and says how many of its tokens were accepted", async () => {
    const plain = ["X", ...withModel, "-n", "9", "--temperature", "0", "--json", "--seed", "1"];
    const { drafts, ...rest } = JSON.parse((await gpt2([...plain, "--draft", model, "--draft-tokens", "2"])).stdout);
    assert.deepEqual(rest, JSON.parse((await gpt2(plain)).stdout));
    assert.ok(drafts.proposed > 0 && drafts.accepted === drafts.proposed);
    const { stderr } = await gpt2([...plain, "--draft-tokens", "2"]);
    assert.match(stderr, /--draft-tokens: expected --draft with it/);
  });

  it("refuses beams with options of sampling, and options of beams without", async () => {
    for (const [args, message] of [
      [["--beams", "2", "--temperature", "1"], /--beams: expected no sampling options, got --temperature/],
      [["--length-penalty", "1"], /--length-penalty: expected --beams with it/],
      [["--beams", "2", "--samples", "3"], /nBest/],
      [["--samples", "3", "--best-of", "2"], /bestOf/],
      [["--best-of", "1e9"], /bestOf: expected an integer from 1, the samples, to 10000, got 1000000000/],
      [["--samples", "1e9"], /samples: expected an integer from 1 to 10000, got 1000000000/],
      [["--beams", "2", "--early-stopping", "ever"], /Not true, false or never/],
    ] as const) {
      const { stderr, status } = await gpt2(["X", ...withModel, ...args]);
      assert.match(stderr, message);
      assert.notEqual(status, 0);
    }
  });

  it("joins words, ends lines, and prints -n tokens", async () => {
    const { stdout } = await gpt2(["-n", "3", "a", "b", ...withModel]);
    assert.equal(stdout, `a b${LINE.slice(2, 5)}\n`);
  });

  it("generates a new text without a prompt, and continues after its end with --ignore-eot", async () => {
    assert.equal((await gpt2(["-n", "8", ...withModel])).stdout, "It was a\n");
    const on = await gpt2(["--ignore-eot", "-n", String(SCRIPT.length), "--temperature", "0", ...withModel]);
    assert.equal(on.stdout, `${byteTokenizer().decode(SCRIPT)}\n`);
  });

  it("takes the prompt from standard input or a file, without its last line break", async () => {
    assert.equal((await gpt2(withModel, "X\n")).stdout, `X${LINE}\n`);
    assert.equal((await gpt2([...withModel, "--file", "-"], "X\r\n")).stdout, `X${LINE}\n`);
    const file = join(folder, "prompt.txt");
    writeFileSync(file, "X\n");
    assert.equal((await gpt2([...withModel, "--file", file])).stdout, `X${LINE}\n`);
  });

  it("stops before --stop", async () => {
    assert.equal((await gpt2(["X", ...withModel, "--stop", "; the", "--stop", "zzz"])).stdout, "XIt was a café\n");
    assert.equal((await gpt2(["X", ...withModel, "--stop", "\\n", "--no-echo"])).stdout, `${LINE}\n`);
  });

  it("prints several samples one after another", async () => {
    const { stdout } = await gpt2(["X", ...withModel, "--samples", "2", "-n", "6"]);
    assert.equal(stdout, "--- sample 1 of 2 ---\nXIt was\n--- sample 2 of 2 ---\nXIt was\n");
  });

  it("prints JSON, a line for each sample", async () => {
    const args = ["X", ...withModel, "--samples", "2", "-n", "12", "--temperature", "2.5", "--top-k", "0"];
    const { stdout } = await gpt2([...args, "--json", "--seed", "11"]);
    const samples = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(samples.length, 2);
    for (const [i, { sample, prompt, text, finishReason, tokens, logprobs, seed }] of samples.entries()) {
      assert.deepEqual([sample, prompt, seed], [i, "X", 11]);
      assert.ok(finishReason === "length" || finishReason === "endoftext");
      const spoken = finishReason === "length" ? tokens : tokens.slice(0, -1);
      assert.equal(text, byteTokenizer().decode(spoken));
      assert.equal(logprobs.length, tokens.length);
      assert.ok(logprobs.every((x: number) => x < 0));
    }
    assert.notDeepEqual(samples[0].tokens, samples[1].tokens);
    assert.equal((await gpt2([...args, "--json", "--seed", "11"])).stdout, stdout, "the same seed gives the same");
    assert.notEqual((await gpt2([...args, "--json"])).stdout, stdout);
  });

  it("runs on the requested backend", async () => {
    for (const args of [["--backend", "reference"], []]) {
      const env = { GPT2_BACKEND: "reference" };
      assert.equal((await gpt2(["X", ...withModel, ...args], "", env)).stdout, `X${LINE}\n`);
    }
  });

  it("ends quietly when its reader ends", async () => {
    const child = start(["X", ...withModel, "-n", "100000", "--ignore-eot"]);
    child.stdin!.end();
    child.stdout!.once("data", () => child.stdout!.destroy());
    const [stderr, status] = await Promise.all([text(child.stderr!), exitOf(child)]);
    assert.deepEqual({ stderr, status }, { stderr: "", status: 0 });
  });

  it("ends cleanly on Ctrl-C: a whole line, status 130", async () => {
    const child = start(["X", ...withModel, "-n", "100000", "--ignore-eot"]);
    child.stdin!.end();
    child.stdout!.once("data", () => child.kill("SIGINT"));
    const [stdout, stderr, status] = await Promise.all([text(child.stdout!), text(child.stderr!), exitOf(child)]);
    assert.deepEqual({ stderr, status, end: stdout.at(-1) }, { stderr: "", status: 130, end: "\n" });
  });
});

describe("gpt2 score", PARALLEL, () => {
  it("prints the figures of a text", async () => {
    const { stdout, status } = await gpt2(["score", "It", "was", ...withModel]);
    assert.equal(status, 0);
    assert.match(
      stdout,
      /^tokens +6\nbytes +6\nlog-probability +-0\.00 nats\nperplexity +1\.000\nbits\/byte +0\.0000\n$/,
    );
  });

  it("scores a file or standard input to the byte, as JSON, with every token", async () => {
    const file = join(folder, "page.txt");
    writeFileSync(file, Buffer.from([0x49, 0x74, 0xff, 0x0a]));
    const fromFile = await gpt2(["score", "--file", file, ...withModel, "--json"]);
    const { tokenCount, bytes, tokens, texts, logprobs, logprob, perplexity, bitsPerByte } = JSON.parse(
      fromFile.stdout,
    );
    assert.deepEqual([tokenCount, bytes], [4, 4]);
    assert.deepEqual(tokens, [...byteTokenizer().encodeBytes(Buffer.from([0x49, 0x74, 0xff, 0x0a]))]);
    assert.deepEqual(texts, ["I", "t", "\ufffd", "\n"]);
    const sum = logprobs.reduce((a: number, b: number) => a + b);
    assert.ok(Math.abs(sum - logprob) < 1e-3);
    assert.ok(Math.abs(perplexity / Math.exp(-sum / 4) - 1) < 1e-4);
    assert.ok(Math.abs(bitsPerByte + sum / Math.LN2 / 4) < 1e-4);
    const piped = await gpt2(["score", ...withModel, "--tokens"], "It x");
    assert.match(piped.stdout, /100\.00% +\d+ {2}"I"\n[\s\S]*"x"\n\ntokens +4\n/);
  });

  it("takes texts longer than the context", async () => {
    const { stdout } = await gpt2(["score", ...withModel, "--stride", "7"], "long ".repeat(100));
    assert.match(stdout, /^tokens +500\n/);
  });
});

describe("gpt2 info", PARALLEL, () => {
  it("says what a model holds", async () => {
    const { stdout, status } = await gpt2(["info", model, "--tensors"]);
    assert.equal(status, 0);
    assert.match(stdout, /^format +Hugging Face, f32, .* in config\.json, model\.safetensors$/m);
    assert.match(stdout, /^context +96 tokens$/m);
    assert.match(stdout, /^h\.0\.attn\.c_attn\.weight +f32 +\[771, 257\] .*stored \[in, out\]$/m);
    const json = JSON.parse((await gpt2(["info", model, "--json"])).stdout);
    assert.equal(json.config.nEmbd, 257);
  });

  it("lists differences from OpenAI's model, and the format", async () => {
    const fixture = (path: string): string => packageFile(`test/fixtures/${path}`);
    const { stdout } = await gpt2(["info", fixture("torch/nanogpt")]);
    assert.match(stdout, /^format +PyTorch, f32, .* in ckpt\.pt$/m);
    assert.match(stdout, /^unlike GPT-2 +activation gelu$/m);
    assert.match(stdout, /^metadata iter_num +5$/m);
    assert.match(
      (await gpt2(["info", fixture("torch/mingpt/model.pt")])).stdout,
      /^unlike GPT-2 +an untied output head/m,
    );
    const release = (await gpt2(["info", fixture("tensorflow/openai")])).stdout;
    assert.match(release, /^format +TensorFlow, f32, .* in hparams\.json, model\.ckpt\.index, model\.ckpt\.data/m);
    assert.match(release, /^tokenizer +encoder\.json, vocab\.bpe$/m);
    assert.doesNotMatch(release, /unlike/);
  });
});

describe("a wrong call", PARALLEL, () => {
  const wrong: [args: string[], message: RegExp][] = [
    [["--top-p", "2"], /^gpt2: topP: expected a number from 0 to 1, got 2\n$/],
    [["-n", "many"], /^gpt2: option '-n, --max-tokens <n>' argument 'many' is invalid/],
    [["--no-such-option"], /^gpt2: unknown option '--no-such-option'/],
    [
      ["x", "--backend", "gpu"],
      /^gpt2: option '--backend <name>' argument 'gpu' is invalid. Allowed choices are auto, native/,
    ],
    [["x", "--file", "y"], /^gpt2: --file: expected either a file or a text, got both\n$/],
    [
      ["--file", "/no/such/file"],
      /^gpt2: reading \/no\/such\/file: expected a text file, got no such file. Check the path\n$/,
    ],
    [["score"], /^gpt2: gpt2 score: expected a text/],
  ];
  for (const [i, [args, message]] of wrong.entries()) {
    it(`is reported in one line, with status 2: gpt2 ${args.join(" ")}`, async () => {
      const run = i === 0 ? gpt2Process : gpt2;
      const { stdout, stderr, status } = await run([...args, ...withModel]);
      assert.match(stderr, message);
      assert.deepEqual([stdout, status], ["", 2]);
    });
  }
});

describe("an error", PARALLEL, () => {
  it("is one line on stderr, status 1", async () => {
    for (const args of [
      ["x", "--model", join(folder, "nothing")],
      ["info", folder],
      ["score", "x", "--model", folder],
    ]) {
      const { stdout, stderr, status } = await gpt2(args);
      assert.match(stderr, /^gpt2: opening .*expected .*\n$/);
      assert.equal(stderr.split("\n").length, 2);
      assert.deepEqual([stdout, status], ["", 1]);
    }
    const long = await gpt2Process(withModel, "x".repeat(97));
    assert.match(long.stderr, /^gpt2: prompt: expected at most 96 tokens, the model's context, got 97\. .*\n$/);
    assert.equal(long.status, 1);
  });
});

describe("help", PARALLEL, () => {
  it("lists the commands, with examples", async () => {
    for (const args of [["--help"], ["help"], ["prompt", "--help"]]) {
      const { stdout, status } = await gpt2(args);
      assert.equal(status, 0);
      for (const name of ["generate", "score", "info", "tokenize", "tokenizer", "data", "train"]) {
        assert.match(stdout, new RegExp(`^  ${name} `, "m"));
      }
      assert.match(stdout, /\$ gpt2 "Once upon a time"/);
    }
    assert.match((await gpt2(["generate", "--help"])).stdout, /--repetition-penalty/);
    assert.match((await gpt2(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
  });
});
