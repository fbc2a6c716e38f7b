"""The loop: exact micro-batches, early stopping, and resuming bit for bit."""

import json
import math
import os
import signal
import subprocess
import sys

import pytest
import torch
from stand_ins import Stream, Tiny, rows

from ctrkit.bundle.inputs import model_inputs
from ctrkit.config.sections import TrainConfig
from ctrkit.errors import ConfigError, CtrkitError
from ctrkit.metrics import auc, logloss
from ctrkit.train import Callback, fit, load_checkpoint

CPU = torch.device("cpu")


def judge(model):
    batch = rows(256, seed=99)
    with torch.no_grad():
        logit = model(*model_inputs(batch, CPU)).numpy()
    return {"auc": auc(batch.label, logit), "logloss": logloss(batch.label, logit)}


def config(**changes):
    return TrainConfig(**{"epochs": 3, "device": "cpu", "lr": 0.01, "batch_size": 64, **changes})


def lines(folder):
    text = (folder / "metrics.jsonl").read_text().splitlines()
    return [
        {k: v for k, v in json.loads(t).items() if k not in ("seconds", "examples_s")} for t in text
    ]


class Count(Callback):
    def __init__(self, interrupt_at=-1, how="signal"):
        self.steps, self.epochs, self.at, self.how = 0, 0, interrupt_at, how

    def epoch_start(self, context):
        self.epochs += 1

    def after_backward(self, context):
        if context.step + 1 == self.at and self.how == "raise":
            raise KeyboardInterrupt

    def step_end(self, context):
        self.steps += 1
        if context.step == self.at and self.how == "signal":
            os.kill(os.getpid(), signal.SIGINT)

    def state_dict(self):
        return {"steps": self.steps, "epochs": self.epochs}

    def load_state_dict(self, state):
        self.steps, self.epochs = state["steps"], state["epochs"]


