"""Makes test/fixtures/classifier: a small random GPT2ForSequenceClassification by transformers, an adapter for it by
PEFT, and the results of both: logits of texts of different lengths, losses, gradients, and a few steps of AdamW.

    pip install torch transformers peft safetensors
    OMP_NUM_THREADS=1 python scripts/python/make_classifier_fixture.py

Everything is computed in float64 from the float32 weights, so that the figures are the mathematical ones to single
precision. Texts are padded on the right with config.json's pad_token_id, which occurs in none of them.
"""

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2ForSequenceClassification

OUT = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "classifier"
LABELS = ["negative", "neutral", "positive"]
VOCAB, PAD = 61, 60
LENGTHS, TARGETS, VALUES = [5, 1, 11, 7], [2, 0, 1, 2], [0.5, -1.25, 3.0, 0.0]
STEPS, LR = 5, 1e-2

torch.manual_seed(20180611)
T = max(LENGTHS)
tokens = torch.full((len(LENGTHS), T), PAD)
for i, length in enumerate(LENGTHS):
    tokens[i, :length] = torch.randint(PAD, (length,))
mask = (tokens != PAD).long()


def config(labels, problem_type):
    return GPT2Config(
        vocab_size=VOCAB,
        n_positions=11,
        n_embd=20,
        n_layer=2,
        n_head=2,
        n_inner=50,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        pad_token_id=PAD,
        bos_token_id=PAD,
        eos_token_id=PAD,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        problem_type=problem_type,
        attn_implementation="eager",
    )


def randomize(parameters, std):
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(std * torch.randn_like(parameter))
            parameter.copy_(parameter.float())


def plain_name(name):
    for part in ("base_model.model.", "transformer.", ".default", ".base_layer", ".modules_to_save"):
        name = name.replace(part, "")
    return name


def plain_value(name, value):
    """[out, in], the layout of a Conv1D in gpt2-ts."""
    conv1d = any(part in name for part in ("c_attn.weight", "c_proj.weight", "c_fc.weight"))
    return value.T if conv1d else value


def expected(model, labels):
    """Mean loss of the texts and its gradients, then steps of AdamW."""
    trained = [(plain_name(n), p) for n, p in model.named_parameters() if p.requires_grad]
    out = model(tokens, attention_mask=mask, labels=labels)
    out.loss.backward()
    values = {"logits": out.logits, "loss": out.loss.reshape(1)}
    for name, parameter in trained:
        values[f"grad.{name}"] = plain_value(name, parameter.grad.clone())
    optimizer = torch.optim.AdamW([p for _, p in trained], lr=LR, betas=(0.9, 0.999), eps=1e-8, weight_decay=0)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = model(tokens, attention_mask=mask, labels=labels).loss
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    values["losses"] = torch.tensor(losses)
    return values


def save(path, tensors):
    plain = {k: (v.int() if v.dtype == torch.int64 else v.detach().float()).contiguous() for k, v in tensors.items()}
    save_file(plain, OUT / path)


def make(name, labels, problem_type, targets):
    model = GPT2ForSequenceClassification(config(labels, problem_type)).double().eval()
    randomize(model.parameters(), 0.1)
    model.float().save_pretrained(OUT / name)
    model.double()
    save(f"{name}/expected.safetensors", expected(model, targets))


def make_adapter():
    base = GPT2ForSequenceClassification.from_pretrained(OUT / "model", attn_implementation="eager").double().eval()
    lora = LoraConfig(task_type="SEQ_CLS", r=2, lora_alpha=6, target_modules=["c_attn"], fan_in_fan_out=True)
    model = get_peft_model(base, lora).double().eval()
    model.peft_config["default"].base_model_name_or_path = "model"
    randomize([p for p in model.parameters() if p.requires_grad], 0.1)
    model.float().save_pretrained(OUT / "adapter")
    model.double()
    (OUT / "adapter" / "README.md").unlink()
    save("adapter/expected.safetensors", expected(model, torch.tensor(TARGETS)))


OUT.mkdir(exist_ok=True)
save(
    "batch.safetensors",
    {
        "tokens": tokens,
        "lengths": torch.tensor(LENGTHS),
        "targets": torch.tensor(TARGETS),
        "values": torch.tensor(VALUES),
    },
)
make("model", LABELS, None, torch.tensor(TARGETS))
make("regressor", ["LABEL_0"], "regression", torch.tensor(VALUES, dtype=torch.float64))
make_adapter()
