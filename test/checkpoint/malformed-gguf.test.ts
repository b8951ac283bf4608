import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { GPT2_GGUF, ggufName } from "../../src/architectures/gpt2/formats/gguf.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { memorySource } from "../../src/checkpoint/byte-source.js";
import { layoutGguf, type MetadataEntry } from "../../src/checkpoint/gguf/encode.js";
import { readGguf } from "../../src/checkpoint/gguf/read.js";
import { CheckpointError, ConfigError, GPT2Error } from "../../src/errors.js";
import { openGguf } from "../../src/pretrained/formats/gguf/read.js";
import { memoryFiles } from "../../src/pretrained/model-files.js";
import { NO_ID } from "../../src/tokenizer/vocabulary.js";
import { packageFile } from "../../src/util/package-root.js";
import { allocatedBytes } from "../helpers/allocations.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";
import {
  arrayEntry,
  entry,
  f32,
  join,
  numberEntry,
  type RawGguf,
  rawGguf,
  string,
  TYPE,
  tensorInfo,
  textEntry,
  u32,
  u64,
} from "./gguf-file.js";
import { attempt, boundedFiles, fuzz, fuzzSeeds, Mutator, timeout } from "./mutator.js";

function assertRefused(
  run: () => unknown,
  message: RegExp,
  kind: new (...args: never[]) => Error = CheckpointError,
): void {
  assert.throws(run, (error: Error) => {
    assert.ok(error instanceof kind, `${error.stack}`);
    assert.match(error.message, message);
    assert.match(error.message, /expected .+got /s);
    assert.ok(error.message.length < 1000, `a message of ${error.message.length} characters`);
    return true;
  });
}

const zeros = (n: number): Uint8Array => new Uint8Array(n);
const nested = (depth: number): Uint8Array => {
  let value: Uint8Array = join(u32(TYPE.u8), u64(0));
  for (let i = 1; i < depth; i++) value = join(u32(TYPE.array), u64(1), value);
  return value;
};
const one = { name: "x", dimensions: [8] };

