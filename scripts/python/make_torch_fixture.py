"""Writes test/fixtures/torch: a small seeded GPT-2 in the file formats of several PyTorch programs, by torch.save
itself.

    python3 scripts/python/make_torch_fixture.py

The weights are those of seeded_weights.py (and its twin, test/helpers/seeded-weights.ts), so no values are stored
beside the model. A module stands in for nanoGPT, build-nanogpt and minGPT: it has the names and layouts of their
parameters and computes the same as their models; around the state dict, the files hold what their train.py saves.
logits.json has the module's logits of the tokens 0 to 6, in float64.
"""

import copy
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from seeded_weights import Config, hugging_face_model, seeded_weights
from torch import nn
from torch.nn import functional as F

SEED = 2718
SIZES = {"vocabSize": 19, "nCtx": 7, "nEmbd": 8, "nLayer": 2, "nHead": 2}
CONFIG = Config(**SIZES, nInner=32)
UNTIED = Config(**SIZES, nInner=32, tieWordEmbeddings=False)
ODD = Config(vocabSize=19, nCtx=7, nEmbd=10, nLayer=2, nHead=2, nInner=24)
ARGS = {"n_layer": 2, "n_head": 2, "n_embd": 8, "block_size": 7, "bias": True, "vocab_size": 19, "dropout": 0.0}
FOLDER = Path(__file__).parents[2] / "test" / "fixtures" / "torch"


@dataclass
class GPTConfig:
    block_size: int = 7
    vocab_size: int = 19
    n_layer: int = 2
    n_head: int = 2
    n_embd: int = 8


