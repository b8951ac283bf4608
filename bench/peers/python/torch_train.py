"""PyTorch on the CPU: training steps in float32, or in bfloat16 by autocast, as a contender.

    torch_train.py SETUP [--model plain|transformers] [--compile]      torch.compile needs a C++ compiler
"""

import argparse
import time

from worker import SETUP, serve  # isort: skip

import torch
from plain_gpt2 import PlainGPT2
from seeded import Config, hugging_face_model, seeded_weights

parser = argparse.ArgumentParser()
parser.add_argument("setup")
parser.add_argument("--model", choices=["plain", "transformers"], default="plain")
parser.add_argument("--compile", action="store_true")
ARGS = parser.parse_args()
ADAMW = SETUP["adamw"]


def make_model():
    """(parameters, function of a batch that gives the loss)"""
    config = Config(**SETUP["config"])
    weights = seeded_weights(config, SETUP["seed"])
    if ARGS.model == "plain":
        model = PlainGPT2(config).load(weights)
        model = torch.compile(model) if ARGS.compile else model
        return list(model.parameters()), model
    model = hugging_face_model(config, weights, attn_implementation="sdpa").train()
    run = torch.compile(model) if ARGS.compile else model

    def loss(inputs, targets):
        logits = run(inputs, use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return list(model.parameters()), loss


def make_optimizer() -> torch.optim.AdamW:
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": ADAMW["weightDecay"]},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    betas = (ADAMW["beta1"], ADAMW["beta2"])
    return torch.optim.AdamW(groups, lr=ADAMW["lr"], betas=betas, eps=ADAMW["epsilon"], fused=True)


torch.set_num_threads(SETUP["threads"])
parameters, loss_of = make_model()
optimizer = make_optimizer()


def train(rows: list[list[int]], steps: int) -> dict:
    ids = torch.tensor(rows)
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    losses, seconds = [], []
    for _ in range(steps):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=SETUP["type"] == "bf16"):
            loss = loss_of(inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, ADAMW["maxNorm"])
        optimizer.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    return {"losses": losses, "seconds": seconds}


how = "compiled" if ARGS.compile else "eager"
serve(f"torch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()}), {ARGS.model}, {how}", train=train)
