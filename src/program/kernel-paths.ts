/**
 * How an operation over N tokens computes. Sums of few tokens and of many go over their terms in different orders:
 * `streamed` reads each weight, or cached key, once, for few tokens; `packed` packs operands into panels, for many; `auto`
 * takes what is faster for N. With a path fixed, the bits of a token do not depend on N: on what is computed beside it.
 * Kernels know paths by their places in this list.
 */
export const KERNEL_PATHS = ["auto", "streamed", "packed"] as const;

export type KernelPath = (typeof KERNEL_PATHS)[number];
