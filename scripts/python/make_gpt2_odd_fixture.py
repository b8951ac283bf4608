"""Writes test/fixtures/gpt2-odd: every logit and every gradient of a small seeded GPT-2 with awkward sizes.

    python3 scripts/python/make_gpt2_odd_fixture.py

Hugging Face transformers and torch autograd in float64, no dropout, rounded to float32. expected.bin, little-endian:
int32 B, T, V, P; int32 inputs [B, T]; int32 targets [B, T]; float32 logits [B, T, V]; float32 gradients [P] of the
mean loss, tensors in the order of src/architectures/gpt2/tensors.ts and [out, in]. The rest is in expected.json.
"""

import json
import platform
from pathlib import Path

import numpy as np
import torch
import transformers
from seeded_weights import Config, checksum, hugging_face_model, is_conv1d, seeded_tokens, seeded_weights

SEED = 36_000_000_037  # above 2^32, so that both halves of a seed count
TOKENS_LABEL = 1001
CONFIG = Config(vocabSize=263, nCtx=37, nEmbd=36, nLayer=3, nHead=3, nInner=150)
BATCH, LENGTH = 2, 37
FOLDER = Path(__file__).parents[2] / "test" / "fixtures" / "gpt2-odd"


def main() -> None:
    weights = seeded_weights(CONFIG, SEED)
    model = hugging_face_model(CONFIG, weights).double()
    ids = np.array(seeded_tokens(CONFIG, SEED, TOKENS_LABEL, BATCH * (LENGTH + 1)), dtype="<i4").reshape(BATCH, -1)
    inputs, targets = np.ascontiguousarray(ids[:, :-1]), np.ascontiguousarray(ids[:, 1:])

    logits = model(torch.from_numpy(inputs).long()).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).long().flatten())
    loss.backward()
    parameters = dict(model.transformer.named_parameters())
    gradients = [parameters[n].grad.numpy() for n in weights]
    gradients = [g.T if is_conv1d(n) else g for n, g in zip(weights, gradients)]
    flat = np.concatenate([g.ravel() for g in gradients]).astype("<f4")

    header = np.array([BATCH, LENGTH, CONFIG.vocabSize, flat.size], dtype="<i4")
    arrays = [header, inputs, targets, logits.detach().numpy().astype("<f4"), flat]
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "expected.bin").write_bytes(b"".join(a.tobytes() for a in arrays))
    expected = {
        "madeBy": "scripts/python/make_gpt2_odd_fixture.py",
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "config": vars(CONFIG),
        "seed": SEED,
        "loss": loss.item(),
        "gradientNorm": float(np.sqrt(sum(np.square(g).sum() for g in gradients))),
        "checksums": {name: checksum(w) for name, w in weights.items()},
    }
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(FOLDER, (FOLDER / "expected.bin").stat().st_size, "bytes, loss", loss.item(), "norm", expected["gradientNorm"])


if __name__ == "__main__":
    main()
