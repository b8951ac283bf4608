/**
 * Activation functions of a feed-forward layer, by transformers' names. `none` is the identity. Kernels identify them by
 * their positions in this list.
 */
export const ACTIVATIONS = ["none", "gelu_new", "gelu", "relu", "silu", "tanh", "quick_gelu"] as const;

export type ActivationOrNone = (typeof ACTIVATIONS)[number];
export type Activation = Exclude<ActivationOrNone, "none">;
