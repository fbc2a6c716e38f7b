"""Hyper-parameters that papers published, as sections of a configuration."""

from __future__ import annotations

from typing import Any

from ctrkit.errors import ConfigError, nearest


def published_pairs(name: str) -> dict[str, dict[str, Any]]:
    """Return ``[model]``, ``[train]`` and ``[search]`` of a published setting of OptInter.

    Source: constants of the code (methods.md 3.7); its weight decay is ``train.l2`` here, of
    touched rows, for no step of ours costs time in proportion to the tables.
    """
    dim, second, hidden, lr = {
        "criteo": (20, 10, [700] * 5, 1e-4),
        "avazu": (40, 4, [500] * 5, 1e-3),
    }[name]
    return {
        "model": {
            "name": "optinter",
            "dim": dim,
            "second_dim": second,
            "crosses": "exact",
            "cross_min_count": 20 if name == "criteo" else 1,
            "mlp": {"hidden": hidden},
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
            "lr": lr,
            "gate_lr": 1e-3,
            "slope": 5e-5,
            "start": "random",
            "warmup": 0,
            "update": "joint",
            "select": "best",
        },
    }


_PUBLISHED_GATES = {
    "criteo-fm": (3e-4, 1e-5, 2e-9, 1000, 10, 1), "criteo-deepfm": (3e-4, 3e-5, 5e-9, 200, 15, 1),
    "criteo-dcn": (3e-4, 3e-6, 1e-8, 10000, 5, 2), "criteo-ipnn": (3e-4, 3e-6, 5e-9, 2000, 10, 1),
    "avazu-fm": (3e-4, 1e-6, 2e-9, 5000, 5, 4), "avazu-deepfm": (3e-4, 3e-6, 2e-9, 5000, 5, 3),
    "avazu-dcn": (3e-4, 3e-6, 2e-9, 5000, 5, 2), "avazu-ipnn": (3e-4, 3e-6, 2e-9, 5000, 5, 2),
    "kdd12-fm": (3e-5, 1e-5, 2e-9, 1000, 10, 0), "kdd12-deepfm": (3e-5, 1e-5, 2e-9, 1000, 10, 0),
    "kdd12-dcn": (3e-5, 1e-5, 5e-9, 1000, 5, 2), "kdd12-ipnn": (3e-5, 1e-5, 2e-9, 1000, 10, 2),
}  # fmt: skip
"""lr, l2, penalty, temperature, epochs, rewind; source: the README of the OptFS repository."""


def published_gates(name: str) -> dict[str, dict[str, Any]]:
    """Return ``[train]`` and ``[search]`` of a published setting.

    Raises:
        ConfigError: No such preset.
    """
    if name not in _PUBLISHED_GATES:
        hint = nearest(name, _PUBLISHED_GATES)
        raise ConfigError(
            f"search.preset is one of {', '.join(_PUBLISHED_GATES)}; got {name!r}{hint}"
        )
    lr, l2, penalty, temperature, epochs, rewind = _PUBLISHED_GATES[name]
    return {
        "train": {"lr": lr, "l2": l2, "l2_rows": "all", "batch_size": 4096},
        "search": {
            "penalty": [penalty],
            "unit": "loss",
            "temperature": temperature,
            "epochs": epochs,
            "rewind": rewind,
            "schedule": "release",
            "update": "adam",
            "eps": 1e-8,
        },
    }
