/**
 * Loads Node's test runner without its async hook. With the hook, which finds the test that an uncaught error belongs to, Node
 * calls JavaScript at every step of every promise: await takes 17 times as long in Node 20, a fifth of the tests of the server.
 * Without it, an uncaught error ends its process, and so fails the whole file. Import it before anything imports `node:test`.
 *
 * Tests must be declared synchronously: by a module, or by a `describe` that is not async.
 */
import asyncHooks from "node:async_hooks";

const { createHook, AsyncResource } = asyncHooks;
const disabled = { enable: () => disabled, disable: () => disabled };
let init: Parameters<typeof createHook>[0]["init"];

/** What the runner's tests are made of: they still learn which test declares them. */
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
