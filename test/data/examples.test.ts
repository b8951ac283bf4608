/** JSONL of prompts and chats: templates, tokens with their loss mask, packing. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { cutExample, encodeExample } from "../../src/data/examples/encode-example.js";
import { readExamples, readExamplesInfo } from "../../src/data/examples/example-folder.js";
import { ExampleSet, joinExamples } from "../../src/data/examples/example-set.js";
import { Packing } from "../../src/data/examples/packing.js";
import { prepareExamples, previewExamples } from "../../src/data/examples/prepare-examples.js";
import {
  checkTemplate,
  END_OF_TEXT,
  plainText,
  renderExample,
  renderPrompt,
  TEMPLATES,
  type Template,
} from "../../src/data/examples/template.js";
import { DataError, UsageError } from "../../src/errors.js";
import { RandomStream } from "../../src/util/random.js";
import { byteTokenizer, END_OF_TEXT_ID } from "../generate/models.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-examples-"));
after(() => rmSync(dir, { recursive: true }));
let files = 0;

function jsonl(lines: readonly unknown[], name = `lines-${files++}.jsonl`): string {
  const path = join(dir, name);
  const text = lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join("");
  writeFileSync(path, name.endsWith(".gz") ? gzipSync(text) : text);
  return path;
}

const QUESTIONS: Template = { prompt: "Q: {q}\nA:", completion: " {a}<|endoftext|>" };
/** The text, with its learned parts in brackets. */
const shown = (template: Template, record: object): string =>
  renderExample(template, record as never, "test")
    .map(({ parts, counted }) => (counted ? `[${plainText(parts)}]` : plainText(parts)))
    .join("");

describe("templates", () => {
  it("define the text and the loss mask", () => {
    assert.equal(shown(TEMPLATES.plain!, { prompt: "2+2=", completion: "4" }), "2+2=[4<|endoftext|>]");
    assert.equal(shown(QUESTIONS, { q: "One?", a: 1 }), "Q: One?\nA:[ 1<|endoftext|>]");
    assert.equal(shown({ prompt: "{{x}}", completion: "{y}" }, { x: "no", y: "yes" }), "{x}}[yes]");
    const chat = {
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hi" },
        { role: "assistant", content: "Hello." },
        { role: "user", content: "Bye" },
        { role: "assistant", content: "Bye." },
      ],
    };
    const want = "Be brief.\n\nUser: Hi\nAssistant:[ Hello.<|endoftext|>]User: Bye\nAssistant:[ Bye.<|endoftext|>]";
    assert.equal(shown(TEMPLATES.chat!, chat), want);
  });

  it("alone contain special tokens: <|endoftext|> and braces in the data are plain text", () => {
    const [prompt, completion] = renderExample(QUESTIONS, { q: "<|endoftext|>{a}", a: "x" }, "test");
    assert.deepEqual(prompt!.parts, ["Q: <|endoftext|>{a}\nA:"]);
    assert.deepEqual(completion!.parts, [" x", END_OF_TEXT]);
  });

  it("give the prompts for a model that was trained with them", () => {
    assert.equal(renderPrompt(QUESTIONS, { q: "Why?" }), "Q: Why?\nA:");
    const messages = [{ role: "user", content: "Hi" }];
    assert.equal(renderPrompt(TEMPLATES.chat!, { messages }), "User: Hi\nAssistant:");
  });

  it("are refused if invalid: not an object, other fields, an empty loss mask", () => {
    const refused = (json: unknown, message: RegExp) =>
      assert.throws(
        () => checkTemplate(json),
        (error: Error) => error instanceof UsageError && message.test(error.message),
      );
    refused(null, /got null/);
    refused([1], /got object/);
    refused({ prompt: "a" }, /something else/);
    refused({ prompt: "a", completion: "" }, /nothing to learn/);
    refused({ prompt: "a", completion: "b", suffix: "c" }, /"suffix" as well/);
    refused({ chat: { user: { prompt: "a" } } }, /no role with a completion/);
    refused({ chat: { user: { prompt: 1 } } }, /the role "user"/);
    for (const template of Object.values(TEMPLATES)) assert.deepEqual(checkTemplate(template), template);
  });

  it("name the line, and the missing field", () => {
    const refused = (template: Template, record: object, message: RegExp) =>
      assert.throws(
        () => renderExample(template, record as never, "reading x.jsonl, line 7"),
        (error: Error) => error instanceof DataError && message.test(error.message),
      );
    refused(QUESTIONS, { q: "a" }, /x\.jsonl, line 7: field "a": expected a text.*got none among q/);
    refused(QUESTIONS, { q: "a", a: null }, /got null/);
    refused(QUESTIONS, { q: "a", a: { b: 1 } }, /got an object/);
    refused(QUESTIONS, { q: "a", toString: "b" }, /field "a"/);
    refused({ prompt: "", completion: "{toString}" }, {}, /none among no fields/);
    refused(TEMPLATES.chat!, {}, /a list of "messages", got none/);
    refused(TEMPLATES.chat!, { messages: ["x"] }, /message 1: expected an object with role/);
    refused(
      TEMPLATES.chat!,
      { messages: [{ role: "tool", content: "" }] },
      /expected system, user, assistant.*got tool/,
    );
  });
});

