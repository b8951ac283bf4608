import assert from "node:assert/strict";
import { it } from "node:test";
import { findBrowser } from "../helpers/find-browser.js";
import { visitPage } from "../helpers/visit-page.js";
import type { BrowserResult } from "./browser/page.js";
import { Site } from "./browser/site.js";

/** Visits a page that is not cross-origin isolated, then one that is, and returns the results posted by both. */
async function visit(program: string): Promise<{ plain: BrowserResult; isolated: BrowserResult }> {
  const received: BrowserResult[] = [];
  let finish: () => void;
  const done = new Promise<void>((resolve) => (finish = resolve));
  const site = await Site.open((result) => {
    received.push(result as BrowserResult);
    if (received.length === 2) finish();
    site.isolated = true;
    return site.page({ others: JSON.stringify([{ threads: 1 }, { relaxed: false }, { place: "worker" }]) });
  });
  try {
    await visitPage(program, site.page({ others: JSON.stringify([{ relaxed: false }, { place: "here" }]) }), done);
    return { plain: received[0]!, isolated: received[1]! };
  } finally {
    site.close();
  }
}

/** Two layers in single precision. */
const TOLERANCE = 1e-5;

function check(result: BrowserResult, isolated: boolean, backends: readonly RegExp[]): void {
  assert.equal(result.error, undefined);
  assert.equal(result.crossOriginIsolated, isolated);
  assert.equal(result.backends.length, backends.length);
  for (const [i, pattern] of backends.entries()) {
    assert.match(result.backends[i]!, pattern);
    assert.ok(result.largestLogit > 1);
    assert.ok(
      result.differences[i]! <= TOLERANCE * result.largestLogit,
      `${result.backends[i]}: ${result.differences[i]}`,
    );
    assert.deepEqual(result.generated[i], result.generated.at(-1), result.backends[i]);
  }
  assert.equal(result.generated.at(-1)!.length, 20);
  assert.ok(result.turns > 2, "the page stays responsive");
}

const program = findBrowser();

it("runs in Chromium, cross-origin isolated and not", {
  skip: program ? false : "no Chromium in the path",
}, async () => {
  const { plain, isolated } = await visit(program!);
  check(plain, false, [/on a worker with its own memory/, /\(SIMD, on a worker/, /on the calling thread/]);
  check(isolated, true, [/threads?\)/, /1 thread\)/, /\(SIMD, /, /on a worker with its own memory/]);
});
