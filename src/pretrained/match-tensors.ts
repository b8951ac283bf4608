import type { ModelConfig } from "../architectures/config.js";
import { architectureOf, tensorTable } from "../architectures/registry.js";
import { HEAD, type TensorSpec } from "../architectures/tensor-spec.js";
import { isCopy, type RawTensor, sameShape } from "../checkpoint/raw-tensor.js";
import type { SafetensorsDtype } from "../checkpoint/safetensors.js";
import { type StoredTensor, storedTensor, zeroTensor } from "../checkpoint/stored-tensor.js";
import type { FloatDtype } from "../dtype/floats.js";
import { isStoredDtype } from "../dtype/stored.js";
import { CheckpointError, type ErrorDetails } from "../errors.js";
import { quote } from "../util/quote.js";

/** Matches a file's tensors with the model's table. The architectures' mappings have the names in each format. */

const FLOAT_OF_DTYPE: Partial<Record<SafetensorsDtype, FloatDtype>> = {
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
  F64: "f64",
};

export interface MatchOptions {
  readonly config: ModelConfig;
  /** The file to name when a tensor is missing. */
  readonly weights: string;
  /** The order of dimensions in the file of matrices that the table marks as Conv1D. */
  readonly matrices: "in_out" | "out_in";
  /** Whether the model lacks biases, which are then zero. */
  readonly zeroBiases?: boolean;
  /** A tensor's name in the format, for messages. Default: its name in the table. */
  readonly nameInFile?: (name: string) => string;
}

/**
 * The model's tensors, in the order of the tensor table.
 *
 * @param byName the file's tensors by their names in the table. A tied head may be present if it is a copy of wte.
 * @throws {CheckpointError} a tensor is missing or unknown, or its shape or dtype does not fit the configuration.
 */
export function matchTensors(byName: ReadonlyMap<string, RawTensor>, options: MatchOptions): Map<string, StoredTensor> {
  const { config, weights, nameInFile = (name) => name } = options;
  const left = new Map(byName);
  const tensors = new Map<string, StoredTensor>();
  // A hostile config may claim two billion layers, but there cannot be more layers than tensors.
  const nLayer = Math.min(config.nLayer, left.size + 1);
  for (const spec of tensorTable({ ...config, nLayer })) {
    const tensor = left.get(spec.name);
    left.delete(spec.name);
    if (tensor !== undefined) tensors.set(spec.name, stored(tensor, spec, options.matrices));
    else if (options.zeroBiases && spec.name.endsWith(".bias")) tensors.set(spec.name, zeroTensor(spec, weights));
    else
      throw missingTensor(weights, nameInFile(spec.name), `shape [${shapeInFile(spec, options.matrices).join(", ")}]`);
  }
  const head = left.get(HEAD);
  if (head !== undefined) checkTied(head, byName.get(architectureOf(config).head(config))!);
  left.delete(HEAD);
  for (const tensor of left.values()) throw unknownTensor(tensor, config);
  return tensors;
}

function missingTensor(weights: string, name: string, expected: string): CheckpointError {
  return new CheckpointError({ op: `reading ${weights}: tensor ${name}`, expected, got: "no such tensor" });
}

function tensorError(tensor: RawTensor, details: Omit<ErrorDetails, "op">): CheckpointError {
  return new CheckpointError({ op: `reading ${tensor.source.name}: tensor ${quote(tensor.name)}`, ...details });
}

/** Heads of GPT2ForTokenClassification and GPT2ForQuestionAnswering, in place of the language model's. */
const OTHER_TASKS = /^(classifier|qa_outputs)\./;

function unknownTensor(tensor: RawTensor, config: ModelConfig): CheckpointError {
  const hint = "It is the head of another task, in place of the language model's";
  return tensorError(tensor, {
    expected: `only the tensors of a ${architectureOf(config).label} of ${config.nLayer} layers`,
    got: `an unknown one, ${tensor.dtype} ${quote(tensor.shape)}`,
    ...(OTHER_TASKS.test(tensor.name) && { hint }),
  });
}

function shapeInFile(spec: TensorSpec, matrices: "in_out" | "out_in"): readonly number[] {
  return spec.conv1d && matrices === "in_out" ? [...spec.shape].reverse() : spec.shape;
}

function stored(tensor: RawTensor, spec: TensorSpec, matrices: "in_out" | "out_in"): StoredTensor {
  const dtype = isStoredDtype(tensor.dtype) ? tensor.dtype : FLOAT_OF_DTYPE[tensor.dtype];
  if (dtype === undefined) {
    throw tensorError(tensor, {
      expected: Object.keys(FLOAT_OF_DTYPE).join(", "),
      got: tensor.dtype,
      hint: "Quantized and integer weights cannot be read",
    });
  }
  const expected = shapeInFile(spec, matrices);
  if (!sameShape(tensor.shape, expected)) {
    const details = { expected: `shape [${expected.join(", ")}]`, got: quote(tensor.shape) };
    const order = matrices === "in_out" ? "Hugging Face's GPT-2 holds this matrix as [in, out]" : "[out, in] is needed";
    const turned = spec.conv1d && sameShape([...tensor.shape].reverse(), expected);
    throw tensorError(tensor, turned ? { ...details, hint: `It is transposed: ${order}` } : details);
  }
  const storedAs = (spec.conv1d && matrices === "in_out") !== (tensor.transposed === true) ? "in_out" : "out_in";
  const { source, offset, check } = tensor;
  return storedTensor({ name: spec.name, dtype, shape: spec.shape, storedAs, source, offset, check });
}

/** Checks a file's tensor against `spec`, with matrices [out, in]. @throws {CheckpointError} its shape or dtype differs. */
export const matchOne = (tensor: RawTensor, spec: TensorSpec): StoredTensor => stored(tensor, spec, "out_in");

/** @throws {CheckpointError} the head is not bit for bit the token embedding. */
function checkTied(head: RawTensor, wte: RawTensor): void {
  if (isCopy(head, wte)) return;
  throw tensorError(head, {
    expected: `a copy of ${quote(wte.name)} (${wte.dtype} ${quote(wte.shape)})`,
    got: `another matrix (${head.dtype} ${quote(head.shape)})`,
    hint: 'If the head is a matrix of its own, "tie_word_embeddings": false in config.json says so',
  });
}
