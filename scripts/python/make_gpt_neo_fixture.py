"""Writes test/fixtures/gpt-neo: logits, gradients and continuations of small seeded GPT-Neos, and an adapter to one.

    pip install torch transformers peft safetensors
    OMP_NUM_THREADS=1 python3 scripts/python/make_gpt_neo_fixture.py

Hugging Face transformers and torch autograd in float64, no dropout, rounded to float32. Sequences are longer than the
local windows. For each case of cases.json, whose config.json transformers wrote, values.bin holds, little-endian, one
after another: float32 logits [B, T, V]; float32 gradients [P] of the mean loss, tensors in the order of
src/architectures/gpt-neo/tensors.ts. `saved` and `pickled` are folders saved by transformers, `adapter` is one by
PEFT; all belong to the first case.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from seeded_weights import Config, gpt_neo_model, gpt_neo_table, seeded_tokens, seeded_weights

SEED = 27_182
TOKENS_LABEL = 1001
FOLDER = Path(__file__).parents[2] / "test" / "fixtures" / "gpt-neo"
NEW_TOKENS = 16

SMALL = {"vocabSize": 19, "nCtx": 24, "nEmbd": 12, "nLayer": 4, "nHead": 3, "nInner": 48}
ALTERNATING = {"attention_types": [[["global", "local"], 2]]}
# name, sizes, options of GPTNeoConfig, batch, length, length of the prompt that is continued greedily
CASES = [
    ("a window of 5", SMALL, {**ALTERNATING, "window_size": 5}, 2, 24, 3),
    ("a window of one key", SMALL, {**ALTERNATING, "window_size": 1}, 2, 9, 2),
    (
        "types in another order, a narrow feed-forward layer",
        {**SMALL, "nLayer": 3, "nInner": 7},
        {"attention_types": [[["local"], 2], [["global"], 1]], "window_size": 4},
        2,
        17,
        7,
    ),
    (
        "a head of its own, ReLU",
        {**SMALL, "tieWordEmbeddings": False},
        {**ALTERNATING, "window_size": 3, "activation_function": "relu"},
        2,
        11,
        1,
    ),
    (
        "the published window of 256",
        {"vocabSize": 19, "nCtx": 300, "nEmbd": 8, "nLayer": 2, "nHead": 2, "nInner": 32},
        {"attention_types": [[["global", "local"], 1]], "window_size": 256},
        1,
        300,
        270,
    ),
]


def greedy(model, prompt: list[int]) -> dict:
    """Greedy continuation by full forward passes, without a cache, and each chosen logit's lead over the next."""
    ids, margins = list(prompt), []
    with torch.no_grad():
        for _ in range(NEW_TOKENS):
            top = model(torch.tensor([ids]), use_cache=False).logits[0, -1].topk(2)
            margins.append((top.values[0] - top.values[1]).item())
            ids.append(int(top.indices[0]))
    return {"prompt": prompt, "ids": ids[len(prompt) :], "margins": margins}


def make_case(name, sizes, options, batch, length, prompt):
    config = Config(**sizes)
    weights = seeded_weights(config, SEED, gpt_neo_table)
    model = gpt_neo_model(config, weights, **options).double()
    ids = np.array(seeded_tokens(config, SEED, TOKENS_LABEL, batch * (length + 1))).reshape(batch, -1)
    logits = model(torch.from_numpy(ids[:, :-1].copy())).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(ids[:, 1:].copy()).flatten())
    loss.backward()
    parameters = dict(model.transformer.named_parameters()) | {"lm_head.weight": model.lm_head.weight}
    gradients = np.concatenate([parameters[n].grad.numpy().ravel() for n in weights])
    case = {
        "name": name,
        "batch": batch,
        "length": length,
        "loss": loss.item(),
        "parameters": gradients.size,
        "greedy": greedy(model, ids[0, :prompt].tolist()),
        "config": json.loads(model.config.to_json_string()),
    }
    return case, [logits.detach().numpy().ravel(), gradients]


def save_folders() -> None:
    _, sizes, options, *_ = CASES[0]
    model = gpt_neo_model(Config(**sizes), seeded_weights(Config(**sizes), SEED, gpt_neo_table), **options)
    model.save_pretrained(FOLDER / "saved")
    (FOLDER / "pickled").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(FOLDER / "saved" / "config.json", FOLDER / "pickled" / "config.json")
    # Old files hold the causal masks among the tensors.
    state = dict(model.state_dict())
    for i in range(model.config.num_layers):
        state[f"transformer.h.{i}.attn.attention.bias"] = torch.ones(1, 1, 4, 4, dtype=torch.bool)
        state[f"transformer.h.{i}.attn.attention.masked_bias"] = torch.tensor(-1e9)
    torch.save(state, FOLDER / "pickled" / "pytorch_model.bin")


def save_adapter() -> None:
    _, sizes, options, batch, length, _ = CASES[0]
    config = Config(**sizes)
    base = gpt_neo_model(config, seeded_weights(config, SEED, gpt_neo_table), **options).double()
    targets = ["q_proj", "k_proj", "v_proj", "out_proj", "c_fc", "c_proj"]
    torch.manual_seed(20210321)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=3, lora_alpha=6, target_modules=targets)).eval()
    model.peft_config["default"].base_model_name_or_path = "saved"
    model.double()
    for parameter in model.parameters():
        if parameter.requires_grad:
            with torch.no_grad():
                parameter.copy_((parameter + 0.1 * torch.randn_like(parameter)).float())
    ids = torch.tensor(seeded_tokens(config, SEED, TOKENS_LABEL, batch * (length + 1))).reshape(batch, -1)
    logits = model(ids[:, :-1]).logits
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()).backward()
    expected = {"logits": logits.detach()}
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            short = key.replace("base_model.model.transformer.", "").replace(".default", "")
            expected[f"grad.{short}"] = parameter.grad
    model.float().save_pretrained(FOLDER / "adapter")
    (FOLDER / "adapter" / "README.md").unlink()
    save_file({k: v.float().contiguous() for k, v in expected.items()}, FOLDER / "adapter" / "expected.safetensors")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    cases, values = [], []
    for arguments in CASES:
        case, arrays = make_case(*arguments)
        cases.append(case)
        values += arrays
    (FOLDER / "values.bin").write_bytes(np.concatenate(values).astype("<f4").tobytes())
    (FOLDER / "cases.json").write_text(json.dumps({"seed": SEED, "tokensLabel": TOKENS_LABEL, "cases": cases}, indent=1) + "\n")
    save_folders()
    save_adapter()
    size = sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file())
    print(FOLDER, size, "bytes", [case["loss"] for case in cases], min(min(c["greedy"]["margins"]) for c in cases))


if __name__ == "__main__":
    main()
