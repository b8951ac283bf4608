"""Checks on the default model that vLLM and Hugging Face transformers find marks made here, and vice versa.

    pip download --no-deps --dest /tmp vllm==0.33.0
    npm run build
    python3 scripts/python/check_watermark.py /tmp/vllm-0.33.0-*.whl
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    SynthIDTextWatermarkingConfig,
    WatermarkDetector,
    WatermarkingConfig,
)

from vllm_watermark import load_vllm

ROOT = Path(__file__).parents[2]
PROMPT = "It was a dark night, and"
KEY = 12345678901234567
LENGTH = 100


def gpt2(*arguments: str) -> dict:
    """The command's JSON. Texts are generated in f32, like torch's here: with f16's rounding, a near tie would make them diverge."""
    if arguments[0] != "watermark":
        arguments = (*arguments, "--dtype", "f32")
    command = ["node", str(ROOT / "dist/src/cli/main.js"), *arguments, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def write(folder: str, name: str, value: object) -> str:
    path = Path(folder) / name
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(path)


def check(what: str, holds: bool, detail: object = "") -> None:
    print("ok  " if holds else "NOT ", what, detail)
    if not holds:
        sys.exit(1)


def vllm_texts(vllm, model, tokenizer, folder: str) -> None:
    """Checks that both choose the same tokens from the same distribution, and pass each other's test."""
    config = write(folder, "gumbel.json", {"algorithm": "gumbel", "key": KEY, "deduplicate_contexts": "none"})
    plain = ["--temperature", "1", "--top-k", "0", "--min-p", "0", "--repetition-penalty", "1"]
    ours = gpt2(PROMPT, "-n", str(LENGTH), *plain, "--watermark-config", config, "--ignore-eot")
    marker = vllm.gumbel.GumbelWatermarker(KEY)
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    tokens: list[int] = []
    for _ in range(LENGTH):
        context = torch.tensor([([-1] * 4 + tokens)[-4:]])
        with torch.no_grad():
            logits = model(ids).logits[:, -1].float()
        tokens.append(int(marker._sample_watermarked(logits, context).token_ids))
        ids = torch.cat([ids, torch.tensor([[tokens[-1]]])], -1)
    check("gumbel writes vLLM's text", ours["tokens"] == tokens)
    found = gpt2("watermark", "--text", tokenizer.decode(tokens), "--config", config)
    check("vLLM's text is found here", found["verdict"] == "found", found["pValue"])

    for scheme, detector in [
        ("gumbel", vllm.gumbel.GumbelWatermarkDetector(KEY)),
        ("dual-key-gumbel", vllm.gumbel.DualKeyGumbelWatermarkDetector(KEY)),
    ]:
        marked = gpt2(PROMPT, "-n", str(LENGTH), "--watermark", scheme, "--watermark-key", str(KEY), "--seed", "1", "--ignore-eot")
        theirs = detector.detect(marked["tokens"])
        report = gpt2("watermark", "--text", marked["text"], "--scheme", scheme, "--key", str(KEY))
        check(f"a {scheme} text is found by vLLM", theirs.is_watermarked, theirs.p_value)
        same = len(marked["tokens"]) == report["tokens"]
        check(f"with the score of {scheme} here", not same or abs(theirs.score - report["score"]) < 1e-9, theirs.score)


def transformers_texts(model, tokenizer, folder: str) -> None:
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    settings = [
        WatermarkingConfig(bias=3.0),
        WatermarkingConfig(bias=3.0, greenlist_ratio=0.5, hashing_key=KEY),
        WatermarkingConfig(bias=3.0, seeding_scheme="selfhash", context_width=3),
        SynthIDTextWatermarkingConfig(5, [654, 400, 836, 123, 340, 443, 597, 160, 57]),
    ]
    for number, config in enumerate(settings):
        name = f"{type(config).__name__} {getattr(config, 'seeding_scheme', '')}"
        path = write(folder, f"transformers{number}.json", config.to_json_string())
        out = model.generate(ids, watermarking_config=config, do_sample=False, max_new_tokens=60, min_new_tokens=60, pad_token_id=0)
        theirs = out[0, ids.shape[1] :].tolist()
        ours = gpt2(PROMPT, "-n", "60", "--temperature", "0", "--watermark-config", path, "--ignore-eot")["tokens"]
        check(f"{name}: transformers' greedy text", ours == theirs)
        report = gpt2("watermark", "--text", tokenizer.decode(theirs), "--config", path)
        if isinstance(config, WatermarkingConfig):
            again = tokenizer(tokenizer.decode(theirs), return_tensors="pt").input_ids
            judge = WatermarkDetector(model.config, "cpu", config, ignore_repeated_ngrams=True)
            z = float(judge(again, return_dict=True).z_score[0])
            check(f"{name}: transformers' z-score", abs(z - report["zScore"]) < 1e-9, z)
        else:
            check(f"{name}: its mean g", report["scored"] > 0, report["score"])


def main() -> None:
    folder = ROOT / "models" / "default"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with tempfile.TemporaryDirectory() as scratch:
        vllm_texts(load_vllm(sys.argv[1]), model, tokenizer, scratch)
        transformers_texts(model, tokenizer, scratch)


if __name__ == "__main__":
    main()
