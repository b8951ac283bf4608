/**
 * Activations of a feed-forward layer, by transformers' names. Their places are the numbers by which operations know them
 * (`act`; native/activation.c has the same); the linear operations, which apply the activation to each tile while it is in
 * the cache, know the first two.
 */
export const ACTIVATIONS = ["none", "gelu_new", "gelu", "relu", "silu", "tanh", "quick_gelu"] as const;

export type Activation = Exclude<(typeof ACTIVATIONS)[number], "none">;

/** GPT-2's: GELU's tanh approximation. */
export const GELU_TANH = 1;

export const activationNumber = (name: Activation): number => ACTIVATIONS.indexOf(name);
