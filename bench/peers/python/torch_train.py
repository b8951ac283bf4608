"""PyTorch on the CPU: training steps of the 124M shape in float32. Prints a JSON line for each model.

    python3 bench/peers/python/torch_train.py --batch 4 --seq 256 --threads 2 --steps 5 [--compile] [--model plain|transformers|both]

Every step trains on the same seeded batch: the losses of two programs that start from the same weights can be compared.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["plain", "transformers", "both"], default="plain")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seq", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5, help="timed steps, after --warmup")
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="torch.compile (needs a C++ compiler)")
    return parser.parse_args()


ARGS = arguments()
os.environ["OMP_NUM_THREADS"] = str(ARGS.threads)  # read when torch loads

import torch  # noqa: E402
from plain_gpt2 import PlainGPT2  # noqa: E402
from seeded import SEED, Config, hugging_face_model, seeded_tokens, seeded_weights  # noqa: E402

BATCH_LABEL = 2001


def make_loss(name: str, config: Config):
    """(parameters, function of a batch that gives the loss)"""
    weights = seeded_weights(config, SEED)
    if name == "plain":
        model = PlainGPT2(config).load(weights)
        model = torch.compile(model) if ARGS.compile else model
        return model.parameters(), model
    model = hugging_face_model(config, weights, attn_implementation="sdpa").train()
    run = torch.compile(model) if ARGS.compile else model

    def loss(inputs, targets):
        logits = run(inputs, use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return model.parameters(), loss


def make_optimizer(parameters) -> torch.optim.AdamW:
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=3e-4, betas=(0.9, 0.95), eps=1e-8, fused=True)


def measure(name: str) -> dict:
    config = Config()
    parameters, loss_of = make_loss(name, config)
    parameters = list(parameters)
    optimizer = make_optimizer(parameters)
    ids = torch.tensor(seeded_tokens(config, SEED, BATCH_LABEL, ARGS.batch * (ARGS.seq + 1))).view(ARGS.batch, -1)
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    losses, seconds = [], []
    for _ in range(ARGS.warmup + ARGS.steps):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds[ARGS.warmup :])
    return {
        "name": f"pytorch-{name}" + ("-compiled" if ARGS.compile else ""),
        "batch": ARGS.batch,
        "seq": ARGS.seq,
        "threads": torch.get_num_threads(),
        "tokensPerSecond": ARGS.batch * ARGS.seq / median,
        "medianSeconds": median,
        "seconds": seconds[ARGS.warmup :],
        "warmupSeconds": seconds[: ARGS.warmup],
        "lossFirst": losses[0],
        "lossLast": losses[-1],
        "losses": losses,
        "peakMemoryGiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cpuCapability": torch.backends.cpu.get_cpu_capability(),
        },
    }


if __name__ == "__main__":
    torch.set_num_threads(ARGS.threads)
    for name in ["plain", "transformers"] if ARGS.model == "both" else [ARGS.model]:
        print(json.dumps(measure(name)), flush=True)
