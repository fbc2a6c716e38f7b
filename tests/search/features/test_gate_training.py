"""The search for values: rewinding, targets, resuming, and planted noise."""

import numpy as np
import pytest
import torch

from ctrkit.config.files import make_config
from ctrkit.data.store.batch import Batch
from ctrkit.errors import ConfigError
from ctrkit.layout import Layout, LayoutField
from ctrkit.metrics import auc, logloss
from ctrkit.models.build import build_model
from ctrkit.nn.gates.value import ValueGate
from ctrkit.search.features.config import FeaturesConfig
from ctrkit.search.features.gates import (
    Attempt,
    best_values,
    countable,
    masks,
    search_values,
    traffic_counts,
)
from ctrkit.train import Callback, fit


class Rows:
    """Encoded rows in memory, with the interface of batches."""

    def __init__(self, codes, label, size):
        self.codes, self.label, self.size, self.rows = codes, label, size, len(label)

    def steps(self):
        return -(-len(self.label) // self.size)

    def epoch(self, epoch, start=0):
        order = np.random.default_rng(epoch).permutation(len(self.label))
        for at in range(start * self.size, len(self.label), self.size):
            rows = order[at : at + self.size]
            numbers = np.zeros((len(rows), 0), np.float32)
            yield Batch(self.codes[rows], numbers, (), self.label[rows])


def planted(rows, informative=5, noise=10, values=5000, seed=0):
    """Return codes and labels: fields of 100 values with effects of 0.3 to 1, then noise fields."""
    draw = np.random.default_rng(seed)
    codes = np.empty((rows, informative + noise), np.uint32)
    logit = np.full(rows, -1.0)
    for i in range(informative):
        effect = draw.uniform(0.3, 1.0, 100) * draw.choice([-1, 1], 100)
        value = draw.integers(0, 100, rows)
        codes[:, i], logit = value + 3, logit + effect[value]
    for i in range(noise):
        codes[:, informative + i] = draw.integers(0, values, rows) + 3
    return codes, (draw.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.uint8)


def layout_of(codes, sizes):
    counts = {f"f{i}": np.bincount(codes[:, i], minlength=n) for i, n in enumerate(sizes)}
    fields = tuple(LayoutField(f"f{i}", "categorical", n) for i, n in enumerate(sizes))
    return Layout(fields, counts)


def job(search=None, **train):
    model = {"name": "deepfm", "dim": 8, "parameters": {"mlp": {"hidden": [64, 32]}}}
    loop = {"batch_size": 1024, "lr": 1e-3, "patience": 0, "evals_per_epoch": 1, **train}
    return make_config({"model": model, "train": loop, "search": search or {}}, FeaturesConfig)


def judged_on(codes, label):
    def judge(model):
        with torch.inference_mode():
            inputs = torch.from_numpy(codes.astype(np.int64)), torch.zeros(len(label), 0)
            logit = model(*inputs, ()).numpy()
        return {"auc": auc(label, logit), "logloss": logloss(label, logit)}

    return judge


def small_search(search=None, target=None, callbacks=(), folder=None, seed=0, dense=None):
    if dense is not None:
        ValueGate.__init__.__kwdefaults__["most_dense"] = 10**9  # the caller puts it back
    codes, label = planted(4_000, 2, 2, 300)
    layout = layout_of(codes, [103, 103, 303, 303])
    config = job({"epochs": 3, **(search or {})}, batch_size=256)
    model = build_model(config.model, layout, seed=seed)
    found = search_values(
        model,
        Rows(codes, label, 256),
        config,
        Attempt("penalty", 1.0) if target is None else Attempt("ratio", target),
        evaluate=judged_on(codes[:500], label[:500]),
        callbacks=callbacks,
        folder=folder,
    )
    return model, layout, found


class Watch(Callback):
    def __init__(self, stop_at=-1):
        self.states, self.stop_at = {}, stop_at

    def epoch_start(self, context):
        state = context.model.state_dict()
        self.states[context.epoch] = {k: v.clone() for k, v in state.items()}

    def step_end(self, context):
        if context.step == self.stop_at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("rewind", [0, 1])
def test_rewinding_takes_back_every_parameter_and_buffer(rewind):
    watch = Watch()
    _, _, found = small_search({"rewind": rewind}, callbacks=(watch,))
    wanted = {k: v for k, v in watch.states[rewind].items() if not k.startswith("gate.")}
    assert found.snapshot.keys() == wanted.keys()
    assert "base" in wanted
    assert all(torch.equal(found.snapshot[k], v) for k, v in wanted.items())


def test_the_rewind_epoch_lies_within_the_search():
    with pytest.raises(ConfigError, match=r"search\.rewind"):
        small_search({"rewind": 3})


@pytest.mark.parametrize("target", [0.5, 0.1])
def test_a_target_is_met_to_the_value(target):
    _, layout, found = small_search(target=target)
    met = countable(layout)
    assert (found.kept & met).sum() == round(target * met.sum())
    kept = masks(layout, found.kept)
    assert kept["f0"][3:].mean() > kept["f2"][3:].mean()


def test_cut_search_resumes_with_the_same_result(tmp_path):
    _, _, whole = small_search(target=0.3)
    with pytest.raises(KeyboardInterrupt):
        small_search(target=0.3, callbacks=(Watch(stop_at=25),), folder=tmp_path)
    _, _, again = small_search(target=0.3, callbacks=(Watch(),), folder=tmp_path)
    np.testing.assert_array_equal(whole.gate, again.gate)
    np.testing.assert_array_equal(whole.kept, again.kept)
    assert whole.penalty == again.penalty
    assert all(torch.equal(whole.snapshot[k], again.snapshot[k]) for k in whole.snapshot)


@pytest.mark.parametrize(
    "search",
    [
        {"update": "adam", "schedule": "release", "unit": "loss", "eps": 1e-8},
        {"schedule": "paper"},
        {"per": "occurrence"},
        {"field_gates": True},
    ],
    ids=["adam", "paper", "occurrence", "field gates"],
)
def test_every_way_of_searching_learns(search):
    _, layout, found = small_search(search)
    assert np.isfinite(found.gate).all()
    moved = found.gate[countable(layout)] != 0.5
    assert moved.mean() > 0.9
    assert found.silent == []


def test_gates_of_very_many_values_are_updated_row_by_row(monkeypatch):
    """Above the limit only touched values feel the penalty, and the search says so."""
    monkeypatch.setitem(ValueGate.__init__.__kwdefaults__, "most_dense", 0)
    for search in ({"update": "adam", "gate_lr": 0.05}, {"update": "descent"}):
        _, layout, found = small_search(search)
        assert found.touched_only
        met = countable(layout)
        assert (found.gate[met] != 0.5).mean() > 0.9
        assert (found.gate[~met] == 0.5).all()
    _, _, dense = small_search({"update": "descent"}, dense=True)
    agree = np.corrcoef(found.gate[met], dense.gate[met])[0, 1]
    assert agree > 0.8, agree  # the penalty is the same in expectation


def test_traffic_counts_and_best_values():
    codes, _ = planted(500, 1, 1, 20)
    layout = layout_of(codes, [103, 23])
    counts = traffic_counts(layout, 500)
    assert counts.sum() == 1000
    assert best_values(np.array([3.0, 1.0, 3.0, -np.inf]), 2).tolist() == [True, False, True, False]
    assert best_values(np.array([3.0, -np.inf]), 2).tolist() == [True, False]


class Trial:
    """Rows in three parts; trains the model on kept values, and searches as the command does."""

    def __init__(self, codes, label, sizes, rows):
        self.codes, self.label, self.rows, self.sizes = codes, label, rows, sizes
        half = rows + (len(label) - rows) // 2
        self.train, self.held, self.test = slice(0, rows), slice(rows, half), slice(half, None)
        self.layout = layout_of(codes[self.train], sizes)
        self.config = job(epochs=8)

    def model(self):
        model = build_model(self.config.model, self.layout, seed=0)
        model.start_at(float(self.label[self.train].mean()))
        return model

    def trained(self, kept):
        """Return the log loss of validation and the metrics of the test part."""
        given = np.stack(
            [
                np.where(kept[f"f{i}"][self.codes[:, i]], self.codes[:, i], 2)
                for i in range(len(self.sizes))
            ],
            1,
        ).astype(np.uint32)
        model = self.model()
        found = fit(
            model,
            Rows(given[self.train], self.label[self.train], 1024),
            self.config.train,
            evaluate=judged_on(given[self.held], self.label[self.held]),
        )
        judge = judged_on(given[self.test], self.label[self.test])
        return found.best_metrics["logloss"], judge(model.eval())

    def searched(self):
        """Return the test metrics and the masks of the penalty that validation chooses."""
        tried = []
        for penalty in self.config.search.penalty:
            found = search_values(
                self.model(),
                Rows(self.codes[self.train], self.label[self.train], 1024),
                self.config,
                Attempt("penalty", penalty),
                evaluate=judged_on(self.codes[self.held], self.label[self.held]),
            )
            kept = masks(self.layout, found.kept)
            tried.append((*self.trained(kept), kept))
        return min(tried, key=lambda t: t[0])[1:]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("rows", "seed"), [(100_000, 0), (100_000, 1), (100_000, 2), (200_000, 0)])
