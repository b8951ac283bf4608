/**
 * Facts about a shared library, from enough of the formats ELF, Mach-O and PE to check a library that cannot run here.
 */
export interface LibraryFacts {
  readonly format: "ELF" | "Mach-O" | "PE";
  readonly machine: string;
  /** Names of exported functions. */
  readonly exports: readonly string[];
  /** Names of the libraries that it loads. */
  readonly needed: readonly string[];
  /** Versions of glibc's symbols that it needs: `2.17`. */
  readonly glibc: readonly string[];
}

/** @throws the file has none of the three formats. */
export function describeLibrary(bytes: Uint8Array): LibraryFacts {
  const reader = new Reader(bytes);
  if (reader.u32(0) === 0x464c457f) return describeElf(reader);
  if (reader.u32(0) === 0xfeedfacf) return describeMachO(reader);
  if (reader.u16(0) === 0x5a4d) return describePe(reader);
  throw new Error("neither ELF nor Mach-O nor PE");
}

/** Little-endian numbers and strings at offsets. */
class Reader {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8 = (at: number): number => this.#view.getUint8(at);
  u16 = (at: number): number => this.#view.getUint16(at, true);
  u32 = (at: number): number => this.#view.getUint32(at, true);
  u64 = (at: number): number => Number(this.#view.getBigUint64(at, true));

  /** A string that ends with a zero byte. */
  text(at: number): string {
    return new TextDecoder().decode(this.#bytes.subarray(at, this.#bytes.indexOf(0, at)));
  }
}

const ELF_MACHINES: Readonly<Record<number, string>> = { 62: "x64", 183: "arm64" };
/** Section types. */
const [SHT_DYNAMIC, SHT_DYNSYM, SHT_VERNEED] = [6, 11, 0x6ffffffe];
const DT_NEEDED = 1;

interface ElfSection {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
}

function describeElf(r: Reader): LibraryFacts {
  const [start, size, count] = [r.u64(40), r.u16(58), r.u16(60)];
  const sections = Array.from({ length: count }, (_, i): ElfSection => {
    const at = start + i * size;
    const [type, link, info] = [r.u32(at + 4), r.u32(at + 40), r.u32(at + 44)];
    return { type, offset: r.u64(at + 24), size: r.u64(at + 32), link, info };
  });
  const entries = (type: number, entry: number): { at: number; strings: number }[] =>
    sections
      .filter((section) => section.type === type)
      .flatMap(({ offset, size, link }) => {
        const strings = sections[link]!.offset;
        return Array.from({ length: size / entry }, (_, i) => ({ at: offset + i * entry, strings }));
      });
  // A symbol: name, binding and type, visibility, section (0: imported from another library), address, size.
  const exports = entries(SHT_DYNSYM, 24).flatMap(({ at, strings }) =>
    r.u16(at + 6) === 0 ? [] : [r.text(strings + r.u32(at))],
  );
  const needed = entries(SHT_DYNAMIC, 16).flatMap(({ at, strings }) =>
    r.u64(at) === DT_NEEDED ? [r.text(strings + r.u64(at + 8))] : [],
  );
  return {
    format: "ELF",
    machine: ELF_MACHINES[r.u16(18)] ?? `${r.u16(18)}`,
    exports,
    needed,
    glibc: glibc(r, sections),
  };
}

/** Verneed: a list of libraries, each with a list of versions. */
function glibc(r: Reader, sections: readonly ElfSection[]): string[] {
  const versions: string[] = [];
  for (const { type, offset, link, info } of sections) {
    if (type !== SHT_VERNEED) continue;
    let library = offset;
    for (let i = 0; i < info; i++, library += r.u32(library + 12)) {
      let version = library + r.u32(library + 8);
      for (let k = 0; k < r.u16(library + 2); k++, version += r.u32(version + 12)) {
        versions.push(r.text(sections[link]!.offset + r.u32(version + 8)));
      }
    }
  }
  return versions.flatMap((name) => (name.startsWith("GLIBC_") ? [name.slice(6)] : []));
}

const MACH_MACHINES: Readonly<Record<number, string>> = { 16777223: "x64", 16777228: "arm64" };
/** Load commands. */
const [LC_SYMTAB, LC_LOAD_DYLIB] = [2, 12];
/** Bits of a symbol's type: whether it is external, and where it is defined (here: in a section). */
const [N_EXT, N_TYPE, N_SECT] = [1, 0x0e, 0x0e];

function describeMachO(r: Reader): LibraryFacts {
  const needed: string[] = [];
  const exports: string[] = [];
  let at = 32;
  for (let i = 0; i < r.u32(16); i++, at += r.u32(at + 4)) {
    if (r.u32(at) === LC_LOAD_DYLIB) needed.push(r.text(at + r.u32(at + 8)));
    if (r.u32(at) !== LC_SYMTAB) continue;
    const [symbols, count, strings] = [r.u32(at + 8), r.u32(at + 12), r.u32(at + 16)];
    for (let k = 0; k < count; k++) {
      const symbol = symbols + 16 * k;
      const type = r.u8(symbol + 4);
      // Names begin with an underscore.
      if ((type & N_EXT) !== 0 && (type & N_TYPE) === N_SECT) exports.push(r.text(strings + r.u32(symbol)).slice(1));
    }
  }
  return { format: "Mach-O", machine: MACH_MACHINES[r.u32(4)] ?? `${r.u32(4)}`, exports, needed, glibc: [] };
}

const PE_MACHINES: Readonly<Record<number, string>> = { 34404: "x64", 43620: "arm64" };

function describePe(r: Reader): LibraryFacts {
  const header = r.u32(0x3c) + 4;
  const optional = header + 20;
  const sections = Array.from({ length: r.u16(header + 2) }, (_, i) => {
    const at = optional + r.u16(header + 16) + 40 * i;
    return { address: r.u32(at + 12), size: r.u32(at + 16), offset: r.u32(at + 20) };
  });
  const offsetOf = (address: number): number => {
    const section = sections.find((s) => address >= s.address && address < s.address + s.size);
    if (!section) throw new Error(`PE: address ${address} is in no section`);
    return address - section.address + section.offset;
  };
  // Directories of the 64-bit optional header: exports, then imports.
  const [exportTable, importTable] = [r.u32(optional + 112), r.u32(optional + 120)];
  const exports: string[] = [];
  if (exportTable !== 0) {
    const at = offsetOf(exportTable);
    const names = offsetOf(r.u32(at + 32));
    for (let i = 0; i < r.u32(at + 24); i++) exports.push(r.text(offsetOf(r.u32(names + 4 * i))));
  }
  const needed: string[] = [];
  if (importTable !== 0) {
    for (let at = offsetOf(importTable); r.u32(at + 12) !== 0; at += 20) needed.push(r.text(offsetOf(r.u32(at + 12))));
  }
  return { format: "PE", machine: PE_MACHINES[r.u16(header)] ?? `${r.u16(header)}`, exports, needed, glibc: [] };
}
