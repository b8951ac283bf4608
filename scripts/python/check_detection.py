"""Compares `gpt2 detect --json` with the same scores through transformers, in float64.

    node dist/src/cli/main.js detect page.txt --dtype f32 --json [--observer DIR] > page.json
    python3 scripts/python/check_detection.py models/default page.json … [--observer DIR]

Curvature is get_sampling_discrepancy_analytic of fast-detect-gpt, and with an observer Binoculars' ratio is
perplexity over entropy of its authors' metrics.py (the model is their performer), with the text after <|endoftext|>. Only texts that fit
the model's context are compared, as longer ones are read in windows. Exits with 1 if a score differs by more than 1e-4.
"""

import argparse
import json
import sys

import torch
from transformers import AutoModelForCausalLM


def scores(model, observer, ids):
    text = torch.tensor([ids])
    predictions = torch.log_softmax(model(text).logits[0], -1)
    logprobs = predictions[:-1]
    own = logprobs.gather(-1, text[0, 1:, None])[:, 0]
    ranks = 1 + (logprobs > own[:, None]).sum(-1)
    mean = (logprobs.exp() * logprobs).sum(-1)
    variance = (logprobs.exp() * logprobs.square()).sum(-1) - mean.square()
    found = {
        "logLikelihood": own.mean().item(),
        "logRank": ranks.double().log().mean().item(),
        "curvature": ((own.sum() - mean.sum()) / variance.sum().sqrt()).item(),
    }
    if observer is not None:
        expected = torch.softmax(observer(text).logits[0], -1)
        found["binoculars"] = (own.mean() / (expected * predictions).sum(-1).mean()).item()
    return found


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).double().eval()


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--observer")
    flags = parser.parse_args()
    model = load(flags.model)
    observer = load(flags.observer) if flags.observer else None
    worst, compared = {}, 0
    for file in flags.files:
        with open(file) as lines:
            detections = [json.loads(line) for line in lines]
        for detection in detections:
            ids = [model.config.eos_token_id, *detection["tokens"]]
            if len(ids) > model.config.n_positions:
                continue
            compared += 1
            for name, expected in scores(model, observer, ids).items():
                worst[name] = max(worst.get(name, 0.0), abs(detection["scores"][name] - expected))
    print(f"{compared} texts; largest differences: {', '.join(f'{name} {of:.2e}' for name, of in worst.items())}")
    sys.exit(0 if compared and max(worst.values()) < 1e-4 else 1)


main()
