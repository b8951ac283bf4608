/**
 * How many bytes of typed arrays have been made since this was imported: the constructors count. (Copies by `slice` are
 * not counted; they are no longer than what they copy.)
 */
let bytes = 0;

const NAMES = [
  ...(["Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array"] as const),
  ...(["Uint32Array", "Float32Array", "Float64Array", "BigInt64Array", "BigUint64Array"] as const),
  ...(["ArrayBuffer", "SharedArrayBuffer"] as const),
];

type Counted = new (...args: unknown[]) => { readonly byteLength: number; readonly buffer?: unknown };

for (const name of NAMES) {
  const original = globalThis[name] as unknown as Counted;
  const counting: Counted = new Proxy(original, {
    construct(target, args: unknown[], newTarget) {
      const made = Reflect.construct(
        target,
        args,
        newTarget === counting ? target : newTarget,
      ) as InstanceType<Counted>;
      // A view allocates nothing.
      if (made.buffer === undefined || made.buffer !== args[0]) bytes += made.byteLength;
      return made;
    },
  });
  Object.assign(globalThis, { [name]: counting });
}

export const allocatedBytes = (): number => bytes;
