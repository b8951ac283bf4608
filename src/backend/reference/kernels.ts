import type { OpKind } from "../../program/ops.js";
import * as activation from "./activation.js";
import * as adapter from "./adapter.js";
import * as attention from "./attention.js";
import * as dropout from "./dropout.js";
import * as elementwise from "./elementwise.js";
import * as embedding from "./embedding.js";
import type { Kernel } from "./kernel.js";
import * as layernorm from "./layernorm.js";
import * as linear from "./linear.js";
import * as loss from "./loss.js";
import * as optimizer from "./optimizer.js";
import * as rows from "./rows.js";
import * as sampling from "./sampling.js";

/** The kernel of every operation: everything that these files export. */
export const KERNELS: { readonly [K in OpKind]: Kernel<K> } = {
  ...activation,
  ...adapter,
  ...attention,
  ...dropout,
  ...elementwise,
  ...embedding,
  ...layernorm,
  ...linear,
  ...loss,
  ...optimizer,
  ...rows,
  ...sampling,
};
