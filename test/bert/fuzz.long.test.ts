/** Damaged files of BERTs and RoBERTas (folders of every class, GGUF, PyTorch, tokenizers, sentence-transformers' settings) are read or refused. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { memorySource } from "../../src/checkpoint/byte-source.js";
import { readGguf } from "../../src/checkpoint/gguf/read.js";
import { convertModel } from "../../src/pretrained/convert.js";
import { openGguf } from "../../src/pretrained/formats/gguf/read.js";
import { openHuggingFace } from "../../src/pretrained/formats/huggingface.js";
import { openTorch } from "../../src/pretrained/formats/torch.js";
import { readSentenceModules } from "../../src/pretrained/sentence-modules.js";
import { ByteLevelEncoder } from "../../src/tokenizer/byte-level-encoder.js";
import { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { readTokenizerJson } from "../../src/tokenizer/tokenizer-json.js";
import { packageFile } from "../../src/util/package-root.js";
import {
  attempt,
  boundedFiles,
  fuzz,
  fuzzAsync,
  guarded,
  guardedAsync,
  type Mutator,
  timeout,
} from "../checkpoint/mutator.js";
import { jsonBytes, rawSafetensors } from "../checkpoint/small-model.js";
import { bertFolder } from "../helpers/bert-fixtures.js";

const fixture = (name: string): string => packageFile(`test/fixtures/${name}`);
const FOLDERS = [
  ...["pretraining", "masked", "sequence", "tokens", "spans", "distilled", "distilled-sequence"].map(
    (n) => `bert/${n}`,
  ),
  ...["model", "masked", "sequence", "tokens", "spans"].map((n) => `roberta/${n}`),
];

/** Memory of a tokenizer's tables, which do not depend on its vocabulary. */
const TABLES = 2 ** 23;

const folder = mkdtempSync(join(tmpdir(), "bert-fuzz-"));
after(() => rmSync(folder, { recursive: true }));

const read = (path: string): Uint8Array => new Uint8Array(readFileSync(path));
/** As short as the mutator's patterns need it. */
const compact = (bytes: Uint8Array): string => JSON.stringify(JSON.parse(new TextDecoder().decode(bytes)));

/** JSON that mostly still parses, or bytes. */
function damagedJson(mutator: Mutator, text: string): Uint8Array {
  if (mutator.below(4) > 0) return jsonBytes(mutator.json(text));
  const bytes = jsonBytes(text);
  return mutator.bytes(bytes, bytes.length);
}

describe("damaged BERTs give typed errors or finite values", () => {
  for (const name of FOLDERS) {
    it(`a Hugging Face folder: ${name}`, { timeout }, () => {
      const config = compact(read(join(fixture(name), "config.json")));
      const weights = read(join(fixture(name), "model.safetensors"));
      const length = Number(new DataView(weights.buffer).getBigUint64(0, true));
      const header = new TextDecoder().decode(weights.subarray(8, 8 + length)).trim();
      fuzz(800, (mutator, what) => {
        const files = { "config.json": jsonBytes(config), weights };
        const kind = mutator.below(4);
        if (kind < 2) files["config.json"] = damagedJson(mutator, config);
        else if (kind === 2) files.weights = rawSafetensors(mutator.json(header), weights.subarray(8 + length));
        else files.weights = mutator.bytes(weights, 8 + length);
        attempt(what, () => openHuggingFace("weights", boundedFiles(files)));
      });
    });
  }

  for (const [names, name] of [
    ["with TensorFlow's names", "bert/old"],
    ["of a RoBERTa", "roberta/pickled"],
  ] as const) {
    it(`pytorch_model.bin ${names}`, { timeout }, () => {
      const config = compact(read(join(fixture(name), "config.json")));
      const weights = read(join(fixture(name), "pytorch_model.bin"));
      fuzz(800, (mutator, what) => {
        const files = { "config.json": jsonBytes(config), weights };
        if (mutator.below(2) > 0) files["config.json"] = damagedJson(mutator, config);
        else files.weights = mutator.bytes(weights, 6000);
        attempt(what, () => openTorch("weights", boundedFiles(files)));
      });
    });
  }
});

describe("damaged GGUF files of BERTs", () => {
  let file: Uint8Array;
  let header: number;
  before(async () => {
    const path = join(folder, "m.gguf");
    await convertModel(bertFolder("sentence"), path);
    file = read(path);
    header = Math.min(...[...readGguf(memorySource("f", file)).tensors.values()].map(({ offset }) => offset));
  });

  it("give typed errors or finite values", { timeout }, () => {
    fuzz(1500, (mutator, what) => {
      const bytes = mutator.below(2) > 0 ? mutator.overwrite(file, 0, header) : mutator.bytes(file, header);
      attempt(what, () => openGguf("m.gguf", boundedFiles({ "m.gguf": bytes })));
    });
  });

  it("give a tokenizer that works", { timeout }, async () => {
    await fuzzAsync(1500, async (mutator, what) => {
      const bytes = mutator.overwrite(file, 0, header);
      await guardedAsync(what, async () => {
        const tokenizer = await openGguf("m.gguf", boundedFiles({ "m.gguf": bytes })).loadWordPiece?.();
        const ids = tokenizer?.encode(["The unaffable, 12", "[MASK]"], { allowedSpecial: "all" }).ids ?? [];
        tokenizer?.decode(ids);
      });
    });
  });
});

it("a damaged tokenizer of a RoBERTa gives encodings within its vocabulary, or is refused", { timeout }, () => {
  const text = compact(read(join(fixture("roberta/masked"), "tokenizer.json")));
  const vocab = text.indexOf('"vocab"');
  fuzz(1500, (mutator, what) => {
    // Half of the damage is at the fields that give the kind of tokenizer.
    const head = mutator.below(2) > 0 ? vocab : text.length;
    const damaged = new TextDecoder().decode(damagedJson(mutator, text.slice(0, head))) + text.slice(head);
    guarded(
      what,
      () => {
        const tokenizer = new ByteLevelEncoder(new Tokenizer(readTokenizerJson(damaged)));
        const { ids } = tokenizer.encode(["The cats, 12", "Zoë <mask> 😀"], { allowedSpecial: "all" });
        assert.ok(ids.every((id) => id < tokenizer.vocabSize));
        tokenizer.decode(ids);
      },
      TABLES,
    );
  });
});

it("damaged settings of sentence-transformers are read or refused", { timeout }, () => {
  const names = ["modules.json", "1_Pooling/config.json", "sentence_bert_config.json"] as const;
  const texts = Object.fromEntries(names.map((name) => [name, compact(read(join(bertFolder("sentence"), name)))]));
  fuzz(3000, (mutator, what) => {
    const damaged = mutator.pick(names);
    const bytes = damagedJson(mutator, texts[damaged]!);
    guarded(what, () => {
      const modules = readSentenceModules((name) => (name === damaged ? bytes : jsonBytes(texts[name] ?? "{}")));
      const { maxLength = 1 } = modules ?? {};
      assert.ok(Number.isInteger(maxLength) && maxLength > 0, `${maxLength} tokens`);
    });
  });
});
