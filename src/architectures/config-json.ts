import type { JsonObject } from "../checkpoint/strict-json.js";
import { ConfigError } from "../errors.js";
import type { Activation } from "../program/activations.js";
import { quote } from "../util/quote.js";

/** Activations with all of transformers' names for them (transformers/activations.py). Writers use the first. */
const ACTIVATIONS: Readonly<Record<Activation, readonly string[]>> = {
  gelu_new: ["gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast", "gelu_accurate"],
  gelu: ["gelu", "gelu_python"],
  relu: ["relu"],
  silu: ["silu", "swish"],
  tanh: ["tanh"],
  quick_gelu: ["quick_gelu"],
};

/** Reads fields of a config.json. A field that is null counts as missing. */
export class ConfigJson {
  readonly json: JsonObject;
  readonly #file: string;

  /** @param file the file's path, for errors */
  constructor(json: JsonObject, file: string) {
    this.json = json;
    this.#file = file;
  }

  /** @throws {ConfigError} always, naming the field and its value */
  refuse(field: string, expected: string, hint?: string): never {
    const details = { op: `reading ${this.#file}: ${field}`, expected, got: quote(this.json[field]) };
    throw new ConfigError(hint === undefined ? details : { ...details, hint });
  }

  /** The first of several fields that is present. @throws {ConfigError} it is not a number */
  number(names: readonly string[]): number | undefined {
    const field = names.find((name) => this.json[name] !== undefined && this.json[name] !== null);
    if (field === undefined) return undefined;
    const value = this.json[field];
    return typeof value === "number" ? value : this.refuse(field, "a number");
  }

  /** The numbers present in the file, by our names for them. */
  numbers<K extends string>(table: readonly (readonly [key: K, ...names: string[]])[]): Partial<Record<K, number>> {
    const found: Partial<Record<K, number>> = {};
    for (const [key, ...names] of table) {
      const value = this.number(names);
      if (value !== undefined) found[key] = value;
    }
    return found;
  }

  /** @throws {ConfigError} it is neither true nor false */
  boolean(field: string, usual: boolean): boolean {
    const value = this.json[field] ?? usual;
    return typeof value === "boolean" ? value : this.refuse(field, "true or false");
  }

  /** @throws {ConfigError} the activation is unknown */
  activation(field: string, usual: Activation): Activation {
    const name = this.json[field] ?? usual;
    const found = Object.entries(ACTIVATIONS).find(([, names]) => names.includes(name as string));
    return found ? (found[0] as Activation) : this.refuse(field, Object.values(ACTIVATIONS).flat().join(", "));
  }
}