describe("encoded examples", () => {
  const tokenizer = byteTokenizer();
  const encoder = { encode: (text: string) => tokenizer.encode(text), endOfText: END_OF_TEXT_ID };
  const bytes = (text: string): number[] => Array.from(tokenizer.encode(text));

  it("have a loss mask, token by token", () => {
    const { tokens, counted } = encodeExample(renderExample(QUESTIONS, { q: "é", a: "b" }, "test"), encoder);
    assert.deepEqual([...tokens], [...bytes("Q: é\nA:"), ...bytes(" b"), END_OF_TEXT_ID]);
    assert.equal(counted.indexOf(1), bytes("Q: é\nA:").length);
    assert.equal(counted.filter(Boolean).length, 3);
  });

  it("begin with <|endoftext|> if the first token is in the loss mask", () => {
    const template = { prompt: "", completion: "{t}" };
    const { tokens, counted } = encodeExample(renderExample(template, { t: "ab" }, "test"), encoder);
    assert.deepEqual([...tokens], [END_OF_TEXT_ID, ...bytes("ab")]);
    assert.deepEqual([...counted], [0, 1, 1]);
  });

  it("that are too long lose the beginning of the prompt, then the end of the completion", () => {
    assert.deepEqual(cutExample(10, 6, 10), [0, 10]);
    assert.deepEqual(cutExample(10, 6, 8), [2, 10]);
    assert.deepEqual(cutExample(10, 6, 5), [5, 10]);
    assert.deepEqual(cutExample(10, 6, 3), [5, 8]);
    assert.deepEqual(cutExample(10, 1, 3), [0, 3]);
  });

  it("fill a batch: unmasked targets, positions, and attention to themselves alone", () => {
    const example = (tokens: number[], counted: number[]) => {
      return { tokens: Uint16Array.from(tokens), counted: Uint8Array.from(counted) };
    };
    const joined = joinExamples([example([1, 2, 3, 4], [0, 0, 1, 1]), example([5, 6, 7], [0, 1, 0])]);
    const set = new ExampleSet(joined, 8, 10, "test");
    assert.deepEqual([set.length(0), set.length(1), set.targets, set.cut], [3, 2, 3, 0]);
    const blank = () => new Int32Array(6).fill(-9);
    const batch = { tokens: blank(), targets: blank(), positions: blank(), first: blank(), tokenTypes: blank() };
    assert.equal(set.write(0, 0, batch), 2);
    assert.equal(set.write(1, 3, batch), 1);
    assert.deepEqual([...batch.tokens], [1, 2, 3, 5, 6, -9]);
    assert.deepEqual([...batch.targets], [-1, 3, 4, 6, -1, -9]);
    assert.deepEqual([...batch.positions], [0, 1, 2, 0, 1, -9]);
    assert.deepEqual([...batch.first], [0, 0, 0, 3, 3, -9]);
    assert.deepEqual([...set.learned()], [3, 4, 6]);
    assert.deepEqual([set.prompt(0), set.prompt(1)], [[1, 2], [5]]);
    const short = new ExampleSet(joined, 2, 10, "test");
    assert.deepEqual([short.cut, short.length(0)], [1, 2]);
    assert.throws(() => new ExampleSet(joined, 8, 7, "test"), /token 6: expected ids below 7.*got 7/);
    const silent = joinExamples([example([1, 2], [0, 0]), example([1, 2], [0, 1])]);
    assert.throws(() => new ExampleSet(silent, 8, 10, "test"), /a loss mask that is not empty/);
  });
});

