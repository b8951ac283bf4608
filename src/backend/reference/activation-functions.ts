import type { ActivationOrNone } from "../../program/activations.js";

type Real = (x: number) => number;

const sigmoid: Real = (x) => 1 / (1 + Math.exp(-x));

/** GELU in its tanh form, GPT-2's `gelu_new` (Hendrycks & Gimpel 2016, section 2): 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))). */
const SCALE = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;
const geluTanh: Real = (x) => 0.5 * x * (1 + Math.tanh(SCALE * (x + CUBIC * x ** 3)));

/** With d tanh(u) = 1 - tanh(u)². */
const geluTanhDerivative: Real = (x) => {
  const t = Math.tanh(SCALE * (x + CUBIC * x ** 3));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SCALE * (1 + 3 * CUBIC * x * x);
};

/** Beyond this 1 - erf is below double precision. */
const ERF_SATURATES = 6;

/** erf(x) = 2/√π e^(-x²) Σ 2ⁿ x^(2n+1) / (1·3·5 ⋯ (2n+1)): all terms of one sign, so nothing cancels. */
export function erf(x: number): number {
  if (Math.abs(x) > ERF_SATURATES) return Math.sign(x);
  let sum = 0;
  for (let n = 0, term = x; Math.abs(term) > 1e-17 * Math.abs(sum); n++, term *= (2 * x * x) / (2 * n + 1)) sum += term;
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const normalCdf: Real = (x) => 0.5 * (1 + erf(x / Math.SQRT2));
const normalPdf: Real = (x) => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);

/** The steepness of quick GELU's sigmoid relative to SiLU's (Hendrycks & Gimpel 2016, section 2). */
const QUICK = 1.702;

/** Each activation and its derivative. */
export const ACTIVATION_FUNCTIONS: Readonly<Record<ActivationOrNone, { readonly f: Real; readonly derivative: Real }>> =
  {
    none: { f: (x) => x, derivative: () => 1 },
    gelu_new: { f: geluTanh, derivative: geluTanhDerivative },
    gelu: { f: (x) => x * normalCdf(x), derivative: (x) => normalCdf(x) + x * normalPdf(x) },
    relu: { f: (x) => Math.max(x, 0), derivative: (x) => (x > 0 ? 1 : 0) },
    silu: { f: (x) => x * sigmoid(x), derivative: (x) => sigmoidProduct(x, 1) },
    tanh: { f: Math.tanh, derivative: (x) => 1 - Math.tanh(x) ** 2 },
    quick_gelu: { f: (x) => x * sigmoid(QUICK * x), derivative: (x) => sigmoidProduct(x, QUICK) },
  };

/** The derivative of x σ(s x). */
function sigmoidProduct(x: number, s: number): number {
  const y = sigmoid(s * x);
  return y + s * x * y * (1 - y);
}
