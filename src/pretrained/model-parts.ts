import type { ModelConfig } from "../architectures/config.js";
import type { Backend, DeviceArray } from "../backend/backend.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { LoadedAdapter } from "./loaded-adapter.js";
import type { LoadedHead } from "./loaded-head.js";
import type { SamplingSettings } from "./sampling-options.js";

/** What a {@link GPT2} is made of. */
export interface ModelParts {
  readonly backend: Backend;
  readonly config: ModelConfig;
  /** Arrays of `backend`, one for each name in the tensor table. They are only read, and may be shared. */
  readonly weights: ReadonlyMap<string, DeviceArray>;
  /** Without one the model takes and gives token ids only. */
  readonly tokenizer?: Tokenizer | undefined;
  /** Id of `<|endoftext|>`; the tokenizer's if not given. */
  readonly endOfText?: number | undefined;
  /** How it draws tokens unless told otherwise. */
  readonly sampling?: SamplingSettings | undefined;
  /** LoRA adapters that requests can choose, by name. */
  readonly adapters?: ReadonlyMap<string, LoadedAdapter> | undefined;
  /** For a task, beside the weights. */
  readonly head?: LoadedHead | undefined;
  /** Why the backend is not the one that was tried first. */
  readonly fallback?: Error | undefined;
}
