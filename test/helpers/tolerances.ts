/**
 * The tolerated difference between a backend in single precision and the reference in double precision, on the same
 * single-precision inputs, stands beside each operation's cases (test/helpers/ops), in ulp of the largest value of each
 * result, like errors of sums. Rounding errors of a sum of K terms grow like a random walk, some √K / 4 ulp. Each
 * tolerance is two to four times the largest error of the C kernels on any instruction set, which its comment gives.
 * Copies are exact.
 */

/** The distance between neighbouring numbers just above 1 in single precision. */
export const ULP = 2 ** -23;