/** Malformed files by their fault. Those with huge counts would exhaust memory if they were believed. */
const HEADERS: [what: string, file: RawGguf | Uint8Array, message: RegExp][] = [
  ["nothing", zeros(0), /bad\.gguf: GGUF header: expected 4 more bytes at byte 0, got 0.*truncated/],
  ["another magic", { magic: "GGML" }, /expected GGUF, got 0x4c4d4747/],
  ["version 1", { version: 1 }, /expected version 2 or 3, little-endian, got version 1\. Convert/],
  ["version 4", { version: 4 }, /got version 4/],
  ["version 0", { version: 0 }, /got version 0/],
  ["big-endian", { version: 0x03000000 }, /got a big-endian file/],
  ["a header cut short", rawGguf({}).subarray(0, 20), /truncated/],
  [
    "2^60 entries",
    { entryCount: 2n ** 60n },
    /entries of metadata: expected as many as fit into the remaining \d+ bytes.*got 11529215046068\d+/,
  ],
  ["2^64 - 1 entries", { entryCount: 2n ** 64n - 1n }, /entries of metadata/],
  ["2^60 tensors", { tensorCount: 2n ** 60n }, /tensors: expected as many as fit/],
  ["an entry too few", { entryCount: 3, entries: [numberEntry("a", 1)], data: zeros(64) }, /entry 1|entry 2/],
  ["an empty key", { entries: [numberEntry("", 1)] }, /entry 0: expected a unique key, got ""/],
  ["a key twice", { entries: [numberEntry("a", 1), numberEntry("a", 1)] }, /entry 1: expected a unique key, got "a"/],
  [
    "a key of 2^60 bytes",
    { entries: [join(string("a", 2n ** 60n))], data: zeros(64) },
    /expected 11529215046068\d+ more bytes/,
  ],
  [
    "a key that is not UTF-8",
    { entries: [join(string(Uint8Array.of(0xff)), u32(0), zeros(1))] },
    /entry 0: expected text in UTF-8/,
  ],
  [
    "a string longer than the file",
    { entries: [entry("a", TYPE.string, string("b", 1000))] },
    /expected 1000 more bytes/,
  ],
  ["a string of 2^64 - 1 bytes", { entries: [entry("a", TYPE.string, string("b", 2n ** 64n - 1n))] }, /more bytes/],
  ["an unknown type", { entries: [entry("a", 13, zeros(8))] }, /\("a"\): expected a type from 0 to 12, got 13/],
  [
    "an unknown type in an array",
    { entries: [arrayEntry("a", 99, 1, zeros(8))] },
    /expected a type from 0 to 12, got 99/,
  ],
  [
    "an array of 2^60 numbers",
    { entries: [arrayEntry("a", TYPE.u8, 2n ** 60n, zeros(8))] },
    /expected an array that fits into the remaining \d+ bytes, got 11529215046068\d+ values of type u8/,
  ],
  [
    "an array of 2^60 strings",
    { entries: [arrayEntry("a", TYPE.string, 2n ** 60n, zeros(8))] },
    /values of type string/,
  ],
  ["an array of 2^60 arrays", { entries: [arrayEntry("a", TYPE.array, 2n ** 60n, zeros(12))] }, /values of type array/],
  [
    "a string in an array, longer than the file",
    { entries: [arrayEntry("a", TYPE.string, 1, string("", 500))] },
    /expected 500 more bytes/,
  ],
  [
    "arrays five deep",
    { entries: [entry("a", TYPE.array, nested(5))] },
    /expected arrays nested at most 4 deep, got deeper arrays/,
  ],
  ["arrays a thousand deep", { entries: [entry("a", TYPE.array, nested(1000))] }, /nested at most 4 deep/],
  [
    "an alignment of 0",
    { entries: [numberEntry("general.alignment", 0)] },
    /"general\.alignment": expected a power of two, got 0/,
  ],
  ["an alignment of 24", { entries: [numberEntry("general.alignment", 24)] }, /expected a power of two, got 24/],
  [
    "an alignment that is text",
    { entries: [textEntry("general.alignment", "32")] },
    /"general\.alignment": expected a number, got "32"/,
  ],
  [
    "an alignment of 2^31",
    { entries: [numberEntry("general.alignment", 2 ** 31)] },
    /expected a power of two, got 2147483648/,
  ],
  [
    "an alignment that is an array",
    { entries: [arrayEntry("general.alignment", TYPE.u32, 1, u32(32))] },
    /got an array/,
  ],
  [
    "a tensor of five dimensions",
    { tensors: [tensorInfo({ name: "x", dimensions: [1, 1, 1, 1, 1] })] },
    /tensor "x": expected at most 4 dimensions, got 5/,
  ],
  ["2^32 - 1 dimensions", { tensors: [join(string("x"), u32(2 ** 32 - 1), zeros(64))] }, /got 4294967295/],
  [
    "a size that overflows",
    { tensors: [tensorInfo({ name: "x", dimensions: [2n ** 32n, 2n ** 32n] })] },
    /expected a size that fits into a file, got \[4294967296, 4294967296\]/,
  ],
  [
    "sizes that multiply to infinity",
    { tensors: [tensorInfo({ name: "x", dimensions: Array(4).fill(2n ** 63n) })] },
    /a size that fits into a file/,
  ],
  [
    "a type by name",
    { tensors: [tensorInfo({ ...one, type: 16 })] },
    /tensor "x": expected f32, .*q6_K, got the type iq2_xxs\. Quantize/,
  ],
  ["integers", { tensors: [tensorInfo({ ...one, type: 26 })] }, /got the type i32/],
  ["a removed type", { tensors: [tensorInfo({ ...one, type: 4 })] }, /got the type number 4/],
  [
    "an unknown type of tensor",
    { tensors: [tensorInfo({ ...one, type: 2 ** 32 - 1 })] },
    /got the type number 4294967295/,
  ],
  [
    "rows that are no whole blocks",
    { tensors: [tensorInfo({ name: "x", dimensions: [33, 32], type: 8 })], data: zeros(4096) },
    /expected rows of whole blocks of 32 values in q8_0, got 33/,
  ],
  [
    "rows that are no whole blocks of k-quants",
    { tensors: [tensorInfo({ name: "x", dimensions: [128], type: 12 })], data: zeros(4096) },
    /blocks of 256 values in q4_K, got 128/,
  ],
  [
    "an offset that is not aligned",
    { tensors: [tensorInfo({ ...one, offset: 4 })], data: zeros(64) },
    /expected an offset that is a multiple of 32, got 4/,
  ],
  [
    "a tensor beyond the end",
    { tensors: [tensorInfo({ ...one, offset: 64 })], data: zeros(64) },
    /tensor "x": expected bytes \d+ to \d+, got a file of \d+ bytes.*truncated/,
  ],
  [
    "an offset of 2^64 - 32",
    { tensors: [tensorInfo({ ...one, offset: 2n ** 64n - 32n })], data: zeros(64) },
    /tensor "x": expected bytes/,
  ],
  ["data cut short", { tensors: [tensorInfo(one)], data: zeros(31) }, /got a file of/],
  ["no data at all", { tensors: [tensorInfo(one)] }, /got a file of/],
  [
    "tensors that overlap",
    {
      tensors: [tensorInfo({ name: "a", dimensions: [16] }), tensorInfo({ name: "b", dimensions: [8], offset: 32 })],
      data: zeros(64),
    },
    /tensor "b": expected bytes that no other tensor has, got bytes of "a"/,
  ],
  [
    "tensors in the same place",
    { tensors: [tensorInfo({ ...one, name: "b" }), tensorInfo({ ...one, name: "a" })], data: zeros(64) },
    /bytes that no other tensor has/,
  ],
  [
    "a name twice",
    { tensors: [tensorInfo(one), tensorInfo({ ...one, offset: 32 })], data: zeros(64) },
    /tensor "x": expected one tensor of this name/,
  ],
  [
    "a name of 64 bytes",
    { tensors: [tensorInfo({ ...one, name: "x".repeat(64) })], data: zeros(64) },
    /a name of at most 63 bytes/,
  ],
  [
    "a name that is not UTF-8",
    { tensors: [tensorInfo({ ...one, name: Uint8Array.of(0xc0, 0x80) })], data: zeros(64) },
    /the name of tensor 0: expected text in UTF-8/,
  ],
  [
    "a name that steers a terminal",
    { tensors: [tensorInfo({ ...one, name: "\u001b[2J\u202e", type: 16 })] },
    /tensor "\\u001b\[2J\\u202e"/,
  ],
];