describe("packing", () => {
  const random = new RandomStream(5);
  const lengths = Array.from({ length: 57 }, () => 1 + random.below(40));

  it("takes every example once per epoch, whole, one after another, in a different order each epoch", () => {
    const packing = new Packing(lengths, 64, 9);
    const row: number[] = [];
    for (let pass = 0; row.length < 3 * lengths.length; pass++) {
      let end = 0;
      for (const { example, at } of packing.pass(pass)) {
        assert.equal(at, end);
        end += lengths[example]!;
        row.push(example);
      }
      assert.ok(end > 24 && end <= 64, `${end} of 64 places`);
    }
    const epochs = [0, 1, 2].map((e) => row.slice(e * 57, (e + 1) * 57));
    for (const epoch of epochs)
      assert.deepEqual(
        [...epoch].sort((a, b) => a - b),
        lengths.map((_, i) => i),
      );
    assert.notDeepEqual(epochs[0], epochs[1]);
  });

  it("is a function of seed and pass", () => {
    const [a, b, c] = [new Packing(lengths, 64, 9), new Packing(lengths, 64, 9), new Packing(lengths, 64, 8)];
    const last = b.pass(40);
    assert.deepEqual(a.pass(3), b.pass(3));
    for (let pass = 0; pass < 40; pass++) a.pass(pass);
    assert.deepEqual(a.pass(40), last);
    assert.notDeepEqual(c.pass(40), last);
  });

  it("computes the passes of an epoch, and the epochs of passes", () => {
    const packing = new Packing(lengths, 64, 9);
    for (const epochs of [0.5, 1, 3]) {
      const passes = packing.passesFor(epochs);
      assert.ok(packing.epochsAfter(passes) >= epochs && packing.epochsAfter(passes - 1) < epochs);
    }
  });

  it("without a seed takes the examples once, in order", () => {
    const packing = new Packing([30, 30, 30, 64], 64);
    const passes = [0, 1, 2, 3].map((pass) => packing.pass(pass).map(({ example }) => example));
    assert.deepEqual(passes, [[0, 1], [2], [3], []]);
    assert.equal(packing.passesFor(1), 3);
  });

  it("fills a pass that is longer than all examples with several epochs", () => {
    const packing = new Packing([2, 3], 12, 1);
    const [first] = [packing.pass(0).map(({ example }) => example)];
    assert.equal(first!.length, 4);
    assert.deepEqual(first!.slice(0, 2).sort(), [0, 1]);
  });
});

