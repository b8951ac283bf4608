/** Options that do not exist are errors, wherever options are taken. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { chooseBackend } from "../../src/backend/choose.js";
import { nativeBackend } from "../../src/backend/native/index.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { wasmBackend } from "../../src/backend/wasm/index.js";
import { prepareExamples } from "../../src/data/examples/prepare-examples.js";
import { openDataset } from "../../src/data/open-dataset.js";
import { prepareData } from "../../src/data/prepare.js";
import { UsageError } from "../../src/errors.js";
import { fetchedSource } from "../../src/evaluate/data/node-sources.js";
import { evaluate } from "../../src/evaluate/index.js";
import { buildNgramFilter } from "../../src/evaluate/overlap/build-filter.js";
import { fileOverlap } from "../../src/evaluate/overlap/file-overlap.js";
import { sampleTexts } from "../../src/evaluate/overlap/task-overlap.js";
import { GPT2 } from "../../src/gpt2.js";
import { probeBias } from "../../src/misuse/bias/probe.js";
import { trainHeadDetector } from "../../src/misuse/classifier/head-detector.js";
import { trainTfidfDetector } from "../../src/misuse/classifier/tfidf-detector.js";
import { calibrateDetection } from "../../src/misuse/detect/calibrate.js";
import { readDocuments } from "../../src/misuse/detect/documents.js";
import { measureExtractable } from "../../src/misuse/extract/extractable.js";
import { rankSamples } from "../../src/misuse/extract/rank-samples.js";
import { buildIndex } from "../../src/misuse/trace/build-index.js";
import { traceText } from "../../src/misuse/trace/trace.js";
import { convertModel } from "../../src/pretrained/convert.js";
import { locateModel } from "../../src/pretrained/locate.js";
import { saveCheckpoint } from "../../src/pretrained/node.js";
import { serve } from "../../src/serve/server.js";
import { trainTokenizer } from "../../src/tokenizer/index.js";
import { trainWordPiece } from "../../src/tokenizer/wordpiece/train.js";
import { finetune } from "../../src/train/finetune.js";
import { loraSettings } from "../../src/train/lora-settings.js";
import { trainSettings } from "../../src/train/settings.js";
import { Trainer } from "../../src/train/trainer.js";
import { seededModel, smallTokenizer } from "../evaluate/support.js";

let model: GPT2;
before(async () => {
  model = await seededModel(
    gpt2Config({ vocabSize: 300, nCtx: 16, nEmbd: 8, nLayer: 1, nHead: 1 }),
    1,
    await smallTokenizer(300),
  );
});
after(() => model.dispose());

/** Calls, each with a misspelled option. */
// biome-ignore lint/suspicious/noExplicitAny: TypeScript finds these where it is used
const CALLS: readonly (readonly [wrong: string, right: string, call: (options: any) => unknown])[] = [
  ["maxTokens", "maxNewTokens", (o) => model.complete("x", o)],
  ["temprature", "temperature", (o) => model.generate("x", o).next()],
  ["contxt", "context", (o) => model.score("x", o)],
  ["adaptor", "adapter", (o) => model.logits([1], o)],
  ["pool", "pooling", (o) => model.embed("x", o)],
  ["trunc", "truncate", (o) => model.classify("x", o)],
  ["truncated", "truncate", (o) => model.regress("x", o)],
  ["normalize", "normalization", (o) => model.choose("x", ["a"], o)],
  ["adaptor", "adapter", (o) => model.logLikelihoods([], o)],
  ["sginal", "signal", (o) => model.generateUntil([], o)],
  ["maxTokens", "maxNewTokens", (o) => model.task.summarize("x", o)],
  ["form", "from", (o) => model.task.translate("x", o)],
  ["doc", "document", (o) => model.task.answer("x", { ...o })],
  ["example", "examples", (o) => model.task.complete("x", o)],
  ["label", "labels", (o) => model.task.classify("x", o)],
  ["dType", "dtype", (o) => GPT2.load("x", o)],
  ["slot", "slots", (o) => GPT2.load("x", { scheduling: o })],
  ["backends", "backend", (o) => GPT2.fetch("x", o)],
  ["overwite", "overwrite", (o) => convertModel("x", "y", o)],
  ["dtypes", "dtype", (o) => saveCheckpoint("x", {} as never, o)],
  ["samplePrompts", "samplePrompt", (o) => Trainer.create(o)],
  ["epoch", "epochs", (o) => finetune(o)],
  ["learningRate", "", (o) => trainSettings(o)],
  ["revison", "revision", (o) => locateModel("x", o)],
  ["splits", "split", (o) => openDataset("x", o)],
  ["sginal", "signal", (o) => model.loadAdapter("x", "y", o)],
  ["temprature", "temperature", (o) => sampleTexts(model, { samples: 1, maxNewTokens: 1, seed: 1, ...o })],
  ["minToken", "minTokens", (o) => traceText({} as never, "x", o)],
  ["worker", "workers", (o) => buildIndex(["x"], o)],
  ["passage", "passages", (o) => measureExtractable(model, {} as never, o)],
  ["sample", "samples", (o) => rankSamples(model as never, {} as never, o)],
  ["passage", "passages", (o) => calibrateDetection(model as never, [], o)],
  ["seperator", "separator", (o) => readDocuments([], o)],
  ["sginal", "signal", (o) => probeBias(model, o)],
  ["penalty", "penalties", (o) => trainTfidfDetector([], [], o)],
  ["epoch", "epochs", (o) => trainHeadDetector({} as never, o)],
  ["allowHost", "allowHosts", (o) => serve(model, o)],
  ["vocabularySize", "vocabSize", (o) => trainWordPiece([], o)],
  ["warmup", "warmupSteps", (o) => trainSettings(o)],
  ["ranks", "rank", (o) => loraSettings(o)],
  ["shardTokns", "shardTokens", (o) => prepareData([], o)],
  ["templates", "template", (o) => prepareExamples([], o)],
  ["minFreqency", "minFrequency", (o) => trainTokenizer([], o)],
  ["thread", "threads", (o) => nativeBackend(o)],
  ["threds", "threads", (o) => chooseBackend(o)],
  ["precison", "precision", (o) => referenceBackend(o)],
  ["nLayers", "nLayer", (o) => gpt2Config("gpt2", o)],
  ["allowSpecial", "allowedSpecial", (o) => model.tokenizer!.encode("x", o)],
  ["textFeild", "textField", (o) => fileOverlap([], {} as never, o)],
  ["cache", "cacheDir", (o) => fetchedSource(o)],
  ["thread", "threads", (o) => wasmBackend(o)],
  ["limits", "limit", (o) => evaluate(model, "lambada", o)],
  ["N", "n", (o) => buildNgramFilter([], o)],
];

for (const [wrong, right, call] of CALLS) {
  test(`${wrong} is refused: ${String(call).slice("(o) => ".length)}`, async () => {
    await assert.rejects(
      async () => call({ [wrong]: 1 }),
      (error: unknown) => {
        assert.ok(error instanceof UsageError, String(error));
        assert.match(error.message, new RegExp(`expected options that exist, got ${wrong}`));
        if (right !== "") assert.ok(error.message.endsWith(`Did you mean ${right}?`), error.message);
        return true;
      },
    );
  });
}
