import { Tokenizer } from "./tokenizer.js";
import { vocabularyFromMerges } from "./vocabulary.js";

let loading: Promise<Tokenizer> | undefined;

/** GPT-2's own tokenizer, 50,257 tokens: loaded on first use, from the package alone, and shared after that. */
export function gpt2Tokenizer(): Promise<Tokenizer> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Tokenizer> {
  const { GPT2_MERGES } = await import("./gpt2-merges.js");
  return new Tokenizer(vocabularyFromMerges(unpack(GPT2_MERGES)));
}

/** uint16 little-endian in base64. */
function unpack(base64: string): Uint32Array {
  const binary = atob(base64);
  const values = new Uint32Array(binary.length / 2);
  for (let i = 0; i < values.length; i++) values[i] = binary.charCodeAt(2 * i) | (binary.charCodeAt(2 * i + 1) << 8);
  return values;
}
