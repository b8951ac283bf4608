/** Unusual calls, texts and terminals of people and other programs. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { saveCheckpoint } from "../../src/pretrained/node.js";
import { saveTokenizer } from "../../src/tokenizer/files.js";
import { byteTokenizer, END_OF_TEXT_ID, recitingTensors } from "../generate/models.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { exitOf, gpt2, MAIN, start } from "./run.js";

/** The model's text after a prompt of one token. */
const LINE = "plain text\n";
/** The same with characters that control a terminal: escape sequences, a C1 control, a bidirectional override. */
const HOSTILE = "\x1b]0;title\x07\x1b[31m\u009b31m\u202eabc\n";

const folder = mkdtempSync(join(tmpdir(), "gpt2-edges-"));
const model = join(folder, "model");
const hostile = join(folder, "hostile");
const gguf = join(folder, "model.gguf");
const PARALLEL = { concurrency: 2 };

async function saveReciting(path: string, line: string): Promise<void> {
  await saveCheckpoint(path, recitingTensors([...byteTokenizer().encode(line), END_OF_TEXT_ID], 96));
  await saveTokenizer(byteTokenizer(), path);
}

before(async () => {
  await saveReciting(model, LINE);
  await saveReciting(hostile, HOSTILE);
  await saveCheckpoint(gguf, { ...recitingTensors([END_OF_TEXT_ID], 96), tokenizer: byteTokenizer() });
});
after(() => rmSync(folder, { recursive: true }));

const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

describe("a mistyped command", PARALLEL, () => {
  for (const [args, near] of [
    [["scor", "x"], "score"],
    [["tarin", "data", "--out", "x"], "train"],
    [["tokenise", "x"], "tokenize"],
  ] as const) {
    it(`is not continued as a prompt: gpt2 ${args.join(" ")}`, async () => {
      const { stdout, stderr, status } = await gpt2(args);
      assert.deepEqual([stdout, status], ["", 2]);
      assert.match(
        stderr,
        new RegExp(
          `^gpt2: the first argument: expected a command or a prompt, got ${args[0]}\\. Did you mean gpt2 ${near}\\?.*\\n$`,
        ),
      );
    });
  }

  it("is a prompt alone, quoted, after an option, or after generate", async () => {
    const options = ["--model", model, "-n", "1", "--json"];
    for (const [args, prompt] of [
      [["generate", "scor", "x"], "scor x"],
      [["-n", "1", "scor", "x"], "scor x"],
      [["scor x"], "scor x"],
      [["Once", "upon"], "Once upon"],
    ] as const) {
      const { stdout, stderr } = await gpt2([...args, ...options]);
      assert.equal(JSON.parse(stdout || stderr).prompt, prompt);
    }
  });
});

describe("JSON lines", PARALLEL, () => {
  it("has a line for each sample with -n 0 too", async () => {
    const { stdout } = await gpt2(["x", "--model", model, "-n", "0", "--samples", "2", "--json", "--seed", "1"]);
    const samples = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const empty = { prompt: "x", text: "", finishReason: "length", tokens: [], logprobs: [], seed: 1 };
    assert.deepEqual(samples, [
      { sample: 0, ...empty },
      { sample: 1, ...empty },
    ]);
  });

  it("of score has each token's bytes and end, so that parts of characters can be joined", async () => {
    const input = "né 👩‍👧";
    const { stdout } = await gpt2(["score", input, "--model", model, "--json"]);
    const { tokenBytes, offsets, texts, bytes, tokens } = JSON.parse(stdout);
    assert.equal(Buffer.from(tokenBytes.join(""), "hex").toString(), input);
    assert.equal(offsets.at(-1), bytes);
    assert.deepEqual(
      offsets,
      tokens.map((_: number, i: number) => i + 1),
      "a byte a token",
    );
    assert.ok(texts.join("").includes("\ufffd"), "texts alone don't join");
  });
});

describe("special tokens", PARALLEL, () => {
  it("are encoded as such with --special", async () => {
    // One token, after which the model starts its line; as plain text it is 13.
    const args = ["<|endoftext|>", "--model", model, "--no-echo", "-n", "5"];
    assert.equal((await gpt2([...args, "--special"])).stdout, `${LINE.slice(0, 5)}\n`);
    assert.notEqual((await gpt2(args)).stdout, `${LINE.slice(0, 5)}\n`);
    const count = async (flags: string[]) =>
      JSON.parse((await gpt2(["score", "a<|endoftext|>", "--model", model, "--json", ...flags])).stdout).tokenCount;
    assert.deepEqual([await count(["--special"]), await count([])], [2, 14]);
  });
});

