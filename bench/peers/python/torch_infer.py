"""PyTorch (transformers) on the CPU: greedy decoding with the key/value cache of transformers, as a contender."""

import time

from worker import SETUP, serve  # isort: skip

import torch
import transformers
from seeded import Config, hugging_face_model, seeded_weights

torch.set_num_threads(SETUP["threads"])
config = Config(**SETUP["config"])
model = hugging_face_model(config, seeded_weights(config, SETUP["seed"]), attn_implementation="sdpa")


@torch.inference_mode()
def generate(prompt: list[int], count: int) -> dict:
    ids, seconds, cache = [], [], None
    inputs = torch.tensor([prompt])
    for _ in range(count + 1):
        start = time.perf_counter()
        out = model(inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = out.past_key_values
        inputs = out.logits[:, -1].argmax(-1, keepdim=True)
        ids.append(int(inputs))
        seconds.append(time.perf_counter() - start)
    return {"ids": ids, "seconds": seconds}


capability = torch.backends.cpu.get_cpu_capability()
serve(f"{transformers.__version__}, torch {torch.__version__} ({capability})", generate=generate)