describe("malformed GGUF headers are refused", () => {
  for (const [what, file, message] of HEADERS) {
    it(what, () => {
      const bytes = file instanceof Uint8Array ? file : rawGguf(file);
      assertRefused(() => readGguf(memorySource("bad.gguf", bytes)), message);
    });
  }

  it("values that are wrong in themselves are refused when they are read", () => {
    const entries = [
      entry("flag", TYPE.bool, zeros(1).fill(2)),
      entry("text", TYPE.string, string(Uint8Array.of(0x80))),
    ];
    const { metadata } = readGguf(memorySource("bad.gguf", rawGguf({ entries })));
    assertRefused(() => metadata.boolean("flag"), /"flag": expected 0 or 1 for a boolean, got 2/);
    assertRefused(() => metadata.string("text"), /"text": expected text in UTF-8/);
  });

  it("unusual but valid files are read", () => {
    const entries = [
      entry("nested", TYPE.array, join(u32(TYPE.array), u64(2), nested(2), nested(2))),
      arrayEntry("empty", TYPE.string, 0, zeros(0)),
      numberEntry("general.alignment", 8),
    ];
    const tensors = [
      tensorInfo({ name: "scalar", dimensions: [], offset: 8 }),
      tensorInfo({ name: "nothing", dimensions: [0, 5], offset: 8 }),
      tensorInfo({ name: "far", dimensions: [3, 2], offset: 64 }),
    ];
    const file = readGguf(memorySource("odd.gguf", rawGguf({ entries, tensors, data: zeros(88), alignment: 8 })));
    assert.deepEqual(file.metadata.get("nested"), [[[]], [[]]]);
    assert.deepEqual(file.metadata.strings("empty"), []);
    assert.deepEqual(file.tensors.get("scalar")!.shape, []);
    assert.deepEqual(file.tensors.get("far")!.shape, [2, 3]);
    assert.equal(file.tensors.get("nothing")!.byteLength, 0);
  });
});

// ---------------------------------------------------------------- files that are no GPT-2

const CONFIG = gpt2Config({ vocabSize: 3, nCtx: 2, nEmbd: 4, nHead: 2, nLayer: 1 });

const ENTRIES: readonly MetadataEntry[] = [
  ["general.architecture", "string", "gpt2"],
  ...GPT2_GGUF.writeConfig(CONFIG, "small"),
];
const SPECS = tensorTable(CONFIG).map(({ name, shape }) => ({ name: ggufName(name), dtype: "f32" as const, shape }));

interface Changes {
  /** Entries that replace those with the same keys; undefined leaves a key out. */
  readonly entries?: Readonly<Record<string, MetadataEntry | undefined>>;
  readonly specs?: readonly { readonly name: string; readonly dtype: "f32"; readonly shape: readonly number[] }[];
}

