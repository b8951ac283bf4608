import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Mutator, reading } from "../checkpoint/mutator.js";

/** A copy of a folder in which one file at a time is damaged, for readers that take paths. */
export class DamagedFolder {
  readonly path: string;
  readonly #root: string;
  readonly #good: ReadonlyMap<string, Uint8Array>;

  constructor(folder: string, names: readonly string[]) {
    this.#root = mkdtempSync(join(tmpdir(), "gpt2-damaged-"));
    this.path = join(this.#root, "copy");
    cpSync(folder, this.path, { recursive: true });
    this.#good = new Map(names.map((name) => [name, new Uint8Array(readFileSync(join(folder, name)))]));
  }

  /** An empty folder to put files into. */
  static of(files: Readonly<Record<string, Uint8Array | string>>): DamagedFolder {
    const folder = mkdtempSync(join(tmpdir(), "gpt2-whole-"));
    mkdirSync(folder, { recursive: true });
    for (const [name, contents] of Object.entries(files)) writeFileSync(join(folder, name), contents);
    try {
      return new DamagedFolder(folder, Object.keys(files));
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  /** Runs `use` while one file, chosen at random, is damaged: JSON in its text, binary files mostly in their header. */
  async damaged(mutator: Mutator, use: (name: string) => Promise<void>): Promise<void> {
    const name = mutator.pick([...this.#good.keys()]);
    const good = this.#good.get(name)!;
    const isJson = name.endsWith(".json") && mutator.below(4) > 0;
    const text = () => new TextEncoder().encode(mutator.json(new TextDecoder().decode(good)));
    const bytes = isJson ? text() : mutator.bytes(good, mutator.below(2) > 0 ? 512 : good.length);
    this.#write(name, bytes);
    for (const file of this.#good.values()) reading(file);
    try {
      await use(name);
    } finally {
      this.#write(name, good);
    }
  }

  remove(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }

  /** A new file each time: a mapped file must not be truncated. */
  #write(name: string, bytes: Uint8Array): void {
    const path = join(this.path, name);
    writeFileSync(`${path}.new`, bytes);
    renameSync(`${path}.new`, path);
  }
}
