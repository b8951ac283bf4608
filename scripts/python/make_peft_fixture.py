"""Makes test/fixtures/peft: LoRA adapters by PEFT itself for the tiny GPT-2 of test/fixtures/tiny, with the results
of transformers and PEFT: logits, losses, gradients, and a few steps of AdamW.

    pip install torch transformers peft safetensors
    OMP_NUM_THREADS=1 python scripts/python/make_peft_fixture.py

Everything is computed in float64 from the float32 weights, so that the figures are the mathematical ones to single
precision.
"""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import GPT2LMHeadModel

FIXTURES = Path(__file__).resolve().parents[2] / "test" / "fixtures"
OUT = FIXTURES / "peft"
B, T, V = 2, 12, 512
STEPS, LR = 5, 1e-2

torch.manual_seed(20211018)
tokens = torch.randint(V, (B, T))
targets = torch.randint(V, (B, T))
targets[0, :5] = -100  # masked, like a prompt
targets[1, 9:] = -100  # masked, like padding


def base_model():
    return GPT2LMHeadModel.from_pretrained(FIXTURES / "tiny", attn_implementation="eager").double().eval()


def loss_of(logits):
    return torch.nn.functional.cross_entropy(logits.reshape(-1, V), targets.reshape(-1), ignore_index=-100)


def randomize(model):
    """B is zero at first: then A has no gradient, and nothing would be tested."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            with torch.no_grad():
                parameter.add_(0.05 * torch.randn_like(parameter))
                parameter.copy_(parameter.float())


def plain_name(name):
    """The name in gpt2-ts: h.0.attn.c_attn.lora_A.weight."""
    for part in ("base_model.model.", "transformer.", ".default", ".base_layer", ".modules_to_save"):
        name = name.replace(part, "")
    return name


def trainable(model):
    return {plain_name(n): p for n, p in model.named_parameters() if p.requires_grad}


def make(name, **config):
    model = get_peft_model(base_model(), LoraConfig(task_type="CAUSAL_LM", **config)).double().eval()
    model.peft_config["default"].base_model_name_or_path = "tiny"
    randomize(model)
    model.float().save_pretrained(OUT / name)
    model.double()
    (OUT / name / "README.md").unlink()
    logits = model(tokens).logits
    loss = loss_of(logits)
    loss.backward()
    expected = {"logits": logits, "loss": loss.reshape(1)}
    for key, parameter in trainable(model).items():
        expected[f"grad.{key}"] = parameter.grad.clone()
    optimizer = torch.optim.AdamW(trainable(model).values(), lr=LR, betas=(0.9, 0.999), eps=1e-8, weight_decay=0)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model(tokens).logits)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    expected["losses"] = torch.tensor(losses)
    for key, parameter in trainable(model).items():
        expected[f"after.{key}"] = parameter
    save(f"{name}/expected.safetensors", expected)


def make_full():
    """Full fine-tuning on the same batch: the norm, the sum and every 97th value of each gradient."""
    model = base_model()
    loss_of(model(tokens).logits).backward()
    expected = {}
    for name, parameter in model.named_parameters():
        if name == "lm_head.weight":
            continue
        grad = parameter.grad
        name = plain_name(name)
        if any(part in name for part in ("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            grad = grad.T  # [out, in], the layout of a Conv1D in gpt2-ts
        flat = grad.reshape(-1)
        expected[name] = torch.cat([flat.norm().reshape(1), flat.sum().reshape(1), flat[::97]])
    save("full.safetensors", expected)


def make_packed():
    """Sequences packed one after another must have the same losses as each alone."""
    model = base_model()
    lengths = [5, 1, 7, 3]
    losses, start = [], 0
    flat, flat_targets = tokens.reshape(-1), targets.reshape(-1)
    for length in lengths:
        logits = model(flat[None, start : start + length]).logits[0]
        part = flat_targets[start : start + length]
        losses.append(torch.nn.functional.cross_entropy(logits, part, ignore_index=-100, reduction="none"))
        start += length
    save("packed.safetensors", {"lengths": torch.tensor(lengths), "losses": torch.cat(losses)})


def save(path, tensors):
    plain = {k: (v.int() if v.dtype == torch.int64 else v.detach().float()).contiguous() for k, v in tensors.items()}
    save_file(plain, OUT / path)


def refused():
    """Settings in adapter_config.json that gpt2-ts refuses by name."""
    variants = {
        "dora": dict(use_dora=True),
        "lora-bias": dict(lora_bias=True),
        "pissa": dict(init_lora_weights="pissa"),
        "replication": dict(layer_replication=[[0, 2]]),
        "tokens": dict(trainable_token_indices=[1, 2]),
    }
    out = {}
    for name, options in variants.items():
        config = LoraConfig(task_type="CAUSAL_LM", target_modules=["c_attn"], fan_in_fan_out=True, **options)
        out[name] = json.loads(json.dumps(config.to_dict(), default=lambda x: sorted(x) if isinstance(x, set) else str(x)))
    (OUT / "refused.json").write_text(json.dumps(out, indent=1) + "\n")


OUT.mkdir(exist_ok=True)
save("batch.safetensors", {"tokens": tokens, "targets": targets})
make("all-linear", r=4, lora_alpha=8, target_modules=["c_attn", "c_proj", "c_fc"])
make(
    "patterns",
    r=3,
    lora_alpha=7,
    target_modules=["c_attn", "mlp.c_proj"],
    use_rslora=True,
    rank_pattern={"h.0.attn.c_attn": 2},
    alpha_pattern={"h.1.attn.c_attn": 5, "mlp.c_proj": 1},
)
make("extras", r=2, lora_alpha=4, target_modules=["c_attn"], bias="all", modules_to_save=["ln_1", "ln_2", "ln_f"])
make_full()
make_packed()
refused()