@pytest.mark.parametrize("sparse", [False, True])
def test_training_learns_and_keeps_the_best(sparse, tmp_path):
    model = Tiny(sparse)
    result = fit(model, Stream(), config(epochs=8), evaluate=judge, folder=tmp_path)
    assert result.best_metrics["auc"] > 0.8
    assert judge(model) == result.best_metrics
    assert result.best_metrics["logloss"] == min(line["logloss"] for line in lines(tmp_path))
    assert [line["step"] for line in lines(tmp_path)][:3] == [5, 10, 15]
    assert model.table.weight[2].abs().sum() == 0
    assert (result.precision, result.device) == ("fp32", "cpu")


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(("at", "how"), [(7, "signal"), (13, "raise"), (10, "signal")])
def test_a_cut_run_resumes_bit_for_bit(sparse, at, how, tmp_path):
    settings = config(l2=1e-4, clip_norm=1.0, schedule="cosine", warmup_steps=5, micro_batch=24)
    whole, cut, again = (Tiny(sparse, dropout=0.3) for _ in range(3))
    count = Count()
    want = fit(whole, Stream(), settings, evaluate=judge, callbacks=[count], folder=tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        fit(
            cut,
            Stream(),
            settings,
            evaluate=judge,
            callbacks=[Count(at, how)],
            folder=tmp_path / "b",
        )
    assert (tmp_path / "b/checkpoint/state.pt").is_file()
    with (tmp_path / "b/metrics.jsonl").open("a") as file:
        file.write("half a li")
    resumed = Count()
    got = fit(again, Stream(), settings, evaluate=judge, callbacks=[resumed], folder=tmp_path / "b")
    assert lines(tmp_path / "a") == lines(tmp_path / "b")
    assert (got.steps, got.best_step, got.stopped) == (want.steps, want.best_step, want.stopped)
    assert (resumed.steps, resumed.epochs) == (count.steps, count.epochs) == (30, 3)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_a_finished_training_is_returned_again_without_a_step(tmp_path):
    settings = config(epochs=3, patience=1)
    trained, again = Tiny(True, dropout=0.3), Tiny(True, dropout=0.3)
    want = fit(trained, Stream(), settings, evaluate=judge, callbacks=[Callback()], folder=tmp_path)
    before = lines(tmp_path)

    def never(model):
        raise AssertionError("evaluated again")

    class Never(Callback):
        def step_start(self, context, batch):
            raise AssertionError("trained again")

    got = fit(again, Stream(), settings, evaluate=never, callbacks=[Never()], folder=tmp_path)
    assert (got.steps, got.best_step, got.best_metrics) == (
        want.steps,
        want.best_step,
        want.best_metrics,
    )
    assert lines(tmp_path) == before
    for name, value in trained.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_a_periodic_checkpoint_serves_too(tmp_path):
    settings = config(checkpoint_s=0, evals_per_epoch=1)
    whole, cut, again = (Tiny(True, dropout=0.3) for _ in range(3))
    fit(whole, Stream(), settings, evaluate=judge)
    with pytest.raises(KeyboardInterrupt):
        fit(
            cut, Stream(), settings, evaluate=judge, callbacks=[Count(14, "raise")], folder=tmp_path
        )
    assert torch.load(tmp_path / "checkpoint/state.pt")["cursor"]["step"] == 13
    fit(again, Stream(), settings, evaluate=judge, callbacks=[Count()], folder=tmp_path)
    assert torch.equal(whole.table.weight, again.table.weight)


def test_global_randomness_is_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    fit(Tiny(dropout=0.5), Stream(2), config(epochs=1), evaluate=judge)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_micro_batches_give_the_same_gradient(sparse, weighted):
    stream = Stream(5, weighted=weighted)
    models = [Tiny(sparse), Tiny(sparse)]
    for model, size in zip(models, (0, 17), strict=True):
        fit(
            model,
            stream,
            config(epochs=1, micro_batch=size, patience=0, evals_per_epoch=1),
            evaluate=judge,
        )
    for one, two in zip(*(m.parameters() for m in models), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)


def test_micro_batches_refuse_batch_norm():
    with pytest.raises(ConfigError, match="micro_batch = 0"):
        fit(Tiny(norm=True), Stream(), config(micro_batch=8), evaluate=judge)


def test_patience_and_callbacks_stop():
    rising = iter(range(100))
    result = fit(
        Tiny(), Stream(), config(patience=3), evaluate=lambda m: {"logloss": float(next(rising))}
    )
    assert (result.stopped, result.best_step, result.steps) == ("patience", 5, 20)

    class Prune(Callback):
        def evaluated(self, context, line):
            return "pruned" if line["step"] == 10 else None

    result = fit(Tiny(), Stream(), config(), evaluate=judge, callbacks=[Prune()])
    assert (result.stopped, result.steps, result.epochs) == ("pruned", 10, 1)


def scripted(values):
    """Return an evaluation that gives these log losses in turn."""
    waiting = iter(values)
    return lambda model: {"auc": 0.5, "logloss": next(waiting)}


@pytest.mark.parametrize("cut_at", [None, 18, 33])
def test_a_plateau_cuts_the_rate_after_each_epoch_without_gain(cut_at, tmp_path):
    # two evaluations per epoch of ten steps; patience: two epochs without gain
    losses = [0.6, 0.5, 0.5, 0.6, 0.4, 0.4, 0.5, 0.3, 0.3, 0.4, 0.3, 0.5]
    settings = config(epochs=20, schedule="plateau", patience=4)
    evaluate = scripted(losses)
    if cut_at is not None:
        stop = [Count(cut_at)]
        with pytest.raises(KeyboardInterrupt):
            fit(Tiny(), Stream(), settings, evaluate=evaluate, callbacks=stop, folder=tmp_path)
    plain = [Count()]
    result = fit(Tiny(), Stream(), settings, evaluate=evaluate, callbacks=plain, folder=tmp_path)
    rates = [line["lr"] for line in lines(tmp_path)]
    assert rates == pytest.approx([1e-2] * 4 + [1e-3] * 3 + [1e-4] * 3 + [1e-5] * 2)
    assert (result.stopped, result.steps, result.best_step) == ("patience", 60, 40)


def test_a_nan_monitor_is_never_best(tmp_path):
    result = fit(
        Tiny(),
        Stream(2),
        config(epochs=1, monitor="auc"),
        evaluate=lambda m: {"auc": math.nan},
        folder=tmp_path,
    )
    assert result.best_step == -1
    assert lines(tmp_path)[0]["auc"] is None


def test_a_diverging_loss_names_the_rate():
    class Break(Callback):
        def step_end(self, context):
            with torch.no_grad():
                context.model.net[0].weight.fill_(math.nan)

    with pytest.raises(CtrkitError, match=r"lower train\.lr"):
        fit(Tiny(), Stream(), config(), evaluate=judge, callbacks=[Break()])


def test_auto_precision_disturbs_nothing(tmp_path):
    one, two = Tiny(True, 0.3, norm=True), Tiny(True, 0.3, norm=True)
    result = fit(one, Stream(), config(precision="auto"), evaluate=judge, folder=tmp_path)
    assert result.precision in ("fp32", "bf16")
    fit(two, Stream(), config(precision=result.precision), evaluate=judge)
    assert all(torch.equal(v, two.state_dict()[k]) for k, v in one.state_dict().items())


def test_progress_hears_of_every_step():
    class Log(list):
        def update(self, stage, done, total, text):
            self.append((stage, done, total))

    log = Log()
    fit(Tiny(), Stream(3), config(epochs=1), evaluate=judge, progress=log)
    assert log == [("train", 1, 3), ("train", 2, 3), ("train", 3, 3)]


FULL_DISK = """
import resource, signal, sys, torch
from pathlib import Path
from ctrkit.train import save_checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
save_checkpoint(Path(sys.argv[1]), {"weights": torch.ones(10)})
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    save_checkpoint(Path(sys.argv[1]), {"weights": torch.ones(100_000)})
except OSError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_last_checkpoint_and_is_one_line(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, tmp_path]
    error = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert error == f"[Errno 27] File too large: '{tmp_path / 'state.pt'}'\n"
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]
    assert load_checkpoint(tmp_path)["weights"].tolist() == [1.0] * 10
