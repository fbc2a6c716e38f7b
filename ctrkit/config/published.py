"""Hyper-parameters that papers published, as sections of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ctrkit.errors import ConfigError, nearest

Sections = dict[str, dict[str, Any]]
"""Raw tables of a configuration file: section -> key -> value."""


@dataclass(frozen=True)
class _PublishedPairs:
    """OptInter on one data set (arXiv:2108.01265; constants of the authors' code)."""

    dim: int
    second_dim: int
    cross_min_count: int
    hidden: int
    """Width of each of the five layers of the perceptron."""
    lr: float
    """Learning rate of the weights during the search."""


_PAIRS = {
    "criteo": _PublishedPairs(dim=20, second_dim=10, cross_min_count=20, hidden=700, lr=1e-4),
    "avazu": _PublishedPairs(dim=40, second_dim=4, cross_min_count=1, hidden=500, lr=1e-3),
}


def published_pairs(name: str) -> Sections:
    """Return ``[model]``, ``[train]`` and ``[search]`` of a published experiment with OptInter.

    The authors' weight decay is ``train.l2`` here, on the rows of a step: no step of ours takes
    time in proportion to the size of the tables.

    Args:
        name: ``criteo`` or ``avazu``.
    """
    published = _PAIRS[name]
    return {
        "model": {
            "name": "optinter",
            "dim": published.dim,
            "second_dim": published.second_dim,
            "crosses": "exact",
            "cross_min_count": published.cross_min_count,
            "mlp": {"hidden": [published.hidden] * 5},
        },
        "train": {
            "batch_size": 2000,
            "lr": 1e-3,
            "l2": 3e-8,
            "epochs": 10,
            "patience": 1,
            "evals_per_epoch": 1,
            "monitor": "auc",
        },
        "search": {
            "epochs": 10,
            "lr": published.lr,
            "gate_lr": 1e-3,
            "slope": 5e-5,
            "start": "random",
            "warmup": 0,
            "update": "joint",
            "select": "best",
        },
    }


@dataclass(frozen=True)
class _PublishedGates:
    """OptFS on one data set and model (README of the authors' repository)."""

    lr: float
    l2: float
    penalty: float
    temperature: float
    epochs: int
    rewind: int


_GATES = {
    "criteo-fm": _PublishedGates(3e-4, 1e-5, 2e-9, 1000, 10, 1),
    "criteo-deepfm": _PublishedGates(3e-4, 3e-5, 5e-9, 200, 15, 1),
    "criteo-dcn": _PublishedGates(3e-4, 3e-6, 1e-8, 10000, 5, 2),
    "criteo-ipnn": _PublishedGates(3e-4, 3e-6, 5e-9, 2000, 10, 1),
    "avazu-fm": _PublishedGates(3e-4, 1e-6, 2e-9, 5000, 5, 4),
    "avazu-deepfm": _PublishedGates(3e-4, 3e-6, 2e-9, 5000, 5, 3),
    "avazu-dcn": _PublishedGates(3e-4, 3e-6, 2e-9, 5000, 5, 2),
    "avazu-ipnn": _PublishedGates(3e-4, 3e-6, 2e-9, 5000, 5, 2),
    "kdd12-fm": _PublishedGates(3e-5, 1e-5, 2e-9, 1000, 10, 0),
    "kdd12-deepfm": _PublishedGates(3e-5, 1e-5, 2e-9, 1000, 10, 0),
    "kdd12-dcn": _PublishedGates(3e-5, 1e-5, 5e-9, 1000, 5, 2),
    "kdd12-ipnn": _PublishedGates(3e-5, 1e-5, 2e-9, 1000, 10, 2),
}


def published_gates(name: str) -> Sections:
    """Return ``[train]`` and ``[search]`` of a published experiment with OptFS.

    Args:
        name: Data set and model, such as ``criteo-deepfm``.

    Raises:
        ConfigError: There is no such experiment.
    """
    if name not in _GATES:
        hint = nearest(name, _GATES)
        raise ConfigError(f"search.preset must be one of {', '.join(_GATES)}; got {name!r}{hint}")
    published = _GATES[name]
    return {
        "train": {"lr": published.lr, "l2": published.l2, "l2_rows": "all", "batch_size": 4096},
        "search": {
            "penalty": [published.penalty],
            "unit": "loss",
            "temperature": published.temperature,
            "epochs": published.epochs,
            "rewind": published.rewind,
            "schedule": "release",
            "update": "adam",
            "eps": 1e-8,
        },
    }
