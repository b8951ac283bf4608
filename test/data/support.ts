import { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { vocabularyFromMerges } from "../../src/tokenizer/vocabulary.js";

/** A real byte-level BPE tokenizer with few merges, enough that cutting a text can change its ids. */
export function smallTokenizer(): Tokenizer {
  // In GPT-2's order of bytes `!` has id 0 and the space 220.
  const id = (letter: string) => (letter === " " ? 220 : letter.charCodeAt(0) - 0x21);
  const merges: [string | number, string | number][] = [
    ["t", "h"],
    [256, "e"],
    ["i", "n"],
    ["a", 258],
    [" ", 257],
    [" ", 258],
    ["s", " "],
    ["\u0021", "!"],
    [" ", " "],
    ["o", "n"],
    [" ", "a"],
    ["'", "t"],
  ];
  return new Tokenizer(
    vocabularyFromMerges(Uint32Array.from(merges.flat(), (part) => (typeof part === "number" ? part : id(part)))),
  );
}

/** Made by `zstd -19` (1.5.4) from the three documents of the test that uses it. */
export const ZSTD_THREE_DOCUMENTS = Buffer.from(
  "KLUv/SRqTQIA4oQPErDrOKOMrXDIKHtXpbo75iExAplqCnNPrd7BaSr1r8urvHn/s2zUXVPniA21EZ/VKDI4XbXOj2Ro1xS6JhIC" +
    "AFR16HzMMk/yzbY=",
  "base64",
);

/** Made by `zstd -3` and `zstd -3 --no-check` from the two repeated phrases of the test that uses it. */
export const ZSTD_TWO_FRAMES = Buffer.from(
  "KLUv/aTAtgYAFAIAZAN0aGUgcmFpbiBpbiBTcGFpbiBzdGF5cyBtYWlubHkgaW4gdGhlIHBsYWluLCB0aGV5IHNheTsCAML/WmVgKEwoTAAACG" +
    "4BAPz/ORACTAAACGEBAPz/ORACTQAACHkBALw2HQgBwygmOCi1L/2gsB4EAIwAAEhhbmQgdGhlbiABAPT/zMsRTAAACGgBAPz/ORACRQAACG4B" +
    "AKzeAyE=",
  "base64",
);