describe("preparing examples", () => {
  const tokenizer = byteTokenizer();
  const prepare = (inputs: string[], options: object = {}) => {
    const out = join(dir, `out-${files++}`);
    return { out, done: prepareExamples(inputs, { out, tokenizer, ...options }) };
  };
  const lines = Array.from({ length: 200 }, (_, i) => ({ prompt: `${i}+1=`, completion: `${i + 1}` }));

  it("writes a folder that is read back, with some examples held out by their text", async () => {
    const { out, done } = prepare([jsonl(lines)], { tokenizerName: "bytes" });
    const info = await done;
    assert.deepEqual(readExamplesInfo(out), info);
    const { train, val } = info.splits;
    assert.equal(train.examples + val!.examples, 200);
    assert.ok(val!.examples > 8 && val!.examples < 40, `${val!.examples} held out`);
    assert.equal(info.settings.heldOut, "examples");
    assert.deepEqual(info.template, TEMPLATES.plain);
    for (const split of ["train", "val"] as const) {
      const { tokens, counted, starts } = readExamples(out, split);
      assert.equal(starts.length - 1, info.splits[split]!.examples);
      assert.equal(tokens.length, info.splits[split]!.tokens);
      assert.equal(
        counted.reduce((sum, x) => sum + x, 0),
        info.splits[split]!.counted,
      );
    }
    const again = prepare([jsonl([...lines].reverse())]);
    assert.deepEqual((await again.done).splits, info.splits, "what is held out depends on the text alone");
  });

  it("takes compressed files, chats, any fields, held-out files, and one line", async () => {
    const chat = {
      messages: [
        { role: "user", content: "a" },
        { role: "assistant", content: "b" },
      ],
    };
    const chats = await prepare([jsonl([chat], "chats.jsonl.gz")]).done;
    assert.deepEqual(chats.template, TEMPLATES.chat);
    assert.deepEqual([chats.splits.train.examples, chats.splits.val, chats.settings.heldOut], [1, undefined, "none"]);
    const val = jsonl([{ q: "x", a: "y" }]);
    const info = await prepare([jsonl([{ q: "a", a: "b" }, "", { q: "c", a: "d" }])], {
      template: QUESTIONS,
      valInputs: [val],
    }).done;
    assert.deepEqual([info.splits.train.examples, info.splits.val!.examples, info.settings.heldOut], [2, 1, "files"]);
    const two = await prepare([jsonl(lines.slice(0, 2))], { valFraction: 1e-9 }).done;
    assert.deepEqual([two.splits.train.examples, two.splits.val!.examples, two.settings.heldOut], [1, 1, "tail"]);
  });

  it("counts lines with an empty loss mask", async () => {
    const info = await prepare(
      [
        jsonl([
          { q: "a", a: "b" },
          { q: "c", a: "" },
        ]),
      ],
      {
        template: { prompt: "{q}", completion: "{a}" },
        valFraction: 0,
      },
    ).done;
    assert.deepEqual([info.empty, info.splits.train.examples], [1, 1]);
  });

  it("is refused, naming file and line, and leaves nothing", async () => {
    const refused = async (inputs: string[], message: RegExp, options: object = {}) => {
      const { out, done } = prepare(inputs, options);
      await assert.rejects(done, message);
      assert.ok(!existsSync(out));
    };
    await refused(
      [jsonl([{ prompt: "a", completion: "b" }, "{"], "broken.jsonl")],
      /broken.jsonl, line 2: expected a JSON object/,
    );
    await refused([jsonl(["[1]"])], /line 1: expected a JSON object, got a list/);
    await refused(
      [jsonl([{ question: "a", answer: "b" }])],
      /prompt and completion, or messages, got the fields question, answer.*--template/,
    );
    await refused([jsonl([{ prompt: "a", completion: "b" }, { prompt: "a" }])], /line 2: field "completion"/);
    await refused([jsonl([])], /expected lines of JSON, got none/);
    const text = join(dir, "text.txt");
    writeFileSync(text, "text");
    await refused([text], /JSONL files.*text.txt, which is text/);
    await refused([jsonl(lines)], /valFraction: expected a share from 0 to below 1, got 1/, { valFraction: 1 });
    await refused([jsonl(lines)], /none beside valInputs/, { valFraction: 0.1, valInputs: [jsonl(lines)] });
  });

  it("shows the examples made from the first lines", async () => {
    const { template, examples } = await previewExamples([jsonl(lines)], 2);
    assert.deepEqual(template, TEMPLATES.plain);
    assert.deepEqual(
      examples.map((segments) => segments.map(({ parts }) => plainText(parts)).join("")),
      ["0+1=1<|endoftext|>", "1+1=2<|endoftext|>"],
    );
  });
});
