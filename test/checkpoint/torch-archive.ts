/** A zip archive in torch.save's form, of any pickle and storages, without checksums, which its readers don't need. */
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";

interface Entry {
  readonly name: string;
  readonly data: Uint8Array;
}

export function torchArchive(pickle: Uint8Array, storages: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const entries = Object.entries(storages).map(([key, data]) => ({ name: `archive/data/${key}`, data }));
  return zipArchive([{ name: "archive/data.pkl", data: pickle }, ...entries]);
}

export function zipArchive(entries: readonly Entry[]): Uint8Array {
  const { pieces, size } = layout(entries.map(({ name, data }) => ({ name, data, size: data.length })));
  const archive = new Uint8Array(size);
  for (const [offset, bytes] of pieces) archive.set(bytes, offset);
  return archive;
}

/** Writes an archive whose first entry is a hole of `hole` bytes, which takes no room on most file systems. */
export function writeSparseArchive(path: string, hole: number, entries: readonly Entry[]): void {
  const rest = entries.map(({ name, data }) => ({ name, data, size: data.length }));
  const { pieces, size } = layout([{ name: "archive/hole", data: new Uint8Array(0), size: hole }, ...rest]);
  const file = openSync(path, "w");
  ftruncateSync(file, size);
  for (const [offset, bytes] of pieces) writeSync(file, bytes, 0, bytes.length, offset);
  closeSync(file);
}

/** The entries of an archive of torch.save, found by their local headers. */
export function archiveEntries(archive: Uint8Array): Entry[] {
  const view = new DataView(archive.buffer, archive.byteOffset, archive.byteLength);
  const text = Buffer.from(archive).toString("latin1");
  const entries: Entry[] = [];
  for (let at = text.indexOf("PK\x01\x02"); at !== -1; at = text.indexOf("PK\x01\x02", at + 1)) {
    const [size, nameLength, local] = [
      view.getUint32(at + 24, true),
      view.getUint16(at + 28, true),
      view.getUint32(at + 42, true),
    ];
    const start = local + 30 + nameLength + view.getUint16(local + 28, true);
    entries.push({ name: text.slice(at + 46, at + 46 + nameLength), data: archive.subarray(start, start + size) });
  }
  return entries;
}

/** The same archive without checksums, which PyTorch can also write: changes in it are then read. */
export function withoutChecksums(archive: Uint8Array): Uint8Array {
  const copy = Buffer.from(archive);
  for (let at = copy.indexOf("PK\x01\x02"); at !== -1; at = copy.indexOf("PK\x01\x02", at + 1))
    copy.fill(0, at + 16, at + 20);
  return new Uint8Array(copy);
}

/**
 * Uncompressed entries (PKWARE's APPNOTE.TXT, 4.3.7 to 4.3.16, 4.5.3), with sizes in 64 bits where 32 are not enough.
 */
function layout(entries: readonly (Entry & { size: number })[]) {
  const pieces: [offset: number, bytes: Uint8Array][] = [];
  const directory: number[] = [];
  let at = 0;
  for (const { name, data, size } of entries) {
    const text = [...new TextEncoder().encode(name)];
    const wide = [size, size, at].filter((n) => n >= 0xffffffff).flatMap(u64);
    const extra = wide.length > 0 ? [...u16(1), ...u16(wide.length), ...wide] : [];
    const common = [...u16(45), ...zeros(12), ...u32(size), ...u32(size), ...u16(text.length)];
    const local = Uint8Array.from([...u32(0x04034b50), ...common.slice(0, 26), ...u16(0), ...text]);
    directory.push(...u32(0x02014b50), ...u16(45), ...common, ...u16(extra.length), ...zeros(10), ...u32(at));
    directory.push(...text, ...extra);
    pieces.push([at, local], [at + local.length, data]);
    at += local.length + size;
  }
  const count = entries.length;
  const end64 = [...u32(0x06064b50), ...u64(44), ...u16(45), ...u16(45), ...zeros(8), ...u64(count), ...u64(count)];
  const place = [...u64(directory.length), ...u64(at)];
  const locator = [...u32(0x07064b50), ...zeros(4), ...u64(at + directory.length), ...u32(1)];
  const end = [
    ...u32(0x06054b50),
    ...zeros(4),
    ...u16(count),
    ...u16(count),
    ...u32(directory.length),
    ...u32(at),
    0,
    0,
  ];
  const tail = Uint8Array.from([...directory, ...end64, ...place, ...locator, ...end]);
  pieces.push([at, tail]);
  return { pieces, size: at + tail.length };
}

const u16 = (n: number): number[] => [n & 255, (n >>> 8) & 255];
/** All ones mark values that are given in 64 bits elsewhere. */
const u32 = (n: number): number[] => (n >= 0xffffffff ? [255, 255, 255, 255] : [...u16(n & 0xffff), ...u16(n >>> 16)]);
const u64 = (n: number): number[] => [...new Uint8Array(BigUint64Array.of(BigInt(n)).buffer)];
const zeros = (n: number): number[] => new Array<number>(n).fill(0);
