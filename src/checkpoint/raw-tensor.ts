import type { StoredDtype } from "../dtype/stored.js";
import type { ByteSource } from "./byte-source.js";
import type { SafetensorsDtype } from "./safetensors.js";

/** A tensor as its file describes it, before anything is known of the model; a {@link SafetensorsTensor} is one. */
export interface RawTensor {
  /** As the file has it. */
  readonly name: string;
  /** By safetensors' names, or as {@link StoredTensor} has it. */
  readonly dtype: SafetensorsDtype | StoredDtype;
  readonly shape: readonly number[];
  /** A matrix whose columns lie one after the other, so that the file holds its transpose row by row. */
  readonly transposed?: boolean;
  readonly source: ByteSource;
  /** Position in the file of the first byte; the values follow each other without gaps. */
  readonly offset: number;
  readonly byteLength: number;
  /** Compares the data with its checksum, where the format has one. @throws {CheckpointError} it is damaged. */
  readonly check?: () => void;
}