describe("--tokenizer", PARALLEL, () => {
  it("takes a GGUF file", async () => {
    assert.equal((await gpt2(["tokenize", "ab", "--tokenizer", gguf, "--ids"])).stdout, "64 65\n");
    const out = join(folder, "shards");
    const { status, stderr } = await gpt2(["data", file("t.txt", "ab ".repeat(99)), "--tokenizer", gguf, "--out", out]);
    assert.equal(status, 0, stderr);
  });
});

describe("a byte-order mark", PARALLEL, () => {
  it("is not part of the text in any command", async () => {
    const marked = file("marked.txt", "\ufeffab");
    const plain = file("plain.txt", "ab");
    for (const args of [
      ["tokenize", "--tokenizer", model, "--json", "--file"],
      ["score", "--model", model, "--json", "--file"],
      ["--model", model, "--json", "-n", "2", "--seed", "1", "--temperature", "0", "--file"],
      ["embed", "--model", model, "--file"],
      ["task", "choose", "--model", model, "--candidates", "x,y", "--json", "--file"],
    ]) {
      const [a, b] = [await gpt2([...args, marked]), await gpt2([...args, plain])];
      assert.equal(a.status, 0, a.stderr);
      assert.equal(a.stdout, b.stdout, args.join(" "));
    }
    const bits = async (path: string) =>
      /bits per byte +([\d.]+)/.exec((await gpt2(["eval", path, "--model", model])).stdout)?.[1];
    assert.equal(await bits(marked), await bits(plain));
    assert.ok(await bits(plain));
  });

  it("of UTF-16 is named", async () => {
    const path = file("utf16.txt", Uint8Array.of(0xff, 0xfe, 0x61, 0));
    for (const args of [
      ["score", "--model", model, "--file", path],
      ["eval", path, "--model", model],
    ]) {
      const { stderr, status } = await gpt2(args);
      assert.match(stderr, /expected UTF-8 text, got UTF-16 text\. Convert it first/);
      assert.notEqual(status, 0);
    }
  });
});

describe("no home folder", () => {
  it("is one line that names the variables", { skip: process.getuid?.() !== 0 }, async () => {
    const { HOME: _, HF_HOME: _1, HF_HUB_CACHE: _2, XDG_CACHE_HOME: _3, ...env } = process.env;
    const child = spawn(process.execPath, [MAIN, "pull", "gpt2", "--offline"], { env, uid: 54321 });
    const [stderr, status] = await Promise.all([text(child.stderr), exitOf(child)]);
    assert.match(
      stderr,
      /^gpt2: finding the cache: expected a home folder, got neither HOME nor.*Set HOME; or HF_HOME.*\n$/,
    );
    assert.equal(status, 2);
  });
});

/** Runs the command on a terminal of its own, by util-linux's script. */
function onTerminal(args: readonly string[], input: "terminal" | "silent pipe" = "terminal") {
  const command = [process.execPath, MAIN, ...args].map((arg) => `'${arg}'`).join(" ");
  const line = input === "terminal" ? command : `sleep 60 | ${command}`;
  const env = { ...process.env, GPT2_THREADS: "1", NO_COLOR: "1", TERM: "xterm" };
  return spawn("script", ["-qec", line, "/dev/null"], { env, detached: true, stdio: ["pipe", "pipe", "pipe"] });
}

const noTerminal = spawnSync("script", ["--version"]).status === 0 ? false : "no util-linux script here";

describe("on a terminal", { skip: noTerminal }, () => {
  it("generated text cannot control it; in a pipe it is unchanged", async () => {
    const args = ["x", "--model", hostile, "--temperature", "0"];
    const shown = (await text(onTerminal(args).stdout)).replaceAll("\r\n", "\n");
    assert.match(shown, /x\\u001b\]0;title\\u0007\\u001b\[31m\\u009b31m\\u202eabc\n/);
    assert.equal((await gpt2(args)).stdout, `x${HOSTILE}`);
    const json = (await gpt2([...args, "--json"])).stdout;
    assert.equal(JSON.parse(json).text, HOSTILE);
    assert.doesNotMatch(json, /[\u0080-\u009f\u202a-\u202e]/);
  });

  for (const [what, input, args] of [
    ["typed text", "terminal", ["score", "--file", "-"]],
    ["a pipe that stays silent", "silent pipe", ["score"]],
  ] as const) {
    it(`says that it waits for ${what}`, async () => {
      const child = onTerminal([...args, "--model", model], input);
      let seen = "";
      for await (const chunk of child.stdout) {
        seen += chunk;
        if (seen.includes("waiting for standard input")) break;
      }
      process.kill(-child.pid!, "SIGKILL");
      assert.match(seen, /gpt2: waiting for standard input/);
    });
  }
});

