/**
 * The path on which an operation over N tokens is computed. Sums for few tokens and for many have different orders:
 * `streamed` reads each weight, or cached key, once, for few tokens; `packed` packs operands into panels, for many; `auto`
 * takes the faster for N. On a fixed path a token's bits do not depend on N, and so not on what is computed beside it.
 * Kernels identify paths by their positions in this list.
 */
export const KERNEL_PATHS = ["auto", "streamed", "packed"] as const;

export type KernelPath = (typeof KERNEL_PATHS)[number];
