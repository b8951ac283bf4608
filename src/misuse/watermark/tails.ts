/**
 * Logarithms of upper tails of distributions: p-values of long marked texts underflow. Each function sums the terms from the
 * value on or, if those are most of the distribution, the terms before it. Both series fall off geometrically.
 */

/** ln Γ(x), x > 0, to about 1e-14: Stirling's series, after x is raised above 10. */
export function logGamma(x: number): number {
  let shift = 0;
  while (x < 10) shift -= Math.log(x++);
  const r = 1 / (x * x);
  const series = (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r / 1188)))) / x;
  return shift + (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series;
}

/** ln P[Γ(n, 1) ≥ x], for the sum of n exponentials, n a positive integer. */
export function logGammaTail(n: number, x: number): number {
  if (x <= 0) return 0;
  // P = Σ_{k<n} e^-x x^k / k!, the Poisson probability of fewer than n events.
  const logTerm = (k: number) => k * Math.log(x) - x - logGamma(k + 1);
  if (x > n) return logTerm(n - 1) + Math.log(geometricSum((i) => (n - 1 - i) / x));
  return log1mExp(logTerm(n) + Math.log(geometricSum((i) => x / (n + 1 + i))));
}

/** ln P[B(n, p) ≥ k], for k or more successes in n trials. */
export function logBinomialTail(k: number, n: number, p: number): number {
  if (k <= 0) return 0;
  if (k > n) return Number.NEGATIVE_INFINITY;
  const odds = p / (1 - p);
  const logChoose = (j: number) => logGamma(n + 1) - logGamma(j + 1) - logGamma(n - j + 1);
  const logTerm = (j: number) => logChoose(j) + j * Math.log(p) + (n - j) * Math.log1p(-p);
  if (k > n * p) return logTerm(k) + Math.log(geometricSum((i) => ((n - k - i) / (k + 1 + i)) * odds));
  return log1mExp(logTerm(k - 1) + Math.log(geometricSum((i) => (k - 1 - i) / (n - k + 2 + i) / odds)));
}

/**
 * ln P[(1 - α) A + α B ≥ x] for two sums A and B of n exponentials each. A sum of exponentials of the larger scale is a
 * mixture of sums of the smaller scale: of n + k terms, with the negative binomial probability of k (Moschopoulos 1985).
 */
export function logTwoGammaTail(n: number, alpha: number, x: number): number {
  const small = Math.min(alpha, 1 - alpha);
  const ratio = small / (1 - small);
  // The smaller part is then almost its mean, and the mixture would have too many terms.
  if (ratio < 1e-3) return logGammaTail(n, (x - n * small) / (1 - small));
  if (x <= 0) return 0;
  const y = x / small;
  let logTail = logGammaTail(2 * n, y);
  let logWeight = n * Math.log(ratio);
  let sum = logWeight + logTail;
  for (let k = 1, most = sum; ratio < 1; k++) {
    const shape = 2 * n + k - 1;
    logTail = logSum(logTail, shape * Math.log(y) - y - logGamma(shape + 1));
    logWeight += Math.log((n + k - 1) / k) + Math.log1p(-ratio);
    const term = logWeight + logTail;
    sum = logSum(sum, term);
    if (term > most) most = term;
    else if (term < most - 45) break;
  }
  return Math.min(0, sum);
}

/** 1 + r(0) + r(0) r(1) + … for falling ratios, until the terms add nothing. */
function geometricSum(ratio: (i: number) => number): number {
  let sum = 1;
  let term = 1;
  for (let i = 0; term > sum * 1e-17; i++) {
    term *= ratio(i);
    sum += term;
  }
  return sum;
}

/** ln(1 - e^x), x ≤ 0. */
const log1mExp = (x: number): number => Math.log(-Math.expm1(Math.min(0, x)));

const logSum = (a: number, b: number): number => Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