describe("standard output", () => {
  const full = spawnSync("test", ["-c", "/dev/full"]).status === 0 ? false : "no /dev/full here";

  for (const args of [
    ["x", "--model", model, "-n", "3"],
    ["info", model],
    ["tokenize", "x", "--tokenizer", model],
    ["eval", "--list"],
  ]) {
    const skip = full || (args[0] !== "x" && LIKE_OTHERS);
    it(`that is full ends with one line and status 1: gpt2 ${args[0]}`, { skip }, () => {
      const quoted = [process.execPath, MAIN, ...args].map((arg) => `'${arg}'`).join(" ");
      const { stderr, status } = spawnSync("sh", ["-c", `${quoted} > /dev/full`], { encoding: "utf8" });
      assert.equal(
        stderr,
        "gpt2: writing to standard output: expected to write there, got a full disk. Free some space, or choose another folder\n",
      );
      assert.equal(status, 1);
    });
  }

  it("whose reader has ended ends every command quietly", { skip: LIKE_OTHERS }, async () => {
    for (const args of [
      ["info", model, "--tensors"],
      ["eval", "--list"],
      ["tokenize", "x ".repeat(9999), "--tokenizer", model],
    ]) {
      const child = start(args);
      child.stdin!.end();
      child.stdout!.destroy();
      const [stderr, status] = await Promise.all([text(child.stderr!), exitOf(child)]);
      assert.deepEqual({ stderr, status }, { stderr: "", status: 0 }, args[0]);
    }
  });

  for (const [signal, code] of [
    ["SIGHUP", 129],
    ["SIGTERM", 143],
  ] as const) {
    it(`ends with a whole line and status ${code} on ${signal}`, {
      skip: signal === "SIGHUP" && LIKE_OTHERS,
    }, async () => {
      const child = start(["x", "--model", model, "-n", "100000", "--ignore-eot"]);
      child.stdin!.end();
      child.stdout!.once("data", () => child.kill(signal));
      const [stdout, stderr, status] = await Promise.all([text(child.stdout!), text(child.stderr!), exitOf(child)]);
      assert.deepEqual({ stderr, status, end: stdout.at(-1) }, { stderr: "", status: code, end: "\n" });
    });
  }
});

describe("a file that is missing", () => {
  for (const [args, message] of [
    [
      ["data", "MISSING", "--out", "out"],
      /reading MISSING: expected a file or folder of text, got no such file\. Check the path/,
    ],
    [["train", "MISSING", "--out", "out"], /MISSING: expected .+, got no such file\. Check the path/],
    [
      ["finetune", "MISSING", "--out", "out"],
      /reading MISSING: expected a file or folder of text, got no such file\. Check/,
    ],
    [["detect", "MISSING"], /reading MISSING: expected a text file, got no such file\. Check the path/],
    [["card", "--results", "MISSING"], /reading MISSING: expected a file of JSON, got no such file\. Check the path/],
    [["overlap", "MISSING", "lambada"], /reading MISSING: expected a filter .+, got no such file\. Check the path/],
    [["extract", "--index", "MISSING"], /expected MISSING.index\.json, got no such file\. Make one with `gpt2 index/],
    [
      ["serve", "--api-key-file", "MISSING"],
      /--api-key-file MISSING: expected keys, one per line, got no such file\. Check/,
    ],
    [["info", "MISSING"], /opening MISSING: expected a file or folder, .+, got no such file or folder/],
  ] as const) {
    it(`is named, with what was expected and what to do: gpt2 ${args[0]}`, async () => {
      const { stderr, status, stdout } = await gpt2(args);
      assert.match(stderr, message);
      assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
      assert.deepEqual({ stdout, refused: status === 1 || status === 2 }, { stdout: "", refused: true });
    });
  }
});
