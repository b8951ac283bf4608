import type { Backend, DeviceArray, Executable } from "../backend/backend.js";
import { Recorder } from "../program/program.js";
import { blocksOf, type RowSummary, type SummarySettings, topsOnly } from "./sampling/row-summary.js";

/** Results and settings of each row, by their names in the operation. */
const COLUMNS = ["bars", "totals", "scales", "shares", "floors"] as const;

interface Prepared {
  readonly limit: number;
  readonly run: Executable;
  readonly tops: DeviceArray;
  readonly sums: DeviceArray;
}

/**
 * Summaries of the rows of logits of an engine's last run. Naively each sampler reads all logits of its row, in
 * JavaScript; the kernel `summariseRows` reads them where they are and leaves a few numbers for every block of ids.
 */
export class RowSummaries {
  readonly #backend: Backend;
  readonly #rows: number;
  readonly #vocabSize: number;
  readonly #logits: DeviceArray;
  readonly #columns: Readonly<Record<(typeof COLUMNS)[number], DeviceArray>>;
  #prepared: Prepared | undefined;

  /** @param logits [rows, vocabSize] */
  constructor(backend: Backend, rows: number, vocabSize: number, logits: DeviceArray) {
    this.#backend = backend;
    this.#rows = rows;
    this.#vocabSize = vocabSize;
    this.#logits = logits;
    const columns = COLUMNS.map((name) => [name, backend.alloc("f32", rows)] as const);
    this.#columns = Object.fromEntries(columns) as Record<(typeof COLUMNS)[number], DeviceArray>;
  }

  /** The summary of each row, valid until the next call. A row without settings has tops only. */
  async of(wanted: readonly (SummarySettings | undefined)[]): Promise<(row: number) => RowSummary> {
    const { length } = wanted;
    const limit = wanted.find((settings) => settings !== undefined)!.limit;
    const { run, tops, sums } = await this.#prepare(limit);
    const settings = wanted.map((own) => own ?? topsOnly(limit));
    const { bars, totals, scales, shares, floors } = this.#columns;
    scales.write(settings.map(({ scale }) => scale));
    shares.write(settings.map(({ share }) => share));
    floors.write(settings.map(({ floor }) => floor));
    await run.run({ dims: { N: length } });
    const B = blocksOf(limit);
    const read = async (array: DeviceArray, size: number) => {
      return (array.host ?? (await array.read(0, size))) as Float32Array | Float64Array;
    };
    const [t, s] = [await read(tops, length * B), await read(sums, length * B)];
    const [b, a] = [await read(bars, length), await read(totals, length)];
    return (row) => {
      const of = (values: Float32Array | Float64Array) => values.subarray(row * B, (row + 1) * B);
      return { tops: of(t), sums: of(s), bar: b[row]!, total: a[row]! };
    };
  }

  async #prepare(limit: number): Promise<Prepared> {
    if (this.#prepared?.limit === limit) return this.#prepared;
    this.#release();
    const [V, L, B] = [this.#vocabSize, limit, blocksOf(limit)];
    const k = new Recorder("summarize rows");
    const N = k.sym("N", this.#rows);
    const [tops, sums] = [this.#backend.alloc("f32", this.#rows * B), this.#backend.alloc("f32", this.#rows * B)];
    const bindings = { tops, sums, logits: this.#logits, ...this.#columns };
    const column = (name: string) => k.external(name, [N]);
    const tensors = {
      tops: k.external("tops", [N, B]),
      sums: k.external("sums", [N, B]),
      bars: column("bars"),
      totals: column("totals"),
      logits: k.external("logits", [N, V]),
      scales: column("scales"),
      shares: column("shares"),
      floors: column("floors"),
    };
    k.op("summariseRows", "summary", tensors, { N, V, L, B }, {});
    this.#prepared = { limit, run: await this.#backend.prepare(k.build(), bindings), tops, sums };
    return this.#prepared;
  }

  #release(): void {
    this.#prepared?.run.dispose();
    this.#prepared?.tops.dispose();
    this.#prepared?.sums.dispose();
    this.#prepared = undefined;
  }

  dispose(): void {
    this.#release();
    for (const column of Object.values(this.#columns)) column.dispose();
  }
}
