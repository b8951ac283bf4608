/** GELU in its tanh form, GPT-2's `gelu_new` (Hendrycks & Gimpel 2016): 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))). */
const SCALE = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;

export function gelu(x: number): number {
  return 0.5 * x * (1 + Math.tanh(SCALE * (x + CUBIC * x ** 3)));
}

/** The derivative, with d tanh(u) = 1 - tanh(u)². */
export function geluDerivative(x: number): number {
  const t = Math.tanh(SCALE * (x + CUBIC * x ** 3));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SCALE * (1 + 3 * CUBIC * x * x);
}
