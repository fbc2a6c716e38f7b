"""The same training on CUDA as on the CPU: `make test-gpu` on a machine that has one."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from stand_ins import Stream, Tiny

import ctrkit
import ctrkit.train
from ctrkit import jobs
from ctrkit.config.files import make_config
from ctrkit.config.sections import TrainConfig
from ctrkit.models.build import build_model
from ctrkit.models.presets import PRESETS
from ctrkit.testing.generated import planted_clicks
from ctrkit.testing.models import LAYOUT, sample_inputs
from ctrkit.train import build_optimizers, fit

DEVICE = "cuda"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA here"),
]


def moved(inputs):
    codes, numbers, bags = inputs
    pairs = tuple((t.to(DEVICE), n.to(DEVICE)) for t, n in bags)
    return codes.to(DEVICE), numbers.to(DEVICE), pairs


@pytest.mark.parametrize("sparse_from", [0, 10**9], ids=["row-wise", "dense"])
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_three_steps_of_every_model_equal_those_on_the_cpu(name, sparse_from):
    torch.backends.cuda.matmul.allow_tf32 = False
    settings = make_config({"model": {"name": name, "dim": 4}}).model
    config = TrainConfig(lr=0.01, l2=1e-4, batch_size=32)
    inputs, label = sample_inputs(32, LAYOUT), (torch.arange(32) % 3 == 0).float()
    logits = []
    for device in ("cpu", DEVICE):
        model = build_model(settings, LAYOUT, seed=1, sparse_from=sparse_from).to(device)
        optimizers = build_optimizers(model, config)
        given = inputs if device == "cpu" else moved(inputs)
        for _ in range(3):
            optimizers.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(
                model(*given), label.to(device)
            ).backward()
            optimizers.step(config.lr)
        model.eval()
        with torch.inference_mode():
            logits.append(model(*given).cpu())
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-3, atol=1e-4)


class Moving(Tiny):
    """The tiny model, with the places of its bags on the model's device."""

    def forward(self, codes, numbers, bags):
        (tokens, lengths) = bags[0]
        owner = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
        pooled = torch.zeros(len(lengths), 4, device=lengths.device)
        pooled = pooled.index_add(0, owner, self.table(tokens))
        return self.net(torch.cat([self.table(codes).flatten(1), pooled, numbers], 1)).squeeze(1)


def loss_of(model):
    with torch.no_grad():
        return {"logloss": float(sum(p.float().abs().sum() for p in model.parameters())), "auc": 0}


@pytest.mark.parametrize("precision", ["fp32", "bf16", "auto"])
def test_the_loop_trains_and_says_where(precision):
    config = TrainConfig(
        epochs=2, device=DEVICE, lr=0.01, batch_size=64, precision=precision, patience=0
    )
    model = Moving()
    before = [p.clone() for p in model.parameters()]
    result = fit(model, Stream(), config, evaluate=loss_of)
    assert result.device.startswith(DEVICE)
    assert result.precision in ("fp32", "bf16")
    assert precision in ("auto", result.precision)
    after = [p.detach().cpu() for p in model.parameters()]
    assert all(torch.isfinite(p).all() for p in after)
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_cut_run_goes_on_from_its_checkpoint(tmp_path):
    class Cut(ctrkit.train.Callback):
        def step_end(self, context):
            if context.step == 15:
                raise KeyboardInterrupt

    config = TrainConfig(epochs=2, device=DEVICE, lr=0.01, batch_size=64, patience=0)
    whole = Moving(dropout=0.2)
    fit(whole, Stream(), config, evaluate=loss_of)
    with pytest.raises(KeyboardInterrupt):
        fit(
            Moving(dropout=0.2),
            Stream(),
            config,
            evaluate=loss_of,
            callbacks=[Cut()],
            folder=tmp_path,
        )
    again = Moving(dropout=0.2)
    fit(
        again,
        Stream(),
        config,
        evaluate=loss_of,
        callbacks=[ctrkit.train.Callback()],
        folder=tmp_path,
    )
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_run_of_the_gpu_scores_raw_rows_on_the_cpu(tmp_path):
    frame, _ = planted_clicks(4_000, seed=3)
    frame.write_parquet(tmp_path / "clicks.parquet")
    sets = ["train.epochs=1", "train.batch_size=512", f"train.device={DEVICE}"]
    run = jobs.train(tmp_path / "clicks.parquet", label="click", out=tmp_path / "run", set=sets)
    assert run.record.training["device"].startswith(DEVICE)
    saved = pl.read_parquet(run.folder / "predictions" / "test.parquet")["logit"].to_numpy()
    raw = ctrkit.load(run.folder).logits(frame)
    assert np.abs(np.sort(raw)[:, None] - saved[None, :20]).min(axis=0).max() < 1e-3
