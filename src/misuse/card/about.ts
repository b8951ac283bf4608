import { DataError } from "../../errors.js";
import { mismatch } from "../../util/json-shape.js";

/** Texts of one kind that a model was trained on. */
export interface DataSource {
  readonly source: string;
  readonly license: string;
  readonly documents?: number;
  readonly bytes?: number;
}

/**
 * Facts that a model's files do not hold, given by those who release it: fields of a model card (Mitchell et al. 2019, "Model
 * Cards for Model Reporting"). The card says "Not known." for fields that are missing.
 */
export interface AboutModel {
  readonly name?: string;
  readonly description?: string;
  readonly authors?: string;
  readonly date?: string;
  readonly version?: string;
  /** An identifier of the hub, such as `mit` or `cc-by-4.0`. */
  readonly license?: string;
  /** Language codes, such as `en`. */
  readonly languages?: readonly string[];
  /** The model that it was made from, or `none` if it was trained from random weights. */
  readonly baseModel?: string;
  /** Data sets of the hub, by name. */
  readonly datasets?: readonly string[];
  /** The library that loads it, by the hub's name, such as `transformers`. */
  readonly library?: string;
  /** The training data by source, with each source's licence. */
  readonly dataSources?: readonly DataSource[];
  readonly trainingData?: string;
  readonly dataLicenses?: string;
  readonly recipe?: string;
  readonly intendedUse?: string;
  readonly outOfScopeUse?: string;
  readonly factors?: string;
  readonly evaluationData?: string;
  readonly ethicalConsiderations?: string;
  readonly caveats?: string;
  readonly contact?: string;
  readonly citation?: string;
}

/** The base of a model without one. */
export const NO_BASE = "none";

const TEXT = { optional: "string" } as const;
const LIST = { optional: { list: "string" } } as const;
const COUNT = { optional: "count" } as const;
const SOURCES = {
  optional: { list: { fields: { source: "string", license: "string", documents: COUNT, bytes: COUNT } } },
} as const;
const FIELDS: { readonly [Field in keyof Required<AboutModel>]: typeof TEXT | typeof LIST | typeof SOURCES } = {
  name: TEXT,
  description: TEXT,
  authors: TEXT,
  date: TEXT,
  version: TEXT,
  license: TEXT,
  languages: LIST,
  baseModel: TEXT,
  datasets: LIST,
  library: TEXT,
  dataSources: SOURCES,
  trainingData: TEXT,
  dataLicenses: TEXT,
  recipe: TEXT,
  intendedUse: TEXT,
  outOfScopeUse: TEXT,
  factors: TEXT,
  evaluationData: TEXT,
  ethicalConsiderations: TEXT,
  caveats: TEXT,
  contact: TEXT,
  citation: TEXT,
};

/** @throws {DataError} there are other fields, or values of another type. */
export function checkAbout(value: unknown, path: string): AboutModel {
  const op = `reading ${path}`;
  const found = mismatch(value, { fields: FIELDS });
  if (found) throw new DataError({ op: found.path === "" ? op : `${op}: ${found.path}`, ...found });
  const unknown = Object.keys(value as object).find((field) => !Object.hasOwn(FIELDS, field));
  if (unknown === undefined) return value as AboutModel;
  throw new DataError({ op, expected: `the fields ${Object.keys(FIELDS).join(", ")}`, got: unknown });
}