function smallGguf({ entries = {}, specs = SPECS }: Changes = {}): Uint8Array {
  const kept = ENTRIES.filter(([key]) => !Object.hasOwn(entries, key));
  const { header, size } = layoutGguf([...kept, ...Object.values(entries).filter((e) => e !== undefined)], specs);
  return join(header, zeros(size - header.length));
}

const load = (bytes: Uint8Array) => openGguf("small.gguf", memoryFiles("small.gguf", { "small.gguf": bytes }));
const text = (key: string, value: string) => ({ [key]: [key, "string", value] as const });
const number = (key: string, value: number) => ({ [key]: [key, "u32", value] as const });

const MODELS: [what: string, changes: Changes, message: RegExp, kind?: new (...args: never[]) => Error][] = [
  [
    "no architecture",
    { entries: { "general.architecture": undefined } },
    /"general\.architecture": expected "gpt2" or "bert", got no such key/,
  ],
  [
    "another architecture",
    { entries: text("general.architecture", "llama") },
    /expected "gpt2" or "bert", got "llama"\. Only GPT-2/,
  ],
  ["an adapter", { entries: text("general.type", "adapter") }, /"general\.type": expected "model", got "adapter"/],
  [
    "one part of several",
    { entries: number("split.count", 3) },
    /"split\.count": expected one file, got 3\. Join the parts/,
  ],
  [
    "no context length",
    { entries: { "gpt2.context_length": undefined } },
    /"gpt2\.context_length": expected a size, got no such key/,
  ],
  [
    "no epsilon",
    { entries: { "gpt2.attention.layer_norm_epsilon": undefined } },
    /layer_norm_epsilon": expected a number/,
  ],
  [
    "a size that is text",
    { entries: text("gpt2.block_count", "1") },
    /"gpt2\.block_count": expected a number, got "1"/,
  ],
  ["no layers", { entries: number("gpt2.block_count", 0) }, /small\.gguf: GPT-2 configuration: nLayer/, ConfigError],
  [
    "heads that don't divide the width",
    { entries: number("gpt2.attention.head_count", 3) },
    /nHead: expected a divisor of nEmbd = 4/,
    ConfigError,
  ],
  [
    "fewer heads of keys",
    { entries: number("gpt2.attention.head_count_kv", 1) },
    /head_count_kv": expected 2, or no such key, got 1/,
  ],
  [
    "another vocabulary",
    { entries: number("gpt2.vocab_size", 4) },
    /"gpt2\.vocab_size": expected 3, or no such key, got 4/,
  ],
  [
    "four billion layers",
    { entries: number("gpt2.block_count", 2 ** 32 - 1) },
    /nLayer: expected at most 2147483647/,
    ConfigError,
  ],
  [
    "4,097 layers",
    { entries: number("gpt2.block_count", 4097) },
    /nLayer: expected at most 4096, got 4097/,
    ConfigError,
  ],
  [
    "4,096 layers, of which the file has one",
    { entries: number("gpt2.block_count", 4096) },
    /tensor blk\.1\.attn_norm\.weight: expected shape \[4\], got no such tensor/,
  ],
  [
    "a tensor missing",
    { specs: SPECS.filter(({ name }) => name !== "blk.0.ffn_up.bias") },
    /tensor blk\.0\.ffn_up\.bias: expected shape \[16\], got no such tensor/,
  ],
  [
    "no token embedding",
    { specs: SPECS.slice(1) },
    /tensor token_embd\.weight: expected shape \[3, 4\], got no such tensor/,
  ],
  [
    "a tensor too many",
    { specs: [...SPECS, { name: "rope_freqs.weight", dtype: "f32", shape: [4] }] },
    /"rope_freqs\.weight": expected only the tensors of a GPT-2 of 1 layers/,
  ],
  [
    "this package's names",
    { specs: SPECS.map((s) => (s.name === "token_embd.weight" ? { ...s, name: "wte.weight" } : s)) },
    /token_embd\.weight: expected .*got no such tensor/,
  ],
  [
    "a layer too many",
    { specs: [...SPECS, { name: "blk.1.attn_norm.weight", dtype: "f32", shape: [4] }] },
    /"blk\.1\.attn_norm\.weight": expected only/,
  ],
  [
    "a transposed matrix",
    { specs: SPECS.map((s) => (s.name === "blk.0.ffn_up.weight" ? { ...s, shape: [4, 16] } : s)) },
    /"blk\.0\.ffn_up\.weight": expected shape \[16, 4\], got \[4, 16\]\. It is transposed/,
  ],
  [
    "a scalar for an embedding",
    { specs: SPECS.map((s) => (s.name === "token_embd.weight" ? { ...s, shape: [] } : s)) },
    /expected/,
  ],
];

