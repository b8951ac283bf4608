/** BERT.fetch: a model from a server, as in a page, on every backend. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { BERT } from "../../src/bert.js";
import { packageFile } from "../../src/util/package-root.js";
import { testedBackends } from "../generate/models.js";

const FIXTURES = packageFile("test/fixtures");
const web = createServer((request, response) => {
  try {
    response.end(readFileSync(join(FIXTURES, decodeURIComponent(new URL(request.url!, "http://x").pathname))));
  } catch {
    response.writeHead(404).end("none");
  }
});
await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
after(() => web.close());
const origin = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;

for (const backend of await testedBackends()) {
  const { name } = backend;
  describe(`BERT.fetch on ${name}`, () => {
    it("has everything that BERT.load has: tokenizer, heads, sentence-transformers' pooling", async () => {
      await using sentence = await BERT.fetch(`${origin}/bert/sentence/`, { backend });
      await using own = await BERT.load(join(FIXTURES, "bert/sentence"), { backend: name as "reference" });
      const text = "the cat sat on the mat where paris is not the capital of france, is it?";
      assert.deepEqual(await sentence.embed(text), await own.embed(text));
      await using masked = await BERT.fetch(`${origin}/roberta/masked/`, { backend });
      const [best] = await masked.fillMask("The <mask> sat on the mat.");
      await using there = await BERT.load(join(FIXTURES, "roberta/masked"), { backend: name as "reference" });
      assert.deepEqual(best, (await there.fillMask("The <mask> sat on the mat."))[0]);
    });
  });
}

it("BERT.fetch says what it can't fetch", async () => {
  const backend = await referenceBackend();
  await assert.rejects(BERT.fetch(`${origin}/none/`, { backend }), { name: "CheckpointError" });
  await assert.rejects(BERT.fetch(`${origin}/gpt2-odd/`, { backend, typo: 1 } as object), /typo/);
});
