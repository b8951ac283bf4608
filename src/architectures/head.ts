import { type Recorder, rowsOf, type Scalar, type Tensor } from "../program/program.js";
import { linearForward } from "./layers.js";

/**
 * Largest block of logits, in elements (128 MiB). Naively the logits [N, V] of a batch exist all at once; the head and its loss
 * process rows in blocks instead.
 */
const LOGITS_BLOCK = 2 ** 25;

/** Rows of x [N, C] in a block of logits. Blocks have equal sizes, because each reads the head's whole weight. */
export function headRows(N: number, vocabSize: number): number {
  const most = Math.max(64, Math.floor(LOGITS_BLOCK / vocabSize));
  return Math.max(1, Math.ceil(N / Math.ceil(N / most)));
}

/** Logits [N, V] of hidden states x [N, C], with the output head's weight [V, C], and its bias [V] if it has one. */
export function headForward(k: Recorder, name: string, x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  return linearForward(k, name, x, { weight, bias });
}

export interface HeadLoss {
  readonly x: Tensor; // [N, C], hidden states after the final layer norm
  readonly targets: Tensor; // i32 [N], negative to ignore
  readonly losses: Tensor; // [N]
}

export interface HeadGradient {
  readonly dx: Tensor; // [N, C]
  readonly dweight: Tensor | undefined;
  readonly dbias?: Tensor | undefined;
  readonly scale: Scalar;
}

/**
 * Cross-entropy of the head's predictions, and with `grad` its gradients: dx [N, C] is overwritten, dweight accumulates. Rows
 * are processed in blocks, so the logits of all rows never exist at once. N must be a number.
 */
export function headLoss(
  k: Recorder,
  weight: Tensor,
  { x, targets, losses }: HeadLoss,
  grad?: HeadGradient,
  bias?: Tensor,
  label = "head",
): void {
  const [V, C] = weight.shape as [number, number];
  const total = x.shape[0] as number;
  const step = headRows(total, V);
  for (let start = 0; start < total; start += step) {
    const N = Math.min(step, total - start);
    const name = `${label}.${start}`;
    const rows = (t: Tensor) => rowsOf(t, start, N);
    const logits = headForward(k, name, rows(x), weight, bias);
    const tensors = { losses: rows(losses), dlogits: grad && logits, logits, targets: rows(targets) };
    k.op("crossEntropy", name, tensors, { N, V }, { scale: grad?.scale ?? 0 });
    if (!grad) continue;
    const dims = { N, IC: C, OC: V };
    const { dweight, dbias } = grad;
    if (dweight || dbias) k.op("linearBackwardWeight", name, { dweight, dbias, dout: logits, x: rows(x) }, dims, {});
    const tensorsIn = { dx: rows(grad.dx), dout: logits, weight };
    k.op("linearBackwardInput", name, tensorsIn, dims, { act: "none", accumulate: false });
  }
}
