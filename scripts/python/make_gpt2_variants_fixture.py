"""Writes test/fixtures/gpt2-variants: logits and gradients of small seeded GPT-2s that differ from OpenAI's.

    python3 scripts/python/make_gpt2_variants_fixture.py

Hugging Face transformers and torch autograd in float64, no dropout, rounded to float32. For each variant of
variants.json, whose config.json transformers wrote, values.bin holds, little-endian, one after another: float32
logits [B, T, V]; float32 gradients [P] of the mean loss, tensors in the order of src/architectures/gpt2/tensors.ts
and [out, in].
"""

import json
from pathlib import Path

import numpy as np
import torch
from seeded_weights import Config, hugging_face_model, is_conv1d, seeded_tokens, seeded_weights

SEED = 31_415
TOKENS_LABEL = 1001
SIZES = {"vocabSize": 17, "nCtx": 9, "nEmbd": 9, "nLayer": 2, "nHead": 3}
BATCH, LENGTH = 2, 9
FOLDER = Path(__file__).parents[2] / "test" / "fixtures" / "gpt2-variants"

UNTIED = {"tieWordEmbeddings": False}
VARIANTS = [
    ("a head of its own", UNTIED, {}),
    ("unscaled attention scores", {}, {"scale_attn_weights": False}),
    (
        "scores scaled by layer, upcast",
        {},
        {"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True},
    ),
    ("a narrow feed-forward layer", {"nInner": 7}, {}),
    ("exact GELU", {}, {"activation_function": "gelu"}),
    ("ReLU, a head of its own, unscaled", UNTIED, {"activation_function": "relu", "scale_attn_weights": False}),
    ("SiLU", {}, {"activation_function": "silu"}),
    ("tanh", {}, {"activation_function": "tanh"}),
    ("quick GELU", {}, {"activation_function": "quick_gelu"}),
    ("GELU by another name", {}, {"activation_function": "gelu_fast"}),
]


def main() -> None:
    variants, values = [], []
    for name, sizes, options in VARIANTS:
        config = Config(**{**SIZES, "nInner": 36, **sizes})
        weights = seeded_weights(config, SEED)
        model = hugging_face_model(config, weights, **options).double()
        ids = np.array(seeded_tokens(config, SEED, TOKENS_LABEL, BATCH * (LENGTH + 1))).reshape(BATCH, -1)
        logits = model(torch.from_numpy(ids[:, :-1].copy())).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(ids[:, 1:].copy()).flatten())
        loss.backward()
        parameters = dict(model.transformer.named_parameters()) | {"lm_head.weight": model.lm_head.weight}
        gradients = [parameters[n].grad.numpy() for n in weights]
        flat = np.concatenate([(g.T if is_conv1d(n) else g).ravel() for n, g in zip(weights, gradients)])
        values += [logits.detach().numpy().ravel(), flat]
        written = json.loads(model.config.to_json_string())
        variants.append({"name": name, "loss": loss.item(), "parameters": flat.size, "config": written})
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "values.bin").write_bytes(np.concatenate(values).astype("<f4").tobytes())
    shared = {"seed": SEED, "tokensLabel": TOKENS_LABEL, "batch": BATCH, "length": LENGTH}
    (FOLDER / "variants.json").write_text(json.dumps({**shared, "variants": variants}, indent=1) + "\n")
    print(FOLDER, (FOLDER / "values.bin").stat().st_size, "bytes", [v["loss"] for v in variants])


if __name__ == "__main__":
    main()
