/** The commands for a BERT: fill-mask, label, answer, classify, embed, info; and those that refuse one. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BERT_EXPECTED, bertFolder } from "../helpers/bert-fixtures.js";
import { gpt2 } from "./run.js";

describe("the commands for a BERT", () => {
  it("fill masks", async () => {
    const { one, two } = BERT_EXPECTED.masks;
    const { stdout } = await gpt2(["fill-mask", one.text, "--json", "--model", bertFolder("masked")]);
    const filled = JSON.parse(stdout) as { token: number }[];
    assert.deepEqual(
      filled.map(({ token }) => token),
      one.filled.map(({ token }) => token),
    );
    const { stdout: text } = await gpt2(["fill-mask", two.text, "-k", "1", "--model", bertFolder("masked")]);
    const first = (mask: number): string => two.filled[mask]![0]!.token_str;
    assert.match(text, new RegExp(`%  ${first(0)} [\\s\\S]*\n\n[\\s\\S]*%  ${first(1).replace("?", "\\?")} `));
  });

  it("label tokens, answer and classify", async () => {
    const { tokens, spans, sequence } = BERT_EXPECTED;
    const labelled = await gpt2([
      "label",
      tokens.text,
      "--aggregation",
      "none",
      "--json",
      "--model",
      bertFolder("tokens"),
    ]);
    assert.equal((JSON.parse(labelled.stdout) as unknown[]).length, tokens.labelled.none!.length);
    const options = ["--context", spans.context, "--json", "--model", bertFolder("spans")];
    const [answer] = JSON.parse((await gpt2(["answer", spans.question, ...options])).stdout) as { answer: string }[];
    assert.ok(spans.context.includes(answer!.answer));
    const { stdout } = await gpt2(["classify", sequence.text, "--model", bertFolder("sequence")]);
    assert.match(stdout, new RegExp(`^ *[\\d.]+%  ${sequence.labels[0]!.label}\n`));
  });

  it("embed as the files say, and show what a file holds", async () => {
    const { stdout } = await gpt2(["embed", "a cat", "--model", bertFolder("sentence")]);
    const { embedding } = JSON.parse(stdout) as { embedding: number[] };
    assert.ok(Math.abs(embedding.reduce((sum, x) => sum + x * x, 0) - 1) < 1e-6);
    const { stdout: info } = await gpt2(["info", bertFolder("masked")]);
    assert.match(info, /architecture +BERT\n[\s\S]*unlike BERT +no pooler\nunlike BERT +no next-sentence head\n/);
  });

  it("refuse what a BERT can't do", async () => {
    const { status, stderr } = await gpt2(["generate", "Once", "--model", bertFolder("masked")]);
    assert.equal(status, 2);
    assert.match(stderr, /expected a model that reads from left to right, got BERT\. BERT\.load loads it/);
    const label = await gpt2(["label", "a cat", "--model", bertFolder("masked")]);
    assert.equal(label.status, 2);
    assert.match(label.stderr, /expected a model fine-tuned for tokens, got one without a task/);
    const none = await gpt2(["answer", "what?", "--model", bertFolder("spans")]);
    assert.match(none.stderr, /expected a text in --context, or --file, got neither/);
  });
});
