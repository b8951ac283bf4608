/** A BERT written and read: Hugging Face folders with every head, sentence-transformers' files, GGUF, TensorFlow's names. */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { BERT_TENSORFLOW } from "../../src/architectures/bert/formats/tensorflow.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { BERT } from "../../src/bert.js";
import { convertModel } from "../../src/pretrained/convert.js";
import { openCheckpoint } from "../../src/pretrained/open.js";
import { BERT_EXPECTED, bertFolder } from "../helpers/bert-fixtures.js";

const folder = mkdtempSync(join(tmpdir(), "bert-"));
after(() => rmSync(folder, { recursive: true }));
const text = BERT_EXPECTED.tokens.text;

const json = (path: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;

describe("a BERT written as a Hugging Face folder", () => {
  for (const name of ["pretraining", "masked", "sequence", "tokens", "spans", "sentence"]) {
    it(`preserves every tensor, the class and the labels: ${name}`, async () => {
      const to = join(folder, name);
      await convertModel(bertFolder(name), to);
      const [before, after] = [await openCheckpoint(bertFolder(name)), await openCheckpoint(to)];
      assert.deepEqual(after.config, before.config);
      const head = before.head && [before.head.kind, before.head.labels];
      assert.deepEqual(after.head && [after.head.kind, after.head.labels], head);
      for (const [key, tensor] of before.tensors) assert.deepEqual(after.tensors.get(key)!.data, tensor.data, key);
      assert.deepEqual(
        json(join(to, "config.json")).architectures,
        json(join(bertFolder(name), "config.json")).architectures,
      );
      before.close();
      after.close();
    });
  }

  it("preserves the files of sentence-transformers beside it", async () => {
    await using a = await BERT.load(bertFolder("sentence"));
    await using b = await BERT.load(join(folder, "sentence"));
    assert.deepEqual(await b.embed(text), await a.embed(text));
  });
});

describe("a BERT written as GGUF", () => {
  it("gives the same vectors, with its tokenizer and pooling", async () => {
    const path = join(folder, "sentence.gguf");
    await convertModel(bertFolder("sentence"), path);
    await using a = await BERT.load(bertFolder("sentence"));
    await using b = await BERT.load(path);
    // The file holds no length limit: a text shorter than sentence-transformers' limit gives the same result.
    const short = BERT_EXPECTED.pairs[0]![0];
    assert.deepEqual(await b.embed(short), await a.embed(short));
    assert.deepEqual([b.config.pooler, b.config.maskedTokens], [false, false]);
  });

  for (const [lowercase, strip] of [
    [false, false],
    [true, false],
  ] as const) {
    it(`says whether texts are lower-cased (${lowercase}) and lose their accents (${strip})`, async () => {
      const from = join(folder, `cased-${lowercase}`);
      cpSync(bertFolder("masked"), from, { recursive: true });
      const tokenizer = json(join(from, "tokenizer.json"));
      const normalizer = { ...(tokenizer.normalizer as object), lowercase, strip_accents: strip };
      writeFileSync(join(from, "tokenizer.json"), JSON.stringify({ ...tokenizer, normalizer }));
      // transformers' settings, which take precedence.
      rmSync(join(from, "tokenizer_config.json"));
      await convertModel(from, `${from}.gguf`);
      await using a = await BERT.load(from);
      await using b = await BERT.load(`${from}.gguf`);
      await using uncased = await BERT.load(bertFolder("masked"));
      const ids = ({ tokenizer }: BERT): number[] => [...tokenizer!.encode("The Cat, thé cat").ids];
      assert.deepEqual(ids(b), ids(a));
      assert.notDeepEqual(ids(b), ids(uncased));
    });
  }

  it("leaves out the heads, as llama.cpp's converter does", async () => {
    const path = join(folder, "masked.gguf");
    await convertModel(bertFolder("masked"), path);
    await using model = await BERT.load(path);
    await assert.rejects(model.fillMask("a [MASK]"), /a head for masked tokens, got one without/);
    await assert.rejects(
      convertModel(bertFolder("sequence"), join(folder, "s.gguf")),
      /got a model for classification/,
    );
  });
});

describe("the names of Google's checkpoints", () => {
  it("are those of its code, in both directions", async () => {
    const { tableName, fileName } = BERT_TENSORFLOW;
    const known = {
      "bert/embeddings/word_embeddings": "embeddings.word_embeddings.weight",
      "bert/embeddings/LayerNorm/gamma": "embeddings.LayerNorm.weight",
      "bert/encoder/layer_11/attention/self/query/kernel": "encoder.layer.11.attention.self.query.weight",
      "bert/encoder/layer_0/attention/output/LayerNorm/beta": "encoder.layer.0.attention.output.LayerNorm.bias",
      "bert/encoder/layer_0/intermediate/dense/bias": "encoder.layer.0.intermediate.dense.bias",
      "bert/pooler/dense/kernel": "pooler.dense.weight",
      "cls/predictions/transform/dense/kernel": "cls.predictions.transform.dense.weight",
      "cls/predictions/output_bias": "cls.predictions.bias",
      "cls/seq_relationship/output_weights": "cls.seq_relationship.weight",
    };
    for (const [variable, name] of Object.entries(known)) {
      assert.equal(tableName(variable), name);
      assert.equal(fileName(name), variable);
    }
    assert.equal(tableName("bert/pooler/dense/kernel/adam_m"), undefined);
    assert.equal(tableName("global_step"), undefined);
    const checkpoint = await openCheckpoint(bertFolder("pretraining"));
    for (const { name } of tensorTable(checkpoint.config)) assert.equal(tableName(fileName(name)), name);
    checkpoint.close();
  });
});
