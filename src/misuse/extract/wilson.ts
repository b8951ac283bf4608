/**
 * The 95% confidence interval of a proportion k / n (Wilson 1927). Unlike the normal approximation it stays within [0, 1],
 * and holds for small k and for 0.
 */
export function wilsonInterval(k: number, n: number): readonly [low: number, high: number] {
  if (n === 0) return [0, 1];
  const z = 1.959964;
  const [p, z2] = [k / n, z * z];
  const centre = p + z2 / (2 * n);
  const half = z * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n * n));
  const scale = 1 + z2 / n;
  // Rounding would leave 1e-19 where the bound is 0.
  const low = k === 0 ? 0 : (centre - half) / scale;
  const high = k === n ? 1 : (centre + half) / scale;
  return [low, high];
}
