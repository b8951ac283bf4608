import { mergeTexts, tokenTexts } from "./gpt2-files.js";
import type { Vocabulary } from "./vocabulary.js";

/** `tokenizer.json` as the Hugging Face `tokenizers` library reads it. */
export function writeTokenizerJson(vocabulary: Vocabulary): string {
  const vocab: Record<string, number> = {};
  tokenTexts(vocabulary).forEach((text, id) => {
    if (text !== undefined) vocab[text] = id;
  });
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return JSON.stringify(
    {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: [...vocabulary.special].map(([content, id]) => ({
        id,
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      })),
      normalizer: null,
      pre_tokenizer: byteLevel,
      post_processor: byteLevel,
      decoder: byteLevel,
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: "",
        end_of_word_suffix: "",
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab,
        merges: mergeTexts(vocabulary).map(([left, right]) => `${left} ${right}`),
      },
    },
    null,
    1,
  );
}