describe("GGUF files that do not hold a GPT-2 are refused", () => {
  it("the file is valid before the changes below", () => {
    assert.deepEqual(load(smallGguf()).config, CONFIG);
    const head = { name: "output.weight", dtype: "f32" as const, shape: [3, 4] };
    // A copy of the token embedding, here all zeros, does not count as a separate head.
    assert.deepEqual(load(smallGguf({ specs: [...SPECS, head] })).config, CONFIG);
  });

  for (const [what, changes, message, kind] of MODELS) {
    it(what, () => assertRefused(() => load(smallGguf(changes)), message, kind));
  }
});

// ---------------------------------------------------------------- tokenizers

const BYTES = alphabet();

/** The 256 characters that stand for bytes, from another program's file. */
function alphabet(): string[] {
  const file = readGguf(memorySource("f", readFileSync(packageFile("test/fixtures/gguf/unusual.gguf"))));
  return file.metadata.strings("tokenizer.ggml.tokens")!.slice(0, 256);
}

const strings = (key: string, values: readonly string[]) => ({ [key]: [key, "string[]", values] as const });
const types = (values: readonly number[]) => {
  return { "tokenizer.ggml.token_type": ["tokenizer.ggml.token_type", "i32[]", values] as const };
};
const GOOD = {
  ...text("tokenizer.ggml.model", "gpt2"),
  ...strings("tokenizer.ggml.tokens", [...BYTES, "ab"]),
  ...strings("tokenizer.ggml.merges", ["a b"]),
};

