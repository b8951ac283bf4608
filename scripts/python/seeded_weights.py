"""GPT-2 weights from a seed, the same bits in numpy and in TypeScript.

The weights of a 124M model (500 MB) cannot be stored beside a test, so both sides generate them. The rule uses the
project's counter-based generator (src/util/random.ts) and only operations that IEEE 754 rounds correctly (* + / sqrt);
test/helpers/seeded-weights.ts is its twin and states the rule.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Config:
    vocabSize: int = 50257
    nCtx: int = 1024
    nEmbd: int = 768
    nLayer: int = 12
    nHead: int = 12
    nInner: int = 3072
    layerNormEpsilon: float = 1e-5
    tieWordEmbeddings: bool = True


def mix32(x: int) -> int:
    x ^= x >> 16
    x = (x * 0x21F0AAAD) & MASK
    x ^= x >> 15
    x = (x * 0x735A2D97) & MASK
    return x ^ (x >> 15)


def mix32_array(x: np.ndarray) -> np.ndarray:
    """Applies mix32 to every element of x (uint32) in place."""
    scratch = x >> np.uint32(16)
    x ^= scratch
    x *= np.uint32(0x21F0AAAD)
    np.right_shift(x, np.uint32(15), out=scratch)
    x ^= scratch
    x *= np.uint32(0x735A2D97)
    np.right_shift(x, np.uint32(15), out=scratch)
    x ^= scratch
    return x


def derive_key(seed: int, *labels: int) -> int:
    key = mix32((seed & MASK) ^ mix32((seed >> 32) & MASK))
    for label in labels:
        key = mix32((key * 0x9E3779B1 + label + 0x7F4A7C15) & MASK)
    return key


def random_bits(seed: int, label: int, start: int, count: int) -> np.ndarray:
    """uint32 [count]: the generator's bits at start, start+1, … of the stream (seed, label)."""
    index = np.arange(start, start + count, dtype=np.uint32)
    index ^= np.uint32(derive_key(seed, label, 1))
    index = mix32_array(index)
    index += np.uint32(derive_key(seed, label, 2))
    return mix32_array(index)


def tensor_table(c: Config) -> list[tuple[str, tuple[int, ...], float, float]]:
    """(name, shape, offset, scale) in the order of src/architectures/gpt2/tensors.ts; matrices are [out, in]."""
    norm, bias = (1.0, 0.5), (0.0, 0.25)

    def matrix(fan_in: int, gain: float) -> tuple[float, float]:
        return 0.0, gain * float(np.sqrt(np.float64(12) / np.float64(fan_in)))

    e, f = c.nEmbd, c.nInner
    table = [("wte.weight", (c.vocabSize, e), *matrix(e, 2)), ("wpe.weight", (c.nCtx, e), *matrix(e, 4))]
    for i in range(c.nLayer):
        h = f"h.{i}."
        table += [
            (h + "ln_1.weight", (e,), *norm),
            (h + "ln_1.bias", (e,), *bias),
            (h + "attn.c_attn.weight", (3 * e, e), *matrix(e, 2)),
            (h + "attn.c_attn.bias", (3 * e,), *bias),
            (h + "attn.c_proj.weight", (e, e), *matrix(e, 1)),
            (h + "attn.c_proj.bias", (e,), *bias),
            (h + "ln_2.weight", (e,), *norm),
            (h + "ln_2.bias", (e,), *bias),
            (h + "mlp.c_fc.weight", (f, e), *matrix(e, 1)),
            (h + "mlp.c_fc.bias", (f,), *bias),
            (h + "mlp.c_proj.weight", (e, f), *matrix(f, 1)),
            (h + "mlp.c_proj.bias", (e,), *bias),
        ]
    table += [("ln_f.weight", (e,), *norm), ("ln_f.bias", (e,), *bias)]
    return table if c.tieWordEmbeddings else [*table, ("lm_head.weight", (c.vocabSize, e), *matrix(e, 1))]


