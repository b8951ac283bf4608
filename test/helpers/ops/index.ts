import { OP_KINDS, type OpKind } from "../../../src/program/ops.js";
import type { OpCase } from "../op-case.js";
import * as attention from "./attention.js";
import * as elementwise from "./elementwise.js";
import * as embedding from "./embedding.js";
import * as layernorm from "./layernorm.js";
import * as linear from "./linear.js";
import * as loss from "./loss.js";
import type { OpTest } from "./op-test.js";
import * as optimizer from "./optimizer.js";
import * as rows from "./rows.js";
import * as sampling from "./sampling.js";

/** The cases of every operation: all exports of these files. */
export const OP_TESTS: { readonly [K in OpKind]: OpTest<K> } = {
  ...attention,
  ...elementwise,
  ...embedding,
  ...layernorm,
  ...linear,
  ...loss,
  ...optimizer,
  ...rows,
  ...sampling,
};

export const ALL_CASES: readonly OpCase[] = OP_KINDS.flatMap((kind): readonly OpCase[] => OP_TESTS[kind].cases);
