"""Writes test/fixtures/watermark/expected.json: marks, and tests for marks, by vLLM and Hugging Face transformers.

    pip download --no-deps --dest /tmp vllm==0.33.0
    python3 scripts/python/make_watermark_fixture.py /tmp/vllm-0.33.0-*.whl

Only the wheel's modules on watermarking are loaded; nothing else of vLLM runs. It has gumbel and dual_key_gumbel;
red-green and SynthID are made here by its keyed generator, SynthID's tournament by transformers' function. Needs torch,
transformers and mpmath.
"""

import json
import platform
import sys
from pathlib import Path

import mpmath
import torch
import transformers
from transformers import GPT2Config, SynthIDTextWatermarkingConfig, WatermarkDetector, WatermarkingConfig

from vllm_watermark import load_vllm

FILE = Path(__file__).parents[2] / "test" / "fixtures" / "watermark" / "expected.json"
VOCABULARY = 300


def logits_row() -> torch.Tensor:
    generator = torch.Generator().manual_seed(11)
    return (2.5 * torch.randn(VOCABULARY, generator=generator)).mul(1000).round().div(1000)


def words(vllm, key: int, contexts: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """The generator's 32 bits, by its own function without the conversion to a fraction."""
    to_uniform = vllm.philox.uint32_to_uniform
    vllm.philox.uint32_to_uniform = lambda values: values
    try:
        return vllm.philox._philox_uniform(key & (2**32 - 1), key >> 32, contexts, tokens)
    finally:
        vllm.philox.uint32_to_uniform = to_uniform


def vllm_words(vllm) -> list[dict]:
    cases = [
        (42, [1, 2, 3, 4], [7, 8]),
        (42, [4, 5, 6, 7], [7, 8]),
        (0, [-1, -1, -1, -1], [0, 1, 2, 3, 50256]),
        (2**64 - 1, [-1, -1, 5, 50256], [0, 3, 8191]),
        (2**63 + 12345, [9], [4, 5, 6, 7, 8]),
        (7, [1, 2], [100]),
        (7, [1, 2, 3, 4, 5], [100, 101]),
        (7, list(range(11)), [100, 50304]),
    ]
    made = []
    for key, context, tokens in cases:
        found = words(vllm, key, torch.tensor([context]), torch.tensor(tokens))[0].tolist()
        uniform = vllm.philox.PhiloxPRF(key).uniform(torch.tensor([context]), torch.tensor(tokens))[0].tolist()
        made.append({"key": str(key), "context": context, "tokens": tokens, "words": found, "uniform": uniform})
    return made


def vllm_gumbel(vllm, logits: torch.Tensor) -> list[dict]:
    """Tokens chosen one after another from one distribution, each after the four before it."""
    cases = []
    for key, temperature in [(42, 1.0), (2**64 - 1, 0.7), (12345678901234567, 2.0)]:
        marker = vllm.gumbel.GumbelWatermarker(key)
        tokens: list[int] = []
        for _ in range(12):
            context = ([-1] * 4 + tokens)[-4:]
            tokens.append(int(marker._sample_watermarked(logits[None] / temperature, torch.tensor([context])).token_ids))
        cases.append({"key": str(key), "temperature": temperature, "tokens": tokens})
    return cases


def vllm_detection(vllm) -> list[dict]:
    generator = torch.Generator().manual_seed(3)
    texts = [torch.randint(0, 6, (40,), generator=generator).tolist() for _ in range(2)]
    texts += [torch.randint(0, 50257, (n,), generator=generator).tolist() for n in (1, 5, 60)]
    cases = []
    for tokens in texts:
        one = vllm.gumbel.GumbelWatermarkDetector(42).detect(tokens)
        case = {"tokens": tokens, "gumbel": [one.num_scored_tokens, one.score, one.p_value], "dual": []}
        for alpha in (0.0, 0.1, 0.5, 0.8):
            two = vllm.gumbel.DualKeyGumbelWatermarkDetector(42, alpha=alpha).detect(tokens)
            case["dual"].append([alpha, two.score, two.p_value])
        cases.append(case)
    return cases


def vllm_repeats(vllm) -> list[dict]:
    """Which tokens are sampled without the mark."""
    generator = torch.Generator().manual_seed(5)
    prompt = torch.randint(0, 3, (20,), generator=generator).tolist()
    text = torch.randint(0, 3, (30,), generator=generator).tolist()
    cases = []
    for width, history, scope in [(1, 8192, "single-turn"), (2, 8192, "single-turn"), (2, 5, "single-turn"), (2, 8192, "all")]:
        repeated = []
        for done in range(len(text)):
            everything = torch.tensor([prompt + text[:done]])
            context = ([-1] * width + text[:done])[-width:]
            both = scope == "all"
            mask = vllm.masks._repeated_context_mask_cpu(
                everything, torch.tensor([0]), torch.tensor([len(prompt)]), torch.tensor([everything.shape[1]]),
                torch.tensor([context]), history, include_prompt=both, skip_partial_context=both,
            )
            repeated.append(int(mask[0]))
        cases.append({"width": width, "maxHistory": history, "scope": scope, "repeated": repeated})
    return [{"prompt": prompt, "text": text, "cases": cases}]


def vllm_reweighed(vllm, logits: torch.Tensor) -> dict:
    """Probabilities after red-green's bias and SynthID's tournament, by the generator's words of one context."""
    context, key = [3, 1, 4, 1], 42
    found = words(vllm, key, torch.tensor([context]), torch.arange(VOCABULARY))[0]
    uniform = vllm.philox.PhiloxPRF(key).uniform(torch.tensor([context]), torch.arange(VOCABULARY))[0]
    green = torch.softmax((logits + 2.0 * (uniform < 0.25)).double(), -1)
    bits = ((found[:, None] >> torch.arange(32)) & 1).double()
    processor = SynthIDTextWatermarkingConfig(5, [1]).construct_processor(VOCABULARY, "cpu")
    tournament = processor.update_scores(logits[None].double(), bits[None])[0].exp()
    return {"context": context, "key": str(key), "redGreen": rounded(green), "synthid": rounded(tournament)}


def tails() -> dict:
    mpmath.mp.dps = 40

    def binomial(k: int, n: int, p: float):
        return sum(mpmath.binomial(n, j) * mpmath.mpf(p) ** j * (1 - mpmath.mpf(p)) ** (n - j) for j in range(k, n + 1))

    def two(n: int, alpha: float, x: float):
        a, b = mpmath.mpf(max(alpha, 1 - alpha)), mpmath.mpf(min(alpha, 1 - alpha))
        density = lambda y: y ** (n - 1) * mpmath.exp(-y) / mpmath.gamma(n)
        rest = lambda y: mpmath.gammainc(n, max(0, (x - b * y) / a), mpmath.inf, regularized=True)
        return mpmath.quad(lambda y: density(y) * rest(y), [0, n / 2, n, 2 * n, 4 * n, x / b, x / b + 200])

    gamma = lambda n, x: mpmath.gammainc(n, x, mpmath.inf, regularized=True)
    log = lambda p: float(f"{float(mpmath.log(p)):.13g}")
    return {
        "gamma": [[n, x, log(gamma(n, x))] for n, x in [(1, 0.1), (5, 2.5), (5, 30), (100, 90), (100, 110), (400, 900)]],
        "binomial": [
            [k, n, p, log(binomial(k, n, p))]
            for k, n, p in [(1, 1, 0.25), (3, 10, 0.25), (10, 10, 0.25), (40, 100, 0.5), (60, 100, 0.5), (300, 1000, 0.25)]
        ],
        "two": [[n, a, x, log(two(n, a, x))] for n, a, x in [(1, 0.1, 2), (10, 0.1, 15), (20, 0.3, 18), (20, 0.5, 40)]],
    }


def checksum(values: list[int]) -> int:
    total = 0
    for value in values:
        total = (total * 31 + value + 1) % 1000003
    return total


def permutations() -> list[dict]:
    cases = []
    for seed, size in [(0, 10), (42, 300), (15485863 * 50256, 50257), (2**64 - 2, 50304), (15485863, 1_000_003)]:
        values = torch.randperm(size, generator=torch.Generator().manual_seed(seed)).tolist()
        cases.append({"seed": str(seed), "size": size, "first": values[:6], "checksum": checksum(values)})
    return cases


def kgw(logits: torch.Tensor) -> list[dict]:
    generator = torch.Generator().manual_seed(9)
    text = torch.randint(0, VOCABULARY, (60,), generator=generator).tolist()
    # Repeats, so that the two ways of counting n-grams differ.
    text = text + text[:20] + [17]
    settings = [
        {"greenlist_ratio": 0.25, "bias": 2.0, "hashing_key": 15485863, "seeding_scheme": "lefthash", "context_width": 1},
        {"greenlist_ratio": 0.5, "bias": 1.5, "hashing_key": 2**61 + 7, "seeding_scheme": "lefthash", "context_width": 2},
        {"greenlist_ratio": 0.25, "bias": 2.5, "hashing_key": 15485863, "seeding_scheme": "selfhash", "context_width": 4},
        {"greenlist_ratio": 0.4, "bias": 2.0, "hashing_key": 99, "seeding_scheme": "selfhash", "context_width": 1},
    ]
    cases = []
    for setting in settings:
        config = WatermarkingConfig(**setting)
        processor = config.construct_processor(VOCABULARY, "cpu")
        green = []
        for end in (1, 3, 10):
            processed = processor(torch.tensor([text[:end]]), logits[None].clone())[0]
            green.append({"prompt": text[:end], "green": torch.nonzero(processed != logits).flatten().tolist()})
        model = GPT2Config(vocab_size=VOCABULARY, bos_token_id=VOCABULARY - 1)
        detections = []
        for once in (False, True):
            found = WatermarkDetector(model, "cpu", config, ignore_repeated_ngrams=once)(torch.tensor([text]), return_dict=True)
            detections.append([int(found.num_tokens_scored[0]), int(found.num_green_tokens[0]), float(found.z_score[0])])
        cases.append({"config": setting, "green": green, "text": text, "all": detections[0], "once": detections[1]})
    return cases


def synthid(logits: torch.Tensor) -> list[dict]:
    keys = torch.randint(0, 2**31, (30,), generator=torch.Generator().manual_seed(1)).tolist()
    settings = [
        {"ngram_len": 5, "keys": keys},
        {"ngram_len": 3, "keys": [654, 400, 836, 123, 340, 443, 597, 160, 57, -5, 2**62 + 1], "context_history_size": 6,
         "sampling_table_size": 10007, "sampling_table_seed": 3, "skip_first_ngram_calls": True},
    ]
    cases = []
    for setting in settings:
        config = SynthIDTextWatermarkingConfig(**setting)
        processor = config.construct_processor(VOCABULARY, "cpu")
        generator = torch.Generator().manual_seed(2)
        text = torch.randint(0, 3, (18,), generator=generator).tolist() + torch.randint(0, 300, (20,), generator=generator).tolist()
        steps = []
        for end in range(20):
            ids = torch.tensor([[7, 8, 9] + text[:end]])
            processed = processor(ids, logits[None].double())[0]
            # The probabilities of a few tokens are enough to tell, and take little space.
            steps.append(rounded(torch.softmax(processed, -1)[[0, 1, 2, 50, 299]], 8))
        judge = config.construct_processor(VOCABULARY, "cpu")
        ids = torch.tensor([text])
        g = judge.compute_g_values(ids)[0]
        mask = judge.compute_context_repetition_mask(ids)[0]
        depth = g.shape[-1]
        weights = torch.linspace(10, 1, depth, dtype=torch.float64)
        weights = weights * depth / weights.sum()
        kept = g[mask].double()
        cases.append({
            "config": config.to_dict(), "prompt": [7, 8, 9], "text": text, "steps": steps,
            "g": ["".join(map(str, row)) for row in g.tolist()], "mask": mask.long().tolist(),
            "mean": kept.mean().item(), "weightedMean": (kept * weights).mean().item(),
            "table": checksum(judge.sampling_table.tolist()), "tableMean": judge.sampling_table.double().mean().item(),
        })
    return cases


def rounded(values: torch.Tensor, digits: int = 6) -> list[float]:
    return [float(f"{x:.{digits}g}") for x in values.tolist()]


def main() -> None:
    vllm = load_vllm(sys.argv[1])
    logits = logits_row()
    derived = [[str(key), *[str(vllm.config.derive_watermark_key(key, label)) for label in (b"key_a", b"key_b")]] for key in (0, 42, 2**64 - 1)]
    versions = {
        "python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__,
        "vllm": Path(sys.argv[1]).name.split("-")[1],
    }
    expected = {
        "madeBy": "scripts/python/make_watermark_fixture.py",
        "versions": versions,
        "logits": [float(f"{x:.6g}") for x in logits.tolist()],
        "words": vllm_words(vllm),
        "derivedKeys": derived,
        "gumbel": vllm_gumbel(vllm, logits),
        "detection": vllm_detection(vllm),
        "repeats": vllm_repeats(vllm),
        "reweighed": vllm_reweighed(vllm, logits),
        "tails": tails(),
        "permutations": permutations(),
        "kgw": kgw(logits),
        "synthid": synthid(logits),
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f"{json.dumps(name)}:{json.dumps(value, separators=(',', ':'))}" for name, value in expected.items())
    FILE.write_text("{" + lines + "}\n")


if __name__ == "__main__":
    main()
