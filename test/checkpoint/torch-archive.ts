/** A zip archive as torch.save makes it, of any pickle and storages, without checksums, which its readers don't need. */

interface Entry {
  readonly name: string;
  readonly data: Uint8Array;
}

export function torchArchive(pickle: Uint8Array, storages: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const entries = Object.entries(storages).map(([key, data]) => ({ name: `archive/data/${key}`, data }));
  return zipArchive([{ name: "archive/data.pkl", data: pickle }, ...entries]);
}

/** Entries stored as they are (PKWARE's APPNOTE.TXT, 4.3.7, 4.3.12, 4.3.16). */
export function zipArchive(entries: readonly Entry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const { name, data } of entries) {
    const text = new TextEncoder().encode(name);
    const sizes = [...u32(data.length), ...u32(data.length)];
    const common = [...u16(20), ...u16(0), ...u16(0), ...u32(0), ...u32(0), ...sizes, ...u16(text.length), ...u16(0)];
    const local = Uint8Array.from([...u32(0x04034b50), ...common, ...text]);
    directory.push(Uint8Array.from([...u32(0x02014b50), ...u16(20), ...common, ...zeros(10), ...u32(at), ...text]));
    parts.push(local, data);
    at += local.length + data.length;
  }
  const size = directory.reduce((sum, entry) => sum + entry.length, 0);
  const counts = [...u16(entries.length), ...u16(entries.length)];
  const end = Uint8Array.from([...u32(0x06054b50), ...zeros(4), ...counts, ...u32(size), ...u32(at), ...u16(0)]);
  return Buffer.concat([...parts, ...directory, end]);
}

const u16 = (n: number): number[] => [n & 255, n >>> 8];
const u32 = (n: number): number[] => [...u16(n & 0xffff), ...u16(n >>> 16)];
const zeros = (n: number): number[] => new Array<number>(n).fill(0);
