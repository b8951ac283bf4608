/**
 * Loads Node's test runner without its async hook, which attributes an uncaught error to a test, and makes Node call JavaScript
 * at every step of every promise. Without it, an uncaught error ends the process, and the runner reports all its files as failed.
 * A `describe` must not be async: after an await, its tests would be attributed to no suite. Import this module before
 * anything imports `node:test`.
 */
import asyncHooks from "node:async_hooks";

const { createHook, AsyncResource } = asyncHooks;
const disabled = { enable: () => disabled, disable: () => disabled };
let init: Parameters<typeof createHook>[0]["init"];

/** Base class of the runner's tests: calls the hook for these alone, so that a test still finds its suite. */
class TestResource extends AsyncResource {
  constructor(...args: ConstructorParameters<typeof AsyncResource>) {
    super(...args);
    init?.(this.asyncId(), args[0], this.triggerAsyncId(), this);
  }
}

Object.assign(asyncHooks, {
  createHook: (callbacks: Parameters<typeof createHook>[0]) => {
    init = callbacks.init;
    return disabled;
  },
  AsyncResource: TestResource,
});
await import("node:test");
Object.assign(asyncHooks, { createHook, AsyncResource });