const TOKENIZERS: [what: string, entries: Changes["entries"], message: RegExp][] = [
  [
    "another kind",
    text("tokenizer.ggml.model", "llama"),
    /tokenizer\.ggml\.model: expected gpt2, got "llama"\. Only byte-level/,
  ],
  [
    "texts split in another way",
    text("tokenizer.ggml.pre", "llama-bpe"),
    /tokenizer\.ggml\.pre: expected gpt-2 or .*got "llama-bpe"/,
  ],
  [
    "no tokens",
    { "tokenizer.ggml.tokens": undefined },
    /"tokenizer\.ggml\.tokens": expected an array of strings, got no such key/,
  ],
  ["tokens that are text", text("tokenizer.ggml.tokens", "a b c"), /expected an array of strings, got "a b c"/],
  [
    "a token twice",
    strings("tokenizer.ggml.tokens", [...BYTES, "ab", "ab"]),
    /tokens\[257\]: expected tokens that differ, got the text of token 256/,
  ],
  [
    "no merges",
    { "tokenizer.ggml.merges": undefined },
    /merges": expected an array of strings, got no such key. Without merges a text would become single bytes/,
  ],
  [
    "a merge twice",
    strings("tokenizer.ggml.merges", ["a b", "a b"]),
    /merges\[1\]: expected a unique merge, got the same as .*merges\[0\] \("a b"\)/,
  ],
  ["a token of no bytes", strings("tokenizer.ggml.tokens", [...BYTES, "ab", ""]), /at least one character/],
  [
    "a token outside the alphabet",
    strings("tokenizer.ggml.tokens", [...BYTES, "ab", "日"]),
    /token "日": expected characters that stand for bytes/,
  ],
  [
    "a merge of tokens that are not there",
    strings("tokenizer.ggml.merges", ["a b", "ab c"]),
    /merges\[1\]: expected tokens of the vocabulary/,
  ],
  [
    "a merge that is none",
    strings("tokenizer.ggml.merges", ["ab"]),
    /merges\[0\]: expected two tokens and a space between/,
  ],
  ["types that are texts", strings("tokenizer.ggml.token_type", ["1"]), /token_type": expected an array of numbers/],
];

describe("unusable tokenizers in GGUF files are refused", () => {
  const loadTokenizer = async (entries: Changes["entries"]) => {
    return load(smallGguf({ entries: { ...GOOD, ...entries } })).loadTokenizer!();
  };

  it("the file is valid before the changes below", async () => {
    const tokenizer = await loadTokenizer({});
    assert.deepEqual([...tokenizer!.encode("ab")], [256]);
  });

  it("a byte without a token is dropped, and a special token may be one that merges make, as in llama.cpp", async () => {
    const tokens = [...BYTES.filter((char) => char !== "c"), "ab"];
    const entries = { ...strings("tokenizer.ggml.tokens", tokens), ...types([...tokens.slice(1).map(() => 1), 3]) };
    const tokenizer = (await loadTokenizer(entries))!;
    assert.deepEqual([...tokenizer.encode("acbc")], [255]);
    assert.deepEqual([...tokenizer.specialTokens], [["ab", 255]]);
  });

  for (const [what, entries, message] of TOKENIZERS) {
    it(what, async () => {
      const error = await loadTokenizer(entries).then(
        () => assert.fail("read"),
        (reason: unknown) => reason,
      );
      assertRefused(
        () => {
          throw error;
        },
        message,
        GPT2Error,
      );
    });
  }

  it("ids outside the vocabulary are ignored", () => {
    const { bosTokenId, eosTokenIds } = load(
      smallGguf({
        entries: { ...number("tokenizer.ggml.bos_token_id", 3), ...number("tokenizer.ggml.eos_token_id", 2) },
      }),
    );
    assert.deepEqual([bosTokenId, eosTokenIds], [undefined, [2]]);
  });
});

// ---------------------------------------------------------------- random damage

const NUMBERS = [0n, 1n, 31n, 32n, 255n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 60n, 2n ** 63n, 2n ** 64n - 1n];

describe("damaged GGUF files give typed errors or finite values", () => {
  const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(packageFile(`test/fixtures/gguf/${name}`)));
  const unusual = fixture("unusual.gguf");
  const converted = fixture("converted-q8_0.gguf");
  const headerOf = (file: Uint8Array): number => {
    return Math.min(...[...readGguf(memorySource("f", file)).tensors.values()].map(({ offset }) => offset));
  };
  const small = (() => {
    const bytes = smallGguf({ entries: GOOD });
    for (let i = headerOf(bytes); i + 4 <= bytes.length; i += 4) bytes.set(f32(i / 1000), i);
    return bytes;
  })();

  for (const [what, file, rounds] of [
    ["a small file", small, 3000],
    ["every type of metadata", unusual, 1500],
    ["the converter's", converted, 1000],
  ] as const) {
    it(`${what}, as bytes`, { timeout }, () => {
      const header = headerOf(file);
      fuzz(rounds, (mutator, seed) => {
        const bytes = mutator.bytes(file, header);
        attempt(seed, () => openGguf("fuzz.gguf", boundedFiles({ "fuzz.gguf": bytes })));
      });
    });
  }

  it("lengths, counts, sizes and offsets", { timeout }, () => {
    const header = headerOf(unusual);
    fuzz(4000, (mutator, seed) => {
      const bytes = unusual.slice();
      const at = mutator.below(header - 8);
      bytes.set(
        mutator.below(2) === 0 ? u64(mutator.pick(NUMBERS)) : u32(Number(mutator.pick(NUMBERS) & 0xffffffffn)),
        at,
      );
      attempt(seed, () => openGguf("fuzz.gguf", boundedFiles({ "fuzz.gguf": bytes })));
    });
  });

  it("the tokenizer", { timeout }, async () => {
    const outcomes = { read: 0, refused: 0 };
    const header = headerOf(small);
    for (const seed of fuzzSeeds(1500)) {
      const bytes = new Mutator(seed).bytes(small, header);
      const before = allocatedBytes();
      try {
        const tokenizer = await openGguf("fuzz.gguf", boundedFiles({ "fuzz.gguf": bytes })).loadTokenizer?.();
        if (tokenizer) {
          const text = tokenizer.decode(tokenizer.encode("abc ABC", { addSpecialTokens: false }));
          const { byteIds, addPrefixSpace } = tokenizer.vocabulary;
          if (!byteIds.includes(NO_ID) && !addPrefixSpace) assert.equal(text, "abc ABC");
        }
        outcomes.read++;
      } catch (error) {
        if (!(error instanceof GPT2Error)) throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
        outcomes.refused++;
      }
      assert.ok(allocatedBytes() - before < 2 ** 22, `seed ${seed}: ${allocatedBytes() - before} bytes`);
    }
    assert.ok(outcomes.read > (TESTING_ALL ? 30 : 5) && outcomes.refused > 100, JSON.stringify(outcomes));
  });
});
