"""A plain PyTorch GPT-2, as small training programs write it: fused qkv, scaled_dot_product_attention, tied head."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads = c.nHead
        self.ln_1 = nn.LayerNorm(c.nEmbd, eps=c.layerNormEpsilon)
        self.c_attn = nn.Linear(c.nEmbd, 3 * c.nEmbd)
        self.attn_proj = nn.Linear(c.nEmbd, c.nEmbd)
        self.ln_2 = nn.LayerNorm(c.nEmbd, eps=c.layerNormEpsilon)
        self.c_fc = nn.Linear(c.nEmbd, c.nInner)
        self.mlp_proj = nn.Linear(c.nInner, c.nEmbd)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (
            p.view(B, T, self.heads, C // self.heads).transpose(1, 2) for p in self.c_attn(self.ln_1(x)).split(C, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_proj(y.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class PlainGPT2(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.wte = nn.Embedding(c.vocabSize, c.nEmbd)
        self.wpe = nn.Embedding(c.nCtx, c.nEmbd)
        self.h = nn.ModuleList(Block(c) for _ in range(c.nLayer))
        self.ln_f = nn.LayerNorm(c.nEmbd, eps=c.layerNormEpsilon)

    def hidden(self, inputs):
        x = self.wte(inputs) + self.wpe(torch.arange(inputs.shape[1]))
        for block in self.h:
            x = block(x)
        return self.ln_f(x)

    def forward(self, inputs, targets):
        """int64 [B, T], [B, T] -> mean loss in nats"""
        logits = self.hidden(inputs) @ self.wte.weight.T
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def next_token(self, inputs, position):
        """int64 [1, T], [1] -> the likeliest token after that position"""
        return (self.hidden(inputs)[0, position] @ self.wte.weight.T).argmax(-1)

    @torch.no_grad()
    def load(self, weights):
        """Seeded weights ([out, in], like nn.Linear's) by their usual names."""
        parameters = dict(self.named_parameters())
        for name, values in weights.items():
            mine = name.replace("attn.c_attn", "c_attn").replace("attn.c_proj", "attn_proj")
            mine = mine.replace("mlp.c_fc", "c_fc").replace("mlp.c_proj", "mlp_proj")
            parameters.pop(mine).copy_(torch.from_numpy(values))
        if parameters:
            raise SystemExit(f"not loaded: {sorted(parameters)}")
        return self
