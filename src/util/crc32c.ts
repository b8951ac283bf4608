/** Reflected 32-bit CRCs. Naively one table look-up per byte; here eight bytes at a time with eight tables ("slicing by 8"). */

/** tables[k][byte]: the contribution of a byte that k bytes follow. @param polynomial with its bits reversed */
function makeTables(polynomial: number): Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    return crc;
  });
  const tables = [first];
  for (let k = 1; k < 8; k++) tables.push(tables[k - 1]!.map((crc) => first[crc & 0xff]! ^ (crc >>> 8)));
  return tables;
}

let castagnoli: readonly Uint32Array[] | undefined;
let ieee: readonly Uint32Array[] | undefined;

/** CRC-32C (Castagnoli; RFC 3720, appendix B.4). @param before checksum of the preceding bytes, to continue from */
export function crc32c(bytes: Uint8Array, before = 0): number {
  castagnoli ??= makeTables(0x82f63b78);
  return crc(bytes, before, castagnoli);
}

/** Node's own, many times as fast; missing before 20.16 and 22.3. */
const { process } = globalThis as { process?: { getBuiltinModule?: (id: string) => unknown } };
const zlib = process?.getBuiltinModule?.("node:zlib") as { crc32?: typeof crc32 } | undefined;
const nativeCrc32 = zlib?.crc32;

/** CRC-32 of zip and gzip (IEEE 802.3). @param before checksum of the preceding bytes, to continue from */
export function crc32(bytes: Uint8Array, before = 0): number {
  if (nativeCrc32) return nativeCrc32(bytes, before);
  ieee ??= makeTables(0xedb88320);
  return crc(bytes, before, ieee);
}

function crc(bytes: Uint8Array, before: number, tables: readonly Uint32Array[]): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as readonly [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let crc = ~before;
  let i = 0;
  for (; i + 8 <= bytes.length; i += 8) {
    const low = view.getInt32(i, true) ^ crc;
    const high = view.getInt32(i + 4, true);
    crc =
      t7[low & 0xff]! ^
      t6[(low >>> 8) & 0xff]! ^
      t5[(low >>> 16) & 0xff]! ^
      t4[low >>> 24]! ^
      t3[high & 0xff]! ^
      t2[(high >>> 8) & 0xff]! ^
      t1[(high >>> 16) & 0xff]! ^
      t0[high >>> 24]!;
  }
  for (; i < bytes.length; i++) crc = t0[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/**
 * The form of a checksum inside TensorFlow's and LevelDB's files, which are themselves checksummed: rotated, with a
 * constant added.
 */
export function maskCrc32c(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
