import type { Backend, DeviceArray } from "../backend/backend.js";
import type { Dim, Recorder, Tensor } from "../program/program.js";
import type { ModelConfig } from "./config.js";
import type { Visible } from "./layers.js";
import { architectureOf } from "./registry.js";

/**
 * The inputs of a run, i32 [N] each: every token's id, position, and the first and last key row that it sees. Layers with local
 * attention have another `first`, one column for each window width in the model. An architecture may declare more columns, such
 * as token types.
 */
export interface TokenInputs {
  readonly tokens: Tensor;
  readonly positions: Tensor;
  readonly last: Tensor;
  /** The key rows that tokens see in a layer. */
  visible(layer: number): Visible;
  /** A column declared by the architecture. */
  extra(name: string): Tensor;
}

/** Columns of every model. */
export const TOKEN_COLUMNS = ["tokens", "positions", "first", "last"] as const;

/** The columns of a run by name: those of every model, and the architecture's own. */
export type TokenColumns = Readonly<Record<(typeof TOKEN_COLUMNS)[number], Int32Array>> &
  Readonly<Record<string, Int32Array>>;

const windowColumn = (window: number): string => `first.${window}`;

/** The distinct window widths of local layers. A window as wide as the context hides nothing and does not count. */
function windowsOf(config: ModelConfig): number[] {
  const { window } = architectureOf(config);
  const windows = Array.from({ length: config.nLayer }, (_, layer) => window(config, layer));
  return [...new Set(windows)].filter((size) => size !== undefined).filter((size) => size < config.nCtx);
}

/** Declares the inputs of a run of N tokens. */
export function tokenInputs(k: Recorder, config: ModelConfig, N: Dim): TokenInputs {
  const { window, extraInputs } = architectureOf(config);
  const input = (name: string): Tensor => k.external(name, [N], "i32");
  const [tokens, positions, first, last] = TOKEN_COLUMNS.map(input) as [Tensor, Tensor, Tensor, Tensor];
  const local = new Map(windowsOf(config).map((size) => [size, input(windowColumn(size))]));
  const extra = new Map(extraInputs.map((name) => [name, input(name)]));
  return {
    tokens,
    positions,
    last,
    visible: (layer) => ({ first: local.get(window(config, layer) ?? 0) ?? first, last }),
    extra: (name) => extra.get(name)!,
  };
}

/** The arrays of these inputs on a backend. */
export class TokenArrays {
  readonly bindings: Readonly<Record<string, DeviceArray>>;
  readonly #windows: readonly { readonly size: number; readonly first: Int32Array; readonly array: DeviceArray }[];
  readonly #extra: readonly string[];

  /** @param N most tokens of a run */
  constructor(backend: Backend, config: ModelConfig, N: number) {
    const array = (): DeviceArray => backend.alloc("i32", N);
    this.#extra = architectureOf(config).extraInputs;
    const named = [...TOKEN_COLUMNS, ...this.#extra].map((name) => [name, array()] as const);
    this.#windows = windowsOf(config).map((size) => ({ size, first: new Int32Array(N), array: array() }));
    const windows = this.#windows.map(({ size, array }) => [windowColumn(size), array] as const);
    this.bindings = Object.fromEntries([...named, ...windows]);
  }

  dispose(): void {
    for (const array of Object.values(this.bindings)) array.dispose();
  }

  /** Writes the columns of the first N tokens. Columns of the architecture that are not given are zero. */
  write(columns: TokenColumns, N: number): void {
    const { first, last } = columns;
    for (const name of TOKEN_COLUMNS) this.bindings[name]!.write(columns[name].subarray(0, N));
    for (const name of this.#extra) this.bindings[name]!.write((columns[name] ?? new Int32Array(N)).subarray(0, N));
    for (const window of this.#windows) {
      for (let n = 0; n < N; n++) window.first[n] = Math.max(first[n]!, last[n]! - window.size + 1);
      window.array.write(window.first.subarray(0, N));
    }
  }
}

/**
 * Fills `last` from `first`, for consecutive texts. The last key row that a token sees is its own or, with bidirectional
 * attention, the end of its text.
 */
export function fillLast(config: ModelConfig, first: Int32Array, last: Int32Array, N: number): void {
  const causal = architectureOf(config).attention === "causal";
  for (let n = N - 1; n >= 0; n--) last[n] = !causal && n + 1 < N && first[n + 1] === first[n] ? last[n + 1]! : n;
}
