/** What this engine's WebAssembly can do, asked by validating tiny modules. */

/** A module whose one function, from nothing to nothing, has this body. */
function moduleOf(body: readonly number[]): Uint8Array<ArrayBuffer> {
  const header = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]; // "\0asm", version 1
  const type = [1, 4, 1, 0x60, 0, 0];
  const functions = [3, 2, 1, 0];
  const code = [0, ...body, 0x0b]; // no locals; end
  return Uint8Array.from([...header, ...type, ...functions, 10, code.length + 2, 1, code.length, ...code]);
}

const ZEROS = [0x41, 0, 0xfd, 0x0f]; // i32.const 0, i8x16.splat
const DROP = 0x1a;

export function hasSimd(): boolean {
  return WebAssembly.validate(moduleOf([...ZEROS, DROP]));
}

/** Relaxed SIMD: multiply-adds that round once where the processor has them. */
export function hasRelaxedSimd(): boolean {
  const relaxedMadd = [0xfd, 0x85, 0x02];
  return WebAssembly.validate(moduleOf([...ZEROS, ...ZEROS, ...ZEROS, ...relaxedMadd, DROP]));
}
