import type { OpKind } from "../../program/ops.js";
import { activation, activationBackward } from "./activation.js";
import { scaleColumns } from "./adapter.js";
import { attentionBackward, attentionForward } from "./attention.js";
import { dropout } from "./dropout.js";
import { embeddingBackward, embeddingForward } from "./embedding.js";
import type { Kernel } from "./kernel.js";
import { layernormBackward, layernormForward } from "./layernorm.js";
import { linearBackwardInput, linearBackwardWeight, linearForward } from "./linear.js";
import { crossEntropy } from "./loss.js";
import { adamw, fill, norm } from "./optimizer.js";
import { gatherRows, scatterRows } from "./rows.js";

export const KERNELS: { readonly [K in OpKind]: Kernel<K> } = {
  embeddingForward,
  embeddingBackward,
  layernormForward,
  layernormBackward,
  linearForward,
  linearBackwardInput,
  linearBackwardWeight,
  attentionForward,
  attentionBackward,
  scatterRows,
  gatherRows,
  dropout,
  crossEntropy,
  fill,
  norm,
  adamw,
  scaleColumns,
  activation,
  activationBackward,
};
