import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { VarintReader } from "../../src/checkpoint/tensorflow/protobuf.js";
import { openTensorFlow } from "../../src/pretrained/formats/tensorflow.js";
import { openTorch } from "../../src/pretrained/formats/torch.js";
import { crc32c, maskCrc32c } from "../../src/util/crc32c.js";
import { packageFile } from "../../src/util/package-root.js";
import { attempt, boundedFiles, fuzz, joined, type Mutator, timeout } from "./mutator.js";
import { archiveEntries, withoutChecksums, zipArchive } from "./torch-archive.js";

/** Damage to files that PyTorch and TensorFlow wrote. */

const fixture = (path: string): Uint8Array => new Uint8Array(readFileSync(packageFile(`test/fixtures/${path}`)));
const CONFIG_JSON = fixture("torch/hf/config.json");

function attemptTorch(what: string, weights: Uint8Array, config?: Uint8Array): void {
  attempt(what, () => openTorch("weights", boundedFiles({ weights, ...(config && { "config.json": config }) })));
}

/** The bytes between two positions, changed, with the bytes around them. */
function changeWithin(mutator: Mutator, file: Uint8Array, start: number, end: number): Uint8Array {
  const changed = mutator.bytes(file.subarray(start, end), end - start);
  return joined(file.subarray(0, start), changed, file.subarray(end));
}

describe("damaged files of torch.save give typed errors or finite values", () => {
  const archive = withoutChecksums(fixture("torch/hf/pytorch_model.bin"));
  const directory = Buffer.from(archive).indexOf("PK\x01\x02");

  it("the archive, as bytes", { timeout }, () => {
    fuzz(1500, (mutator, what) => attemptTorch(what, mutator.bytes(archive, archive.length), CONFIG_JSON));
  });

  it("its directory", { timeout }, () => {
    fuzz(1500, (mutator, what) => {
      attemptTorch(what, changeWithin(mutator, archive, directory, archive.length), CONFIG_JSON);
    });
  });

  it("the pickle, in a whole archive", { timeout }, () => {
    const entries = archiveEntries(fixture("torch/build-nanogpt/model_00009.pt"));
    fuzz(1500, (mutator, what) => {
      const changed = entries.map(({ name, data }) => {
        return { name, data: name.endsWith("data.pkl") ? mutator.bytes(data, data.length) : data };
      });
      attemptTorch(what, zipArchive(changed));
    });
  });

  it("the old form", { timeout }, () => {
    const legacy = fixture("torch/hf-legacy/pytorch_model.bin");
    fuzz(1500, (mutator, what) => attemptTorch(what, mutator.bytes(legacy, 6000), CONFIG_JSON));
  });

  it("minGPT's settings", { timeout }, () => {
    const [model, json] = [
      fixture("torch/mingpt/model.pt"),
      new TextDecoder().decode(fixture("torch/mingpt/config.json")),
    ];
    fuzz(800, (mutator, what) => attemptTorch(what, model, new TextEncoder().encode(mutator.json(json))));
  });
});

/** The three blocks of a small sorted table: data, filters, index. */
function blocksOf(table: Uint8Array): [start: number, size: number][] {
  const footer = new VarintReader(table.subarray(-48), "test");
  const [filters, filtersSize, index, indexSize] = Array.from({ length: 4 }, () => footer.varint());
  return [
    [0, filters! - 5],
    [filters!, filtersSize!],
    [index!, indexSize!],
  ];
}

describe("damaged TensorFlow checkpoints give typed errors or finite values", () => {
  const hparams = fixture("tensorflow/openai/hparams.json");
  const index = fixture("tensorflow/openai/model.ckpt.index");
  const data = fixture("tensorflow/openai/model.ckpt.data-00000-of-00001");

  function attemptTensorFlow(
    what: string,
    files: { hparams?: Uint8Array; index?: Uint8Array; data?: Uint8Array },
  ): void {
    attempt(what, () =>
      openTensorFlow(
        "m.index",
        boundedFiles({
          "hparams.json": files.hparams ?? hparams,
          "m.index": files.index ?? index,
          "m.data-00000-of-00001": files.data ?? data,
        }),
      ),
    );
  }

  it("the index, as bytes", { timeout }, () => {
    fuzz(1500, (mutator, what) => attemptTensorFlow(what, { index: mutator.bytes(index, index.length) }));
  });

  /** Damage with matching checksums, so that the code behind them sees it too. */
  function damagedTable(mutator: Mutator, table: Uint8Array): Uint8Array {
    const blocks = blocksOf(table);
    const [start, size] = mutator.pick(blocks);
    const damaged = mutator.overwrite(table, start, start + size + 1);
    const view = new DataView(damaged.buffer);
    for (const [at, length] of blocks) {
      const end = at + length + 1;
      view.setUint32(end, maskCrc32c(crc32c(damaged.subarray(at, end))), true);
    }
    return mutator.below(4) > 0 ? damaged : mutator.overwrite(damaged, table.length - 48, table.length - 8);
  }

  it("the index, with matching checksums", { timeout }, () => {
    fuzz(4000, (mutator, what) => attemptTensorFlow(what, { index: damagedTable(mutator, index) }));
  });

  it("a compressed index, with matching checksums", { timeout }, () => {
    const trained = fixture("tensorflow/trained/model-20.data-00000-of-00001");
    const compressed = fixture("tensorflow/trained/model-20.index");
    fuzz(4000, (mutator, what) => {
      attemptTensorFlow(what, { index: damagedTable(mutator, compressed), data: trained });
    });
  });

  it("the data, and hparams.json", { timeout }, () => {
    const json = new TextDecoder().decode(hparams);
    fuzz(500, (mutator, what) => attemptTensorFlow(what, { data: mutator.bytes(data, data.length) }));
    fuzz(1000, (mutator, what) => {
      attemptTensorFlow(what, { hparams: new TextEncoder().encode(mutator.json(json)) });
    });
  });
});
