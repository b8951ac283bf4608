"""PyTorch (transformers) on the CPU: prefill and greedy decode of the 124M shape in float32. Prints a JSON line.

    python3 bench/peers/python/torch_infer.py --prefill 512 --decode 64 --threads 2 --repeats 5

Prefill is the time to the first new token; decode, each token after it, with the key/value cache of transformers.
"""

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prefill", type=int, default=512)
    parser.add_argument("--decode", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


ARGS = arguments()
os.environ["OMP_NUM_THREADS"] = str(ARGS.threads)  # read when torch loads

import torch  # noqa: E402
import transformers  # noqa: E402
from seeded import SEED, Config, hugging_face_model, seeded_weights  # noqa: E402

FIXTURE = Path(__file__).parents[3] / "test" / "fixtures" / "gpt2-124m" / "expected.json"


@torch.inference_mode()
def generate(model, prompt: list[int], count: int) -> tuple[list[int], list[float]]:
    """count + 1 greedy ids and the seconds to each; the first pays for the prompt."""
    ids, seconds, cache = [], [], None
    inputs = torch.tensor([prompt])
    for _ in range(count + 1):
        start = time.perf_counter()
        out = model(inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = out.past_key_values
        inputs = out.logits[:, -1].argmax(-1, keepdim=True)
        ids.append(int(inputs))
        seconds.append(time.perf_counter() - start)
    return ids, seconds


def main() -> None:
    torch.set_num_threads(ARGS.threads)
    config = Config()
    model = hugging_face_model(config, seeded_weights(config, SEED), attn_implementation="sdpa")
    prompt = json.loads(FIXTURE.read_text())["greedy"]["prompt"]
    long = [(i * 7919) % config.vocabSize for i in range(ARGS.prefill)]
    generate(model, long, 1)
    prefill, after_prefill, after_prompt = [], [], []
    for _ in range(ARGS.repeats):
        _, seconds = generate(model, long, ARGS.decode)
        prefill.append(seconds[0])
        after_prefill += seconds[1:]
        ids, seconds = generate(model, prompt, ARGS.decode)
        after_prompt += seconds[1:]

    def decode(context: int, seconds: list[float]) -> dict:
        return {"context": context, "tokens": ARGS.decode, "tokensPerSecond": 1 / statistics.median(seconds)}

    result = {
        "name": "pytorch-transformers",
        "threads": torch.get_num_threads(),
        "prefill": {
            "tokens": ARGS.prefill,
            "tokensPerSecond": ARGS.prefill / statistics.median(prefill),
            "prefillSeconds": prefill,
        },
        "decode": [decode(len(prompt), after_prompt), decode(ARGS.prefill, after_prefill)],
        "prompt": prompt,
        "ids": ids[:24],
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "cpuCapability": torch.backends.cpu.get_cpu_capability(),
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
