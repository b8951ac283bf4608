"""PyTorch on the CPU: a prompt through the plain GPT-2 to the next token, as a contender.

    torch_prefill.py SETUP [--compile]      torch.compile needs a C++ compiler

No keys and values are kept, which can only be faster; each token after the first recomputes all tokens before it.
"""

import argparse
import time

from worker import SETUP, serve  # isort: skip

import torch
from plain_gpt2 import PlainGPT2
from seeded import Config, seeded_weights

parser = argparse.ArgumentParser()
parser.add_argument("setup")
parser.add_argument("--compile", action="store_true")
ARGS = parser.parse_args()

# Compiled programs have one fixed length: short prompts are padded, which does not change earlier tokens' results.
SHORTEST = 64

torch.set_num_threads(SETUP["threads"])
config = Config(**SETUP["config"])
model = PlainGPT2(config).load(seeded_weights(config, SETUP["seed"])).eval()
run = torch.compile(model.next_token, dynamic=False) if ARGS.compile else model.next_token


@torch.inference_mode()
def generate(prompt: list[int], count: int) -> dict:
    ids, seconds, tokens = [], [], list(prompt)
    for _ in range(count + 1):
        start = time.perf_counter()
        padded = tokens + [0] * (SHORTEST - len(tokens))
        ids.append(int(run(torch.tensor([padded]), torch.tensor([len(tokens) - 1]))))
        seconds.append(time.perf_counter() - start)
        tokens.append(ids[-1])
    return {"ids": ids, "seconds": seconds}


how = "compiled" if ARGS.compile else "eager"
serve(f"torch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()}), plain, {how}", generate=generate)