def test_planted_noise_is_dropped_and_what_informs_is_kept(rows, seed):
    """At two sizes with the same default penalties."""
    codes, label = planted(rows + rows // 4, seed=seed)
    trial = Trial(codes, label, [103] * 5 + [5003] * 10, rows)
    _, plain = trial.trained({f"f{i}": np.ones(n, bool) for i, n in enumerate(trial.sizes)})
    small, kept = trial.searched()
    informative = np.mean([kept[f"f{i}"][3:].mean() for i in range(5)])
    noise = np.mean([kept[f"f{i}"][3:].mean() for i in range(5, 15)])
    print(f"{rows} {seed}: informative {informative:.3f}, noise {noise:.4f}, {small}, all {plain}")
    assert informative >= 0.9, (informative, noise)
    assert noise <= 0.01, (informative, noise)
    assert small["auc"] >= plain["auc"] - 0.002, (small, plain)
    assert small["logloss"] <= plain["logloss"], (small, plain)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_rare_values_that_inform_stay_and_frequent_noise_goes():
    """The control: what the gates add beyond a cut-off by frequency."""
    rows, draw = 100_000, np.random.default_rng(0)
    # Not of one sign each: values of like effect may share the zero vector, at no loss.
    effect = np.repeat([-1.5, 0.0, 1.5], 200)
    rare = draw.integers(0, 600, rows + rows // 4)  # some 170 rows a value
    noise = draw.integers(0, 100, (rows + rows // 4, 2))  # 1000 rows a value
    codes = np.column_stack([rare, noise]).astype(np.uint32) + 3
    label = (draw.random(len(rare)) < 1 / (1 + np.exp(1 - effect[rare]))).astype(np.uint8)
    trial = Trial(codes, label, [603, 103, 103], rows)
    found, kept = trial.searched()
    assert kept["f0"][3:][effect != 0].mean() >= 0.9
    assert kept["f0"][3:][effect == 0].mean() <= 0.1
    assert kept["f1"][3:].mean() <= 0.05
    assert kept["f2"][3:].mean() <= 0.05
    counts = np.concatenate([trial.layout.counts[f"f{i}"] for i in range(3)]).astype(float)
    number = sum(int(mask[3:].sum()) for mask in kept.values())
    _, beside = trial.trained(masks(trial.layout, best_values(counts, number)))
    print(f"gates {found}, as many by frequency {beside}")
    assert found["auc"] > beside["auc"] + 0.02
