"""Writes test/fixtures/ops/expected.json: torch's results for each operation of GPT-2, in float64.

    python3 scripts/python/make_ops_fixture.py

Forward passes are torch.nn.functional's, gradients autograd's, the optimizers torch.optim.AdamW and torch.optim.Muon
after torch.nn.utils.clip_grad_norm_. Tensors are flattened, row-major; weights are [out, in].
"""

import json
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F

FILE = Path(__file__).parents[2] / "test" / "fixtures" / "ops" / "expected.json"


def leaf(*shape: int, scale: float = 1.0) -> torch.Tensor:
    return (torch.randn(*shape, dtype=torch.float64) * scale).requires_grad_()


def flat(**tensors: torch.Tensor) -> dict[str, list]:
    return {name: t.detach().flatten().tolist() for name, t in tensors.items()}


def with_gradients(out: torch.Tensor, **inputs: torch.Tensor) -> dict[str, list]:
    """The inputs, out, a random gradient dout of out, and the gradient dx of each input x."""
    dout = torch.randn_like(out)
    gradients = torch.autograd.grad(out, list(inputs.values()), dout)
    named = {f"d{name}": g for name, g in zip(inputs, gradients)}
    return flat(**inputs, out=out, dout=dout, **named)


def embedding() -> dict:
    tokens, positions = torch.tensor([3, 0, 3, 4, 3]), torch.tensor([0, 1, 2, 0, 1])
    wte, wpe = leaf(5, 3), leaf(4, 3)
    out = F.embedding(tokens, wte) + F.embedding(positions, wpe)
    return flat(tokens=tokens, positions=positions) | with_gradients(out, wte=wte, wpe=wpe)


def layernorm() -> dict:
    x, weight, bias = leaf(3, 7, scale=2.0), leaf(7), leaf(7)
    return with_gradients(F.layer_norm(x, (7,), weight, bias, eps=1e-5), x=x, weight=weight, bias=bias)


def linear() -> dict:
    """out = residual + gelu(x · weightᵀ + bias), and the gradient of gelu's argument."""
    x, weight, bias, residual = leaf(4, 5), leaf(6, 5), leaf(6), leaf(4, 6)
    preact = F.linear(x, weight, bias)
    out = residual + F.gelu(preact, approximate="tanh")
    return with_gradients(out, x=x, weight=weight, bias=bias, preact=preact) | flat(residual=residual)


def attention() -> dict:
    """Two sequences of 4 and 2 tokens packed, causal, NH = 2 heads of HS = 3."""
    n, nh, hs, lengths = 6, 2, 3, (4, 2)
    qkv = leaf(n, 3 * nh * hs, scale=1.5)
    q, k, v = (t.view(n, nh, hs).transpose(0, 1) for t in qkv.split(nh * hs, dim=1))
    mask = torch.block_diag(*(torch.ones(length, length).tril() for length in lengths)).bool()
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(0, 1).reshape(n, nh * hs)
    scores = (q @ k.transpose(1, 2) / hs**0.5).masked_fill(~mask, -torch.inf)
    return with_gradients(out, qkv=qkv) | flat(lse=scores.logsumexp(-1).T)


def cross_entropy() -> dict:
    logits, targets = leaf(4, 9, scale=3.0), torch.tensor([8, -100, 0, 3])
    losses = F.cross_entropy(logits, targets, reduction="none")
    (dlogits,) = torch.autograd.grad(losses.sum() / 3, logits)
    return flat(logits=logits, targets=targets, losses=losses, dlogits=dlogits)


def adamw() -> dict:
    """Six steps on 12 decayed and 3 undecayed parameters, clipped together to norm 1; some gradients are below it."""
    matrix, vector = leaf(4, 3), leaf(3)
    groups = [{"params": [matrix], "weight_decay": 0.1}, {"params": [vector], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=3e-2, betas=(0.9, 0.95), eps=1e-8)
    initial, steps = torch.cat([matrix.flatten(), vector]).tolist(), []
    for step in range(6):
        matrix.grad, vector.grad = (torch.randn_like(p) * (0.1 if step % 3 == 1 else 1.0) for p in (matrix, vector))
        grad = torch.cat([matrix.grad.flatten(), vector.grad]).tolist()
        norm = torch.nn.utils.clip_grad_norm_([matrix, vector], 1.0).item()
        optimizer.step()
        steps.append({"grad": grad, "norm": norm, "param": torch.cat([matrix.flatten(), vector]).tolist()})
    return {"initial": initial, "steps": steps}


def muon() -> dict:
    """
    Four steps on a wide matrix, a tall one, a square one, and one of three square ones that are stacked. Muon's products are bfloat16 in torch; here they stay in float64, so that the formula is compared.
    """
    shapes = {"wide": (3, 5), "tall": (6, 2), "square": (4, 4), "stacked": (9, 3)}
    params = {name: leaf(*shape) for name, shape in shapes.items()}
    split = {name: p.detach().chunk(3) if name == "stacked" else [p.detach()] for name, p in params.items()}
    parts = [part.clone().requires_grad_() for list_ in split.values() for part in list_]
    optimizer = torch.optim.Muon(parts, lr=3e-2, weight_decay=0.1, momentum=0.9, adjust_lr_fn="match_rms_adamw")
    flat_all = lambda tensors: torch.cat([t.detach().flatten() for t in tensors]).tolist()  # noqa: E731
    initial, steps = flat_all(parts), []
    for step in range(4):
        for part in parts:
            part.grad = torch.randn_like(part) * (0.05 if step == 1 else 1.0)
        grad = flat_all([part.grad for part in parts])
        norm = torch.nn.utils.clip_grad_norm_(parts, 1.0).item()
        with mock.patch.object(torch.Tensor, "bfloat16", lambda tensor: tensor.clone()):
            optimizer.step()
        steps.append({"grad": grad, "norm": norm, "param": flat_all(parts)})
    return {"shapes": shapes, "initial": initial, "steps": steps}


def main() -> None:
    torch.manual_seed(1557611200)
    ops = (embedding, layernorm, linear, attention, cross_entropy, adamw, muon)
    fixture = {"madeBy": f"scripts/python/{Path(__file__).name}, torch {torch.__version__}"}
    fixture |= {op.__name__: op() for op in ops}
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
