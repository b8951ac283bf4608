"""Writes test/fixtures/gpt2-124m/expected.json: Hugging Face transformers' results for a seeded GPT-2 of 124M shape.

    python3 scripts/python/make_gpt2_124m_fixture.py        (about a minute on one core, 6 GB of memory)

Everything comes from a float64 run; a float32 run of the same program stands beside it, to show how far float32
arithmetic alone deviates.
"""

import json
import platform
from pathlib import Path

import numpy as np
import torch
import transformers
from seeded_weights import Config, checksum, hugging_face_model, seeded_tokens, seeded_weights

SEED = 20190214
SHORT_LABEL, LONG_LABEL, PROMPT_LABEL = 1001, 1002, 1005
FOLDER = Path(__file__).parents[2] / "test" / "fixtures" / "gpt2-124m"


def number(x) -> float:
    """Ten significant digits: beyond any tolerance that a float32 comparison can have."""
    return float(f"{float(x):.10g}")


def logits_at(logits: torch.Tensor, position: int, target: int) -> dict:
    """The five largest logits, the target's, eleven spread over the vocabulary, and three sums over all of them."""
    row = logits[position]
    top = torch.topk(row, 5).indices.tolist()
    spread = [i * (len(row) - 1) // 10 for i in range(11)]
    ids = list(dict.fromkeys([*top, target, *spread]))
    return {
        "position": position,
        "ids": ids,
        "logits": [number(row[i]) for i in ids],
        "logSumExp": number(torch.logsumexp(row, 0)),
        "mean": number(row.mean()),
        "rms": number(row.square().mean().sqrt()),
    }


def sequence(model, model32, ids: list[int], positions: list[int], logprob_positions: list[int]) -> dict:
    inputs, targets = torch.tensor([ids[:-1]]), torch.tensor(ids[1:])
    with torch.no_grad():
        logits = model(inputs).logits[0]
        logprobs = logits.gather(1, targets[:, None])[:, 0] - torch.logsumexp(logits, 1)
        logits32 = model32(inputs).logits[0]
        loss32 = torch.nn.functional.cross_entropy(logits32, targets)
        stray = max(float((a.double() - b).abs().max()) for a, b in zip(logits32, logits))
    return {
        "ids": ids,
        "loss": number(-logprobs.mean()),
        "lossFloat32": number(loss32),
        "largestLogitDifferenceFloat32": number(stray),
        "logprobPositions": logprob_positions,
        "logprobs": [number(logprobs[p]) for p in logprob_positions],
        "positions": [logits_at(logits, p, ids[p + 1]) for p in positions],
    }


def gradient_norms(model, ids: list[int]) -> dict:
    """Euclidean norm of each tensor's gradient of the mean loss."""
    inputs, targets = torch.tensor([ids[:-1]]), torch.tensor(ids[1:])
    torch.nn.functional.cross_entropy(model(inputs).logits[0], targets).backward()
    norms = {name: p.grad.norm() for name, p in model.transformer.named_parameters()}
    model.zero_grad(set_to_none=True)
    total = torch.stack(list(norms.values())).norm()
    return {"total": number(total), "byTensor": {name: number(norm) for name, norm in norms.items()}}


def greedy(model, prompt: list[int], count: int) -> dict:
    """Greedy continuation by a full forward pass for every token; `margins` holds each choice's lead over the next."""
    ids, margins = list(prompt), []
    with torch.no_grad():
        for _ in range(count):
            best = torch.topk(model(torch.tensor([ids]), use_cache=False).logits[0, -1], 2)
            ids.append(int(best.indices[0]))
            margins.append(number(best.values[0] - best.values[1]))
    return {"prompt": prompt, "ids": ids[len(prompt) :], "margins": margins}


def main() -> None:
    config = Config()
    weights = seeded_weights(config, SEED)
    model32 = hugging_face_model(config, weights)
    model = hugging_face_model(config, weights).double()
    short = seeded_tokens(config, SEED, SHORT_LABEL, 65)
    long = seeded_tokens(config, SEED, LONG_LABEL, 1025)
    result = {
        "madeBy": "scripts/python/make_gpt2_124m_fixture.py",
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "config": vars(config),
        "seed": SEED,
        "parameters": sum(w.size for w in weights.values()),
        "short": sequence(model, model32, short, [0, 1, 7, 31, 63], list(range(64))),
        "long": sequence(model, model32, long, [0, 255, 511, 1000, 1023], list(range(15, 1024, 16))),
        "gradientNormsOfShort": gradient_norms(model, short),
        "greedy": greedy(model, seeded_tokens(config, SEED, PROMPT_LABEL, 8), 24),
        "checksums": {name: checksum(w) for name, w in weights.items()},
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / "expected.json"
    path.write_text(json.dumps(result, separators=(",", ":")).replace('},"', '},\n"').replace(',{"position', ',\n{"position') + "\n")
    print(path, path.stat().st_size, "bytes")
    print({k: result[k]["loss"] for k in ("short", "long")}, min(result["greedy"]["margins"]))


if __name__ == "__main__":
    main()
