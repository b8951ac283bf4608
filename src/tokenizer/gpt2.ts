import { Tokenizer } from "./tokenizer.js";
import { vocabularyOfMerges } from "./vocabulary.js";

let loading: Promise<Tokenizer> | undefined;

/** GPT-2's own tokenizer, 50,257 tokens, from this package; made on first use, then shared. */
export function gpt2Tokenizer(): Promise<Tokenizer> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Tokenizer> {
  const { GPT2_MERGES } = await import("./gpt2-merges.js");
  const count = Math.floor((GPT2_MERGES.length * 3) / 4 / BYTES_OF_MERGE);
  return new Tokenizer(vocabularyOfMerges(count, () => unpack(GPT2_MERGES)));
}

const BYTES_OF_MERGE = 4;

/** uint16 little-endian in base64. */
function unpack(base64: string): Uint32Array {
  const bytes = decodeBase64(base64);
  return new Uint32Array(new Uint16Array(bytes.buffer, 0, bytes.length >> 1));
}

/** Decodes with Node's Buffer where it exists: it is faster, and this is part of every start. */
function decodeBase64(base64: string): Uint8Array {
  const { Buffer } = globalThis as { Buffer?: { from(text: string, encoding: string): Uint8Array } };
  if (Buffer) return new Uint8Array(Buffer.from(base64, "base64"));
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}