def gpt_neo_table(c: Config) -> list[tuple[str, tuple[int, ...], float, float]]:
    """The same for src/architectures/gpt-neo/tensors.ts."""
    norm, bias = (1.0, 0.5), (0.0, 0.25)

    def matrix(fan_in: int, gain: float = 1) -> tuple[float, float]:
        return 0.0, gain * float(np.sqrt(np.float64(12) / np.float64(fan_in)))

    e, f = c.nEmbd, c.nInner
    table = [("wte.weight", (c.vocabSize, e), *matrix(e, 2)), ("wpe.weight", (c.nCtx, e), *matrix(e, 4))]
    for i in range(c.nLayer):
        h = f"h.{i}."
        table += [(h + "ln_1.weight", (e,), *norm), (h + "ln_1.bias", (e,), *bias)]
        table += [(f"{h}attn.attention.{n}_proj.weight", (e, e), *matrix(e)) for n in ("q", "k", "v", "out")]
        table += [
            (h + "attn.attention.out_proj.bias", (e,), *bias),
            (h + "ln_2.weight", (e,), *norm),
            (h + "ln_2.bias", (e,), *bias),
            (h + "mlp.c_fc.weight", (f, e), *matrix(e)),
            (h + "mlp.c_fc.bias", (f,), *bias),
            (h + "mlp.c_proj.weight", (e, f), *matrix(f)),
            (h + "mlp.c_proj.bias", (e,), *bias),
        ]
    table += [("ln_f.weight", (e,), *norm), ("ln_f.bias", (e,), *bias)]
    return table if c.tieWordEmbeddings else [*table, ("lm_head.weight", (c.vocabSize, e), *matrix(e))]


def seeded_weights(c: Config, seed: int, table=tensor_table) -> dict[str, np.ndarray]:
    """name -> float32 array, [out, in]."""
    weights = {}
    for t, (name, shape, offset, scale) in enumerate(table(c)):
        count = int(np.prod(shape))
        values = np.empty(count, dtype=np.float32)
        for start in range(0, count, 1 << 20):
            bits = random_bits(seed, t, start, min(1 << 20, count - start))
            u = bits.astype(np.float64) * 2.0**-32 - 0.5
            values[start : start + len(bits)] = u * scale + offset
        weights[name] = values.reshape(shape)
    return weights


def seeded_tokens(c: Config, seed: int, label: int, count: int) -> list[int]:
    return [int(b) % c.vocabSize for b in random_bits(seed, label, 0, count)]


def checksum(values: np.ndarray) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the little-endian float32 bytes."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f4").tobytes()).hexdigest()[:16]


def hugging_face_model(c: Config, weights: dict[str, np.ndarray], **options):
    """transformers' GPT2LMHeadModel (float32, eval, no dropout) holding these weights."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
    from transformers.initialization import no_init_weights

    config = GPT2Config(
        vocab_size=c.vocabSize,
        n_positions=c.nCtx,
        n_embd=c.nEmbd,
        n_layer=c.nLayer,
        n_head=c.nHead,
        n_inner=c.nInner,
        layer_norm_epsilon=c.layerNormEpsilon,
        tie_word_embeddings=c.tieWordEmbeddings,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        **{"activation_function": "gelu_new", **options},
    )
    with no_init_weights():
        model = GPT2LMHeadModel(config)
    parameters = dict(model.transformer.named_parameters())
    if not c.tieWordEmbeddings:
        parameters["lm_head.weight"] = model.lm_head.weight
    if set(parameters) != set(weights):
        raise SystemExit(f"transformers has other tensors: {sorted(set(parameters) ^ set(weights))}")
    with torch.no_grad():
        for name, values in weights.items():
            parameters[name].copy_(torch.from_numpy(values.T if is_conv1d(name) else values))
    model.tie_weights()
    if (model.lm_head.weight is model.transformer.wte.weight) != c.tieWordEmbeddings:
        raise SystemExit("transformers ties lm_head to wte otherwise")
    return model.eval()


def is_conv1d(name: str) -> bool:
    """Whether Hugging Face stores it as [in, out]."""
    return name.startswith("h.") and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight"))


def gpt_neo_model(c: Config, weights: dict[str, np.ndarray], **options):
    """transformers' GPTNeoForCausalLM (float32, eval, no dropout) holding these weights."""
    import torch
    from transformers import GPTNeoConfig, GPTNeoForCausalLM
    from transformers.initialization import no_init_weights

    config = GPTNeoConfig(
        vocab_size=c.vocabSize,
        max_position_embeddings=c.nCtx,
        hidden_size=c.nEmbd,
        num_layers=c.nLayer,
        num_heads=c.nHead,
        intermediate_size=c.nInner,
        layer_norm_epsilon=c.layerNormEpsilon,
        tie_word_embeddings=c.tieWordEmbeddings,
        **{"bos_token_id": 0, "eos_token_id": 0, **options},
    )
    with no_init_weights():
        model = GPTNeoForCausalLM(config)
    parameters = dict(model.transformer.named_parameters())
    if not c.tieWordEmbeddings:
        parameters["lm_head.weight"] = model.lm_head.weight
    assert sorted(parameters) == sorted(weights)
    with torch.no_grad():
        for name, values in weights.items():
            parameters[name].copy_(torch.from_numpy(values))
    model.tie_weights()
    return model.eval()
