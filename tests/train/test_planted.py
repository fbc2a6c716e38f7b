"""The XOR of two of ten fields, which no linear model sees."""

import numpy as np
import pytest
import torch

from ctrkit.bundle.inputs import model_inputs
from ctrkit.config.sections import ModelConfig, TrainConfig
from ctrkit.data.store.batch import Batch
from ctrkit.layout import Layout, LayoutField
from ctrkit.metrics import auc, logloss
from ctrkit.models.build import build_model
from ctrkit.models.resolve import resolve_model
from ctrkit.train import fit

LAYOUT = Layout(tuple(LayoutField(f"f{i}", "categorical", 5) for i in range(10)))


def planted(n, seed):
    g = np.random.default_rng(seed)
    bits = g.integers(0, 2, (n, 10))
    label = bits[:, 3] ^ bits[:, 7] ^ (g.random(n) < 0.1)
    codes = (bits + 3).astype(np.uint32)
    return Batch(codes, np.zeros((n, 0), np.float32), (), label.astype(np.uint8))


class Shuffled:
    def __init__(self, data, size):
        self.data, self.size = data, size

    def steps(self):
        return len(self.data.label) // self.size

    def epoch(self, epoch, start=0):
        order = np.random.default_rng(epoch).permutation(len(self.data.label))
        for step in range(start, self.steps()):
            r = order[step * self.size : (step + 1) * self.size]
            yield Batch(self.data.codes[r], self.data.numbers[r], (), self.data.label[r])


def area(name, rows, epochs, sparse_from=10**9, batch=1024, lr=1e-3):
    held = planted(10_000, 1)
    config = resolve_model(ModelConfig(name=name))
    model = build_model(config, LAYOUT, seed=0, sparse_from=sparse_from)

    def judge(model):
        with torch.no_grad():
            logit = model(*model_inputs(held, torch.device("cpu"))).numpy()
        return {"auc": auc(held.label, logit), "logloss": logloss(held.label, logit)}

    settings = TrainConfig(epochs=epochs, lr=lr, batch_size=batch, device="cpu", patience=0)
    result = fit(model, Shuffled(planted(rows, 0), batch), settings, evaluate=judge)
    return result.best_metrics["auc"]


def test_autoint_finds_the_pair_quickly_with_row_wise_tables():
    assert area("autoint", 8_000, 2, sparse_from=0, batch=128, lr=3e-3) >= 0.85


@pytest.mark.slow
def test_autoint_finds_the_pair_and_logistic_regression_does_not():
    assert area("autoint", 40_000, 5) >= 0.88
    assert area("lr", 40_000, 5) <= 0.52
