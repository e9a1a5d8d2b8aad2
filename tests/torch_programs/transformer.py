"""A small GPT by hand: causal attention with tril, masked_fill and einsum; then greedy writing."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class Attention(nn.Module):
    def __init__(self, width, heads, block):
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)
        self.register_buffer("mask", torch.tril(torch.ones(block, block)).view(1, 1, block, block))

    def forward(self, x):
        b, t, c = x.size()
        q, k, v = self.c_attn(x).split(c, dim=2)
        q, k, v = (z.view(b, t, self.heads, c // self.heads).transpose(1, 2) for z in (q, k, v))
        att = torch.einsum("bhqd,bhkd->bhqk", q, k) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf"))
        y = F.softmax(att, dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(b, t, c))


class Block(nn.Module):
    def __init__(self, width, heads, block):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, heads, block)
        self.mlp = nn.ModuleDict({"fc": nn.Linear(width, 2 * width), "proj": nn.Linear(2 * width, width)})

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp["proj"](F.gelu(self.mlp["fc"](self.ln_2(x))))


class GPT(nn.Module):
    def __init__(self, vocab, width, heads, block, layers):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, width), nn.Embedding(block, width)
        self.blocks = nn.ModuleList([Block(width, heads, block) for _ in range(layers)])
        self.head = nn.Linear(width, vocab, bias=False)

    def forward(self, idx, targets=None):
        pos = torch.arange(0, idx.size(1), dtype=torch.long, device=idx.device).unsqueeze(0)
        x = self.wte(idx) + self.wpe(pos)
        for block in self.blocks:
            x = block(x)
        logits = self.head(x)
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)


text = torch.tensor([0, 1, 2, 3, 2, 1] * 6)
x, y = text[:32].view(4, 8), text[1:33].view(4, 8)
model = GPT(4, 16, 2, 8, 2)
start(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.02, betas=(0.9, 0.95))
losses = []
for _ in range(24):
    logits, loss = model(x, y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
idx = torch.tensor([[0, 1, 2]])
with torch.no_grad():
    for _ in range(5):
        logits, _ = model(idx[:, -8:])
        _, nxt = torch.topk(logits[:, -1, :], k=1, dim=-1)
        idx = torch.cat((idx, nxt), dim=1)
result = [*losses[::4], *idx[0].tolist()]
assert losses[-1] < 0.9 * losses[0]
