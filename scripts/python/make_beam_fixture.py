"""Writes test/fixtures/beam/cases.json: beam searches by Hugging Face transformers on a small GPT-2 of seeded weights.

    python3 scripts/python/make_beam_fixture.py

Tokens that such a model prefers end texts, so that all stopping rules matter.
"""

import json
import platform
from pathlib import Path

import numpy as np
import torch
import transformers

from seeded_weights import Config, seeded_tokens, seeded_weights

FILE = Path(__file__).parents[2] / "test" / "fixtures" / "beam" / "cases.json"
SEED = 11
CONFIG = Config(vocabSize=61, nCtx=64, nEmbd=32, nLayer=2, nHead=4, nInner=64)
END = 60
PROMPTS = [(7, 5), (8, 1), (9, 20)]  # (label, length) of the seeded tokens
ENDS = [[20], [29, 10, 6]]
SETTINGS = [
    {"num_beams": 2},
    {"num_beams": 4, "num_return_sequences": 4},
    {"num_beams": 5, "num_return_sequences": 3, "length_penalty": 0.0},
    {"num_beams": 4, "num_return_sequences": 4, "length_penalty": -1.5},
    {"num_beams": 4, "num_return_sequences": 4, "length_penalty": 2.0},
    {"num_beams": 3, "num_return_sequences": 3, "early_stopping": True},
    {"num_beams": 4, "num_return_sequences": 4, "early_stopping": True, "length_penalty": 0.0},
    {"num_beams": 4, "num_return_sequences": 4, "early_stopping": "never", "length_penalty": 0.7},
    {"num_beams": 4, "num_return_sequences": 4, "early_stopping": "never", "length_penalty": 0.0},
    {"num_beams": 4, "num_return_sequences": 4, "early_stopping": "never", "length_penalty": -0.5},
    {"num_beams": 8, "num_return_sequences": 8},
    {"num_beams": 3, "num_return_sequences": 3, "repetition_penalty": 1.3},
    {"num_beams": 3, "num_return_sequences": 3, "bad_words_ids": [[5], [17, 9]], "min_new_tokens": 4},
    {"num_beams": 16, "num_return_sequences": 2, "max_new_tokens": 30},
]


def model() -> transformers.GPT2LMHeadModel:
    c = CONFIG
    config = transformers.GPT2Config(
        vocab_size=c.vocabSize, n_positions=c.nCtx, n_embd=c.nEmbd, n_layer=c.nLayer, n_head=c.nHead, n_inner=c.nInner,
        layer_norm_epsilon=c.layerNormEpsilon, bos_token_id=END, eos_token_id=END, pad_token_id=END,
    )
    made = transformers.GPT2LMHeadModel(config).double().eval()
    state = {}
    for name, values in seeded_weights(c, SEED).items():
        matrix = values.ndim == 2 and not name.startswith("w")
        state["transformer." + name] = torch.from_numpy(np.ascontiguousarray(values.T if matrix else values)).double()
    missing, unexpected = made.load_state_dict(state, strict=False)
    assert not unexpected and missing in ([], ["lm_head.weight"]), (missing, unexpected)
    made.tie_weights()
    return made


def run(made, prompt: list[int], ends: list[int], settings: dict) -> dict:
    options = {"max_new_tokens": 12, "eos_token_id": ends, **settings}
    with torch.no_grad():
        out = made.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), do_sample=False,
            return_dict_in_generate=True, output_scores=True, pad_token_id=END, **options,
        )
    sequences = []
    for ids in out.sequences[:, len(prompt):].tolist():
        stops = [i for i, token in enumerate(ids) if token in ends]
        sequences.append(ids[: stops[0] + 1] if stops else ids)
    scores = out.sequences_scores.tolist() if "sequences_scores" in out else None
    return {"prompt": prompt, "settings": options, "sequences": sequences, "scores": scores}


def main() -> None:
    made = model()
    cases = [run(made, seeded_tokens(CONFIG, SEED, *p), e, s) for p in PROMPTS for e in ENDS for s in SETTINGS]
    ended = [s[-1] in c["settings"]["eos_token_id"] for c in cases for s in c["sequences"]]
    print(len(cases), "cases,", len(ended), "sequences,", sum(ended), "of them end by themselves")
    made_by = {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__}
    FILE.parent.mkdir(exist_ok=True)
    lines = ",\n".join("    " + json.dumps(case) for case in cases)
    FILE.write_text(
        f'{{\n  "madeBy": {json.dumps(made_by)},\n  "seed": {SEED},\n  "config": {json.dumps(vars(CONFIG))},\n'
        f'  "cases": [\n{lines}\n  ]\n}}\n'
    )


if __name__ == "__main__":
    main()
