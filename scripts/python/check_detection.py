"""Compares `gpt2 detect --json` with the same scores through transformers, in float64.

    node dist/src/cli/main.js detect page.txt --json > page.json
    python3 scripts/python/check_detection.py models/default page.json …

Curvature is get_sampling_discrepancy_analytic of fast-detect-gpt, with the text after <|endoftext|>. Only texts that fit
the model's context are compared, as longer ones are read in windows. Exits with 1 if a score differs by more than 1e-4.
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM


def scores(model, ids):
    text = torch.tensor([ids])
    logprobs = torch.log_softmax(model(text).logits[0, :-1], -1)
    own = logprobs.gather(-1, text[0, 1:, None])[:, 0]
    ranks = 1 + (logprobs > own[:, None]).sum(-1)
    mean = (logprobs.exp() * logprobs).sum(-1)
    variance = (logprobs.exp() * logprobs.square()).sum(-1) - mean.square()
    return {
        "logLikelihood": own.mean().item(),
        "logRank": ranks.double().log().mean().item(),
        "curvature": ((own.sum() - mean.sum()) / variance.sum().sqrt()).item(),
    }


@torch.no_grad()
def main():
    folder, *files = sys.argv[1:]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).double().eval()
    worst, compared = 0.0, 0
    for file in files:
        with open(file) as lines:
            detections = [json.loads(line) for line in lines]
        for detection in detections:
            ids = [model.config.eos_token_id, *detection["tokens"]]
            if len(ids) > model.config.n_positions:
                continue
            compared += 1
            for name, expected in scores(model, ids).items():
                worst = max(worst, abs(detection["scores"][name] - expected))
    print(f"{compared} texts; largest difference {worst:.2e}")
    sys.exit(0 if compared and worst < 1e-4 else 1)


main()
