"""Makes test/fixtures/special-tokens/transformers.json: the tokens at which transformers' generate() stops, and with
which it starts an empty text, for config.json and generation_config.json with special tokens of every kind.

    pip install torch transformers
    python scripts/python/make_special_tokens_fixture.py
"""

import json
import tempfile
from pathlib import Path

import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel

OUT = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "special-tokens" / "transformers.json"
VOCAB = 7
# None stands for a file that is not there.
CASES = [
    ({}, None),
    ({"eos_token_id": 3}, None),
    ({"eos_token_id": [3, 4]}, None),
    ({"eos_token_id": None}, None),
    ({"eos_token_id": 50256}, None),
    ({"eos_token_id": 3}, {}),
    ({"eos_token_id": 3}, {"eos_token_id": 5}),
    ({"eos_token_id": 3}, {"eos_token_id": [5, 6]}),
    ({"eos_token_id": 3}, {"eos_token_id": None}),
    ({"eos_token_id": None}, {"eos_token_id": 5}),
    ({"eos_token_id": [3, 50256]}, {"bos_token_id": 1}),
    ({"bos_token_id": 2, "eos_token_id": 3}, {"bos_token_id": 1, "eos_token_id": 4}),
]


def stops_at(model: GPT2LMHeadModel, token: int) -> bool:
    """Whether generation ends when the model is forced to write this token."""

    def favour(_module, _inputs, output):
        return torch.nn.functional.one_hot(torch.full(output.shape[:-1], token), VOCAB).float() * 100

    hook = model.lm_head.register_forward_hook(favour)
    ids = model.generate(torch.tensor([[0]]), max_new_tokens=4, do_sample=False)
    hook.remove()
    return ids.shape[1] == 2


def main() -> None:
    results = []
    for config, generation in CASES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            sizes = {"vocab_size": VOCAB, "n_positions": 16, "n_embd": 8, "n_layer": 1, "n_head": 2}
            GPT2LMHeadModel(GPT2Config(**sizes)).save_pretrained(folder)
            (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", **sizes, **config}))
            (folder / "generation_config.json").unlink(missing_ok=True)
            if generation is not None:
                (folder / "generation_config.json").write_text(json.dumps(generation))
            model = GPT2LMHeadModel.from_pretrained(folder)
            stops = [token for token in range(VOCAB) if stops_at(model, token)]
            results.append({"config": config, "generation": generation, "stops": stops})
    OUT.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f"    {json.dumps(result)}" for result in results)
    OUT.write_text(f'{{\n  "transformers": "{transformers.__version__}",\n  "cases": [\n{lines}\n  ]\n}}\n')


if __name__ == "__main__":
    main()
