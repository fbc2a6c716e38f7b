"""A tiny model and tiny batches with the interfaces of the real ones."""

import numpy as np
import torch
from torch import nn

from ctrkit.data.store.batch import Batch
from ctrkit.nn.rows import RowParameter


class Table(RowParameter):
    def __init__(self, rows=40, dim=4, sparse=False):
        super().__init__(torch.randn(rows, dim) * 0.1, 2, sparse=sparse)
        with torch.no_grad():
            self.weight[2] = 0

    def forward(self, codes):
        return self.gather(codes)


class Tiny(nn.Module):
    def __init__(self, sparse=False, dropout=0.0, norm=False, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.table = Table(sparse=sparse)
            self.net = nn.Sequential(
                nn.Linear(14, 8),
                *([nn.BatchNorm1d(8)] if norm else []),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(8, 1),
            )

    def forward(self, codes, numbers, bags):
        (tokens, lengths) = bags[0]
        owner = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        pooled = torch.zeros(len(lengths), 4).index_add(0, owner, self.table(tokens))
        flat = self.table(codes).flatten(1)
        return self.net(torch.cat([flat, pooled, numbers], 1)).squeeze(1)


def rows(n=64, seed=0, weighted=False):
    g = np.random.default_rng(seed)
    codes = g.integers(0, 40, (n, 2)).astype(np.uint32)
    lengths = g.integers(0, 4, n)
    tokens = g.integers(0, 40, lengths.sum()).astype(np.uint32)
    numbers = g.normal(size=(n, 2)).astype(np.float32)
    label = ((codes[:, 0] % 2) ^ (g.random(n) < 0.1)).astype(np.uint8)
    weight = (g.random(n) + 0.1).astype(np.float32) if weighted else None
    return Batch(codes, numbers, ((tokens, lengths),), label, weight)


class Stream:
    def __init__(self, steps=10, size=64, weighted=False):
        self.count, self.size, self.weighted = steps, size, weighted

    def steps(self):
        return self.count

    def epoch(self, epoch, start=0):
        for step in range(start, self.count):
            yield rows(self.size, 1000 * epoch + step, self.weighted)
