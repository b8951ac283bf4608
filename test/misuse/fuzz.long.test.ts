/** A damaged token index traces a text, or is refused by a typed error. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { buildIndex } from "../../src/misuse/trace/build-index.js";
import { INDEX_FILES } from "../../src/misuse/trace/index-info.js";
import { TokenIndex } from "../../src/misuse/trace/token-index.js";
import { traceText } from "../../src/misuse/trace/trace.js";
import { fuzzAsync, guardedAsync, timeout } from "../checkpoint/mutator.js";
import { smallTokenizer } from "../data/support.js";
import { DamagedFolder } from "../helpers/damaged-folder.js";

const TEXT = "The quick brown fox jumps over the lazy dog. Nobody saw it.\n";

it("damaged token indexes are read or refused", { timeout }, async () => {
  const dir = mkdtempSync(join(tmpdir(), "gpt2-index-fuzz-"));
  writeFileSync(join(dir, "a.txt"), `${TEXT}<|endoftext|>\nAnother text, of another fox.\n`);
  writeFileSync(join(dir, "b.txt"), "Elsewhere the lazy dog sleeps on the mat.\n");
  const out = join(dir, "index");
  await buildIndex([join(dir, "a.txt"), join(dir, "b.txt")], { out, tokenizer: smallTokenizer(), workers: 0 });
  const { info, tokens, suffixes, documents } = INDEX_FILES;
  const copy = new DamagedFolder(out, [info, tokens, suffixes, documents]);
  const search = async () => {
    const index = await TokenIndex.open(copy.path);
    try {
      const { spans } = traceText(index, `I saw that ${TEXT}`, { minTokens: 3, share: 1 });
      for (const { places } of spans) for (const { document } of places) assert.equal(typeof document.path, "string");
      for (let at = 0; at < index.length; at += 7) {
        const { start, end } = index.documentAt(at);
        index.text(start, Math.min(end, index.length));
      }
    } finally {
      index.close();
    }
  };
  try {
    // The pages that an index keeps may be longer than its files.
    await fuzzAsync(300, (mutator, what) =>
      copy.damaged(mutator, (name) => guardedAsync(`${what}, ${name}`, search, 2 ** 24)),
    );
  } finally {
    copy.remove();
    rmSync(dir, { recursive: true });
  }
});
