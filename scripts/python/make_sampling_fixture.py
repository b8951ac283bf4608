"""Writes test/fixtures/sampling/expected.json: the next token's distribution under Hugging Face's filters.

    python3 scripts/python/make_sampling_fixture.py

One row of logits, the tokens before it, and for each combination of settings the probabilities from which
transformers draws: its logits processors in the order of its generate(), in float64.
"""

import json
import platform
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

FILE = Path(__file__).parents[2] / "test" / "fixtures" / "sampling" / "expected.json"
VOCABULARY = 300
BEFORE = [3, 17, 17, 42, 255, 3, 101]
PLAIN = {"temperature": 1, "topK": 0, "topP": 1, "minP": 0, "repetitionPenalty": 1}
CHANGES = [
    {},
    {"temperature": 0.7},
    {"temperature": 1.9},
    {"topK": 1},
    {"topK": 5},
    {"topK": 1000},
    {"topP": 0.3},
    {"topP": 0.9},
    {"topP": 0.999},
    {"topP": 0.95, "temperature": 4},
    {"minP": 0.1},
    {"minP": 0.5, "temperature": 2},
    {"repetitionPenalty": 1.3},
    {"repetitionPenalty": 0.8, "topK": 7},
    {"topK": 20, "topP": 0.8},
    {"topK": 20, "topP": 0.8, "minP": 0.2, "temperature": 1.5},
    {"topP": 0.9, "minP": 0.05, "temperature": 0.8, "repetitionPenalty": 1.1},
]


def processors(s: dict) -> LogitsProcessorList:
    made = LogitsProcessorList()
    if s["repetitionPenalty"] != 1:
        made.append(RepetitionPenaltyLogitsProcessor(float(s["repetitionPenalty"])))
    if s["temperature"] != 1:
        made.append(TemperatureLogitsWarper(float(s["temperature"])))
    if s["topK"] > 0:
        made.append(TopKLogitsWarper(s["topK"]))
    if s["topP"] < 1:
        made.append(TopPLogitsWarper(s["topP"]))
    if s["minP"] > 0:
        made.append(MinPLogitsWarper(s["minP"]))
    return made


def main() -> None:
    logits = (3 * np.random.default_rng(7).standard_normal(VOCABULARY)).astype(np.float32).round(4)
    logits[BEFORE[0]], logits[BEFORE[1]] = 8.5, 7.25  # so that the penalty meets likely tokens, not only unlikely ones
    row = torch.from_numpy(logits.astype(np.float64))[None]
    cases = []
    for change in CHANGES:
        settings = PLAIN | change
        scores = processors(settings)(torch.tensor([BEFORE]), row.clone())
        probabilities = torch.softmax(scores, -1)[0].tolist()
        cases.append({"settings": settings, "probabilities": [float(f"{p:.10g}") for p in probabilities]})
    versions = {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__}
    expected = {
        "madeBy": "scripts/python/make_sampling_fixture.py",
        "versions": versions,
        "logits": [float(f"{x:.6g}") for x in logits.tolist()],
        "before": BEFORE,
        "cases": cases,
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(expected, separators=(",", ":")).replace('{"settings"', '\n{"settings"') + "\n")


if __name__ == "__main__":
    main()
