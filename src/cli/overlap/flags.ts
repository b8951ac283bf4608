import type { ModelFlags } from "../options.js";

export interface BuildFlags {
  readonly out: string;
  readonly n: number;
  readonly rate: number;
  readonly workers?: number;
  readonly field: string;
  readonly splitOn?: string;
  readonly overwrite?: true;
  readonly progress?: true;
  readonly json?: true;
}

export interface OverlapFlags extends ModelFlags {
  readonly data?: string;
  readonly results?: string;
  readonly evaluate?: true;
  readonly threshold: number;
  readonly samples?: number;
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly seed: number;
  readonly limit?: number;
  readonly field: string;
  readonly splitOn?: string;
  readonly show: number;
  readonly progress?: true;
  readonly json?: true;
}
