interface HasSetImmediate {
  setImmediate?: (callback: () => void) => unknown;
}

/**
 * Resolves after due timers, input and rendering have had their turn. Unlike a zero timeout it is not delayed
 * 4 ms by browsers.
 */
export function yieldToEventLoop(): Promise<void> {
  const { setImmediate } = globalThis as HasSetImmediate;
  if (setImmediate) return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