class Block(nn.Module):
    def __init__(self, c: Config, bias: bool, mask: bool) -> None:
        super().__init__()
        e = c.nEmbd
        self.ln_1, self.ln_2 = nn.LayerNorm(e, bias=bias), nn.LayerNorm(e, bias=bias)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.c_attn, self.attn.c_proj = nn.Linear(e, 3 * e, bias=bias), nn.Linear(e, e, bias=bias)
        if mask:
            self.attn.register_buffer("bias", torch.ones(c.nCtx, c.nCtx).tril().view(1, 1, c.nCtx, c.nCtx))
        self.mlp.c_fc, self.mlp.c_proj = nn.Linear(e, c.nInner, bias=bias), nn.Linear(c.nInner, e, bias=bias)

    def forward(self, x: torch.Tensor, heads: int, gelu: str) -> torch.Tensor:
        q, k, v = (t.unflatten(-1, (heads, -1)).transpose(0, 1) for t in self.attn.c_attn(self.ln_1(x)).chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(0, 1).flatten(1)
        x = x + self.attn.c_proj(mixed)
        return x + self.mlp.c_proj(F.gelu(self.mlp.c_fc(self.ln_2(x)), approximate=gelu))


class GPT(nn.Module):
    """The parameters of those programs' models, by their names, holding `weights` ([out, in], as nn.Linear does)."""

    def __init__(self, c: Config, weights: dict[str, np.ndarray], bias: bool = True, mask: bool = False) -> None:
        super().__init__()
        blocks = nn.ModuleList(Block(c, bias, mask) for _ in range(c.nLayer))
        parts = {"wte": nn.Embedding(c.vocabSize, c.nEmbd), "wpe": nn.Embedding(c.nCtx, c.nEmbd), "h": blocks}
        self.transformer = nn.ModuleDict({**parts, "ln_f": nn.LayerNorm(c.nEmbd, bias=bias)})
        self.lm_head = nn.Linear(c.nEmbd, c.vocabSize, bias=False)
        if c.tieWordEmbeddings:
            self.transformer.wte.weight = self.lm_head.weight
        with torch.no_grad():
            for name, parameter in self.named_parameters(remove_duplicate=False):
                key = name.removeprefix("transformer.")
                key = "wte.weight" if c.tieWordEmbeddings and key == "lm_head.weight" else key
                parameter.copy_(torch.from_numpy(weights[key]))

    def logits(self, heads: int, gelu: str) -> list[float]:
        parts = copy.deepcopy(self).double().transformer
        x = parts.wte.weight[:7] + parts.wpe.weight
        for block in parts.h:
            x = block(x, heads, gelu)
        return F.linear(parts.ln_f(x), self.lm_head.weight.double()).flatten().tolist()


def stepped_optimizer(model: nn.Module) -> dict:
    """AdamW's state after a step that changes nothing, so that the checkpoint has moments beside the seeded weights."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=0.0)
    sum(p.square().sum() for p in model.parameters()).backward()
    optimizer.step()
    return optimizer.state_dict()


def main() -> None:
    for folder in FOLDER.glob("*/"):
        shutil.rmtree(folder)
    torch.manual_seed(1)
    weights, odd = seeded_weights(CONFIG, SEED), seeded_weights(ODD, SEED)

    def save(name: str, value: object, **options: bool) -> None:
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        torch.save(value, FOLDER / name, **options)

    hf = hugging_face_model(ODD, odd)
    config_json = hf.config.to_json_string()
    for name in ["hf", "hf-legacy", "hf-f16", "hf-sharded"]:
        (FOLDER / name).mkdir(parents=True, exist_ok=True)
        (FOLDER / name / "config.json").write_text(config_json)
    state = hf.state_dict()
    # transformers once saved the causal mask too.
    mask = {f"transformer.h.{i}.attn.bias": torch.ones(1, 1, 7, 7, dtype=torch.uint8).tril() for i in range(2)}
    save("hf/pytorch_model.bin", {**state, **mask})
    save("hf-legacy/pytorch_model.bin", state, _use_new_zipfile_serialization=False)
    kinds = [torch.float16, torch.bfloat16, torch.float64, torch.float32]
    mixed = {name: t.to(kinds[i % 4]) for i, (name, t) in enumerate(state.items()) if name != "lm_head.weight"}
    # A transposed view, as made by `.t()`: its columns are contiguous.
    name = "transformer.h.0.attn.c_attn.weight"
    mixed[name] = mixed[name].t().contiguous().t()
    save("hf-f16/pytorch_model.bin", mixed, pickle_protocol=4)
    names = [n for n in state if n != "lm_head.weight"]
    shards = {n: f"pytorch_model-0000{1 + 2 * i // len(names)}-of-00002.bin" for i, n in enumerate(names)}
    for file in sorted(set(shards.values())):
        save(f"hf-sharded/{file}", {n: state[n].clone() for n in names if shards[n] == file})
    index = {"metadata": {"total_size": sum(state[n].nbytes for n in names)}, "weight_map": shards}
    (FOLDER / "hf-sharded" / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=1) + "\n")

    model = GPT(CONFIG, weights)
    compiled = {f"_orig_mod.{name}": t for name, t in model.state_dict().items()}
    best = torch.tensor(3.25)
    run = {"out_dir": "out", "eval_interval": 5, "learning_rate": 6e-4, "compile": True, "init_from": "scratch"}
    checkpoint = {"model_args": ARGS, "iter_num": 5, "best_val_loss": best, "config": run}
    save("nanogpt/ckpt.pt", {"model": compiled, "optimizer": stepped_optimizer(model), **checkpoint})
    unbiased = GPT(CONFIG, weights, bias=False)
    args = {**ARGS, "bias": False}
    save("nanogpt-no-bias/ckpt.pt", {"model": unbiased.state_dict(), **checkpoint, "model_args": args})
    # The class must have the name under which train_gpt2.py pickles it.
    GPTConfig.__module__ = "__main__"
    value = {"model": GPT(CONFIG, weights, mask=True).state_dict(), "config": GPTConfig(), "step": 9, "val_loss": 3.5}
    save("build-nanogpt/model_00009.pt", value)
    untied = GPT(UNTIED, seeded_weights(UNTIED, SEED), mask=True)
    save("mingpt/model.pt", untied.state_dict())
    shape = {"model_type": None, "n_layer": 2, "n_head": 2, "n_embd": 8, "vocab_size": None, "block_size": None}
    settings = {"system": {"seed": 3407, "work_dir": "./out"}, "model": {**shape, "embd_pdrop": 0.1}, "trainer": {}}
    (FOLDER / "mingpt" / "config.json").write_text(json.dumps(settings, indent=4))
    logits = {
        "nanogpt": model.logits(2, "none"),
        "nanogpt-no-bias": unbiased.logits(2, "none"),
        "build-nanogpt/model_00009.pt": model.logits(2, "tanh"),
        "mingpt/model.pt": untied.logits(2, "tanh"),
    }
    (FOLDER / "logits.json").write_text(json.dumps(logits) + "\n")
    for path in sorted(FOLDER.glob("*/*")):
        print(path.relative_to(FOLDER), path.stat().st_size)


if __name__ == "__main__":
    main()
