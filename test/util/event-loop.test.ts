import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { yieldToEventLoop } from "../../src/util/event-loop.js";

describe("yieldToEventLoop", () => {
  const letsTimersRun = async (): Promise<void> => {
    let fired = false;
    setTimeout(() => {
      fired = true;
    }, 0);
    for (const end = Date.now() + 10_000; !fired && Date.now() < end; ) await yieldToEventLoop();
    assert.ok(fired, "a due timer has its turn");
  };

  it("runs other callbacks", letsTimersRun);

  it("runs other callbacks without setImmediate, as in browsers", async () => {
    const { setImmediate } = globalThis;
    try {
      Reflect.deleteProperty(globalThis, "setImmediate");
      await letsTimersRun();
    } finally {
      globalThis.setImmediate = setImmediate;
    }
  });
});
