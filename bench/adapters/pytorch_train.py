"""The peer of bench/training.ts: training speed of plain PyTorch on the CPU, for a LLaMA shape.

Use: python3 pytorch_train.py THREADS [vocab width ffn layers heads T batch steps f32|bf16]    prints one JSON line

Needs torch alone, 1.13 or later (Debian: python3-torch). Attention is PyTorch's own where it has one
(scaled_dot_product_attention, 2.0), and a product, a softmax and a product before; so are RMSNorm and a fused AdamW.
bf16 is autocast: weights, gradients and moments stay f32, as ours do. CRIA_PEER_ATTENTION=products makes
attention of products and a softmax: without MKL, PyTorch's own takes half of a step for its gradient. CRIA_PEER_COMPILE=1 runs the model through
torch.compile. What the libraries below need to be fast (OPENBLAS_CORETYPE, GLIBC_TUNABLES) is the caller's to set. An OpenBLAS with threads of
its own hears nothing of torch.set_num_threads: it is told before it is loaded.
"""
import contextlib
import json
import os
import sys
import time

os.environ.setdefault('OPENBLAS_NUM_THREADS', sys.argv[1] if len(sys.argv) > 1 else '1')

import torch
import torch.nn.functional as F
from torch import nn

DEFAULTS = [4096, 288, 768, 6, 6, 256, 16, 5]


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        if hasattr(F, 'rms_norm'):
            return F.rms_norm(x, self.weight.shape, self.weight, 1e-5)
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


def rotate(x, cos, sin):
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def attention(q, k, v, mask):
    if hasattr(F, 'scaled_dot_product_attention') and os.environ.get('CRIA_PEER_ATTENTION') != 'products':
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + mask
    return scores.softmax(dim=-1) @ v


class Block(nn.Module):
    def __init__(self, width, ffn, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm, self.ffn_norm = RMSNorm(width), RMSNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate, self.up = nn.Linear(width, ffn, bias=False), nn.Linear(width, ffn, bias=False)
        self.down = nn.Linear(ffn, width, bias=False)

    def forward(self, x, cos, sin, mask):
        rows, length, width = x.shape
        h = self.attention_norm(x)
        q, k, v = (f(h).view(rows, length, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        a = attention(rotate(q, cos, sin), rotate(k, cos, sin), v, mask)
        x = x + self.o(a.transpose(1, 2).reshape(rows, length, width))
        h = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Llama(nn.Module):
    def __init__(self, vocab, width, ffn, layers, heads, length):
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(width, ffn, heads) for _ in range(layers))
        self.norm = RMSNorm(width)
        size = width // heads
        angles = torch.outer(torch.arange(length), 10_000.0 ** (-torch.arange(0, size, 2) / size)).repeat(1, 2)
        self.cos, self.sin = angles.cos(), angles.sin()
        self.mask = torch.full((length, length), float('-inf')).triu(1)

    def forward(self, tokens):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin, self.mask)
        logits = F.linear(self.norm(x), self.embedding.weight)
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def main():
    words = sys.argv[1:] or ['1']
    kind = words.pop() if words[-1] in ('f32', 'bf16') else 'f32'
    given = [int(word) for word in words]
    threads, sizes = given[0], given[1:]
    vocab, width, ffn, layers, heads, length, batch, steps = sizes + DEFAULTS[len(sizes):]
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = Llama(vocab, width, ffn, layers, heads, length)
    rate = {'lr': 5e-4, 'betas': (0.9, 0.95), 'weight_decay': 0.1}
    try:
        optimizer = torch.optim.AdamW(model.parameters(), fused=True, **rate)
    except (RuntimeError, TypeError):
        optimizer = torch.optim.AdamW(model.parameters(), **rate)
    run = torch.compile(model) if os.environ.get('CRIA_PEER_COMPILE') == '1' else model
    rounding = torch.autocast('cpu', torch.bfloat16) if kind == 'bf16' else contextlib.nullcontext()
    tokens = torch.randint(0, vocab, (batch, length))
    times, spent, loss = [], [], None
    for _ in range(steps + 2):
        start, before = time.time(), time.process_time()
        with rounding:
            loss = run(tokens)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append(time.time() - start)
        spent.append(time.process_time() - before)
    median, processor = (sorted(all[2:])[steps // 2] for all in (times, spent))
    print(json.dumps({'peer': f'pytorch {torch.__version__}', 'numbers': kind, 'threads': threads, 'loss': round(loss.item(), 3),
                      'parameters': sum(p.numel() for p in model.parameters()), 'T': length, 'batch': batch,
                      'median_tokens_per_second': round(batch * length / median, 1),
                      'tokens_per_processor_second': round(batch * length / processor, 1)}))


main()
