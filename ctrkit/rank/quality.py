"""What is wrong with a column, told from its counts: leaking, broken, drifting, rare, constant.

Thresholds are shares of what could be: 1 would be a column that says all there is to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ctrkit.rank.joint import list_names
from ctrkit.rank.null import Floats, Ints, over_classes, xlogx
from ctrkit.rank.rows import Classes
from ctrkit.rank.scores import Scorer, Spectrum
from ctrkit.rank.tables import Table

COPY = 0.9  # share of the label's entropy that a near copy tells
LEAK = 0.4  # ... and a column too good to be known before the click
LEAK_MISSING = 0.2  # ... and whether it is missing, alone
LEAK_ORDER = 0.1  # ... and the order of nearly unique ids, alone
UNIQUE = 0.9  # distinct values per row of an id
FEW_ROWS = 100  # below, being unique says nothing
RARE = 0.5  # share of rows with a rare value
DRIFT = 0.05  # nats between the first and the last third
GONE = 0.01  # coverage of a column that stopped being logged
BINS = 32
ORDERED_KEYS = 20_000
REPETITIONS = (1, 2, 5, 10, 100, 1_000, 10_000, 100_000)

FLAGS = (
    "constant",
    "identical",
    "noise",
    "redundant",
    "rare",
    "leaking",
    "near_copy",
    "id_like",
    "drifting",
    "broken",
)
SERIOUS = ("leaking", "near_copy", "broken", "constant", "identical", "id_like", "drifting")


@dataclass(frozen=True)
class Shape:
    """How a feature's values are spread.

    Attributes:
        cardinality: Distinct values, missing not counted.
        coverage: Share of rows that are not missing.
        rare_share: Share of the known rows whose value occurs fewer than ``rare`` times.
        top_share: Share of the known rows that hold the most frequent value.
        repetitions: ``{r: values that occur at least r times}``.
    """

    cardinality: int
    coverage: float
    rare_share: float
    top_share: float
    repetitions: dict[str, int]


def shape_of(table: Table, rare: int = 5) -> Shape:
    """Describe a table's values."""
    size = over_classes(table.known)
    known, missing = int(size.sum()), int(table.missing.sum())
    share = float(size[size < rare].sum()) / known if known else 0.0
    return Shape(
        cardinality=len(size),
        coverage=known / (known + missing) if known + missing else 0.0,
        rare_share=share,
        top_share=float(size.max()) / known if known else 0.0,
        repetitions={str(r): int((size >= r).sum()) for r in REPETITIONS},
    )


def flags_of(
    table: Table, shape: Shape, gain: float, adj: float, scorer: Scorer
) -> dict[str, dict[str, Any]]:
    """Return flag -> evidence for what one column alone tells (not noise, nor redundancy)."""
    found: dict[str, dict[str, Any]] = {}
    entropy, rows = scorer.null.entropy, scorer.null.rows
    known = shape.coverage * rows
    if shape.cardinality == 0:
        found["broken"] = {"why": "every value is missing"}
    if shape.cardinality + (shape.coverage < 1) <= 1:
        found["constant"] = {"why": f"its one value is {_only(table)}"}
    share = {"adj": adj / entropy, "gain": gain / entropy}
    if share["adj"] >= COPY:
        found["near_copy"] = {"why": "a copy of the label, or nearly", **share}
    elif share["gain"] >= LEAK:
        found["leaking"] = {"why": "this column alone nearly tells the label", **share}
    if table.token is None:
        found |= _missingness(table, scorer)
        if shape.cardinality >= UNIQUE * known and known >= FEW_ROWS and table.keys is not None:
            found["id_like"] = {"distinct": shape.cardinality, "rows": round(known)}
            found |= _ordered(table, scorer)
    if shape.rare_share >= RARE and "id_like" not in found:
        found["rare"] = {"share": shape.rare_share}
    return found


def _only(table: Table) -> str:
    if not len(table.counts):
        return "missing"
    if table.token is not None:
        return repr(table.token)
    if table.keys is None:
        return "a number"
    key = str(table.keys[0])
    return repr(list_names(key) if table.field.kind == "multi" else key)


def missing_table(table: Table) -> Ints:
    """Return the (2, C) counts of known and missing rows."""
    return np.stack([table.known.sum(axis=0), table.missing.sum(axis=0)])


def _missingness(table: Table, scorer: Scorer) -> dict[str, dict[str, Any]]:
    if not table.missing.any():
        return {}
    gain = scorer.score([Spectrum.of(missing_table(table))])[0].gain / scorer.null.entropy
    why = "whether it is missing nearly tells the label"
    return {"leaking": {"why": why, "gain": gain}} if gain >= LEAK_MISSING else {}


def _ordered(table: Table, scorer: Scorer) -> dict[str, dict[str, Any]]:
    """Tell whether ids rise with the label: rows were sorted, or numbered after the click."""
    assert table.keys is not None
    chosen = _sample(table.keys)
    keys = table.keys.gather(chosen)
    number = keys.cast(pl.Int64, strict=False)
    if number.null_count():
        number = keys.str.extract(r"(\d{1,18})$").cast(pl.Int64, strict=False)
    order = chosen[(keys if number.null_count() else number).arg_sort().to_numpy()]
    counts = table.known[order]
    at = np.cumsum(over_classes(counts)) * BINS // max(int(counts.sum()), 1)
    binned = np.zeros((BINS + 1, counts.shape[1]), np.int64)
    np.add.at(binned, at, counts)
    gain = scorer.score([Spectrum.of(_with(binned, table))])[0].gain / scorer.null.entropy
    why = "its order tells the label: ids were given after it, or rows sorted by it"
    return {"leaking": {"why": why, "gain": gain}} if gain >= LEAK_ORDER else {}


def _sample(keys: pl.Series) -> Ints:
    """Choose about ``ORDERED_KEYS`` keys by their hash: the same ones whatever their order."""
    if len(keys) <= ORDERED_KEYS:
        return np.arange(len(keys))
    bound = np.uint64(2**64 * ORDERED_KEYS // len(keys))
    return np.flatnonzero(keys.hash(seed=0).to_numpy() < bound)


def _with(counts: Ints, table: Table) -> Ints:
    return np.concatenate([counts, table.missing.sum(axis=0, keepdims=True)])


class Drift:
    """Compares the first third of the rows with the last."""

    def __init__(self, totals: Ints) -> None:
        """Set up.

        Args:
            totals: (periods, C) rows.
        """
        ends = totals[[0, -1]]
        self._between = Scorer(ends.sum(axis=1)) if (ends.sum(axis=1) > 0).all() else None
        whole = [bool((t > 0).all()) for t in totals]
        self._within = [Scorer(t) if ok else None for t, ok in zip(totals, whole, strict=True)]

    def of(self, table: Table) -> tuple[float | None, dict[str, Any]]:
        """Return a feature's drift, and its coverage and scores by third.

        The drift is the Jensen-Shannon divergence between the first and the last third (nats,
        0..ln 2), less its expectation under equal distributions.
        """
        size = table.counts.sum(axis=2)  # (n, periods)
        missing = table.missing.sum(axis=1)
        rows = size.sum(axis=0) + missing
        parts = {
            "coverage": [
                float(k / r) if r else None for k, r in zip(size.sum(axis=0), rows, strict=True)
            ],
            "adj": [],
            "gain": [],
        }
        for i, scorer in enumerate(self._within):
            counts = np.concatenate([table.counts[:, i], table.missing[i : i + 1]])
            score = scorer.score([Spectrum.of(counts)])[0] if scorer else None
            parts["adj"].append(score.adj if score else None)
            parts["gain"].append(score.gain if score else None)
        if self._between is None:
            return None, parts
        both = np.concatenate([size, missing[None]])[:, [0, -1]]
        return self._between.adjusted(Spectrum.of(both[both.any(axis=1)]))[2], parts


def drift_flags(drift: float | None, parts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the flags that drift gives."""
    found: dict[str, dict[str, Any]] = {}
    if drift is not None and drift >= DRIFT:
        found["drifting"] = {"nats": drift}
    covered = [c for c in parts["coverage"] if c is not None]
    if covered and min(covered) < GONE and max(covered) > 0.5:
        found["broken"] = {"why": "it is logged in a part of the rows only", "coverage": covered}
    return found


def identical(tables: Iterable[Table]) -> list[list[int]]:
    """Return groups of tables that may be one column under several names: equal keys and counts."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, t in enumerate(tables):
        if t.token is None and t.keys is not None:
            size = t.known
            sign = (
                len(size),
                t.missing.tobytes(),
                tuple(np.sort(size[:, 0])[-64:].tolist()),
                tuple(np.sort(size[:, -1])[-64:].tolist()),
            )
            groups.setdefault(sign, []).append(i)
    return [g for g in groups.values() if len(g) > 1]


def row_profile(frame: pl.DataFrame, label: Classes, names: list[str]) -> list[dict[str, Any]]:
    """Describe the quality of single rows by class: means over a sample of rows.

    The profile of outrank.md 1.1 (``instance_ranking``): per row the share of fields that are
    missing, empty or ``{}``, ``0``, longer than 30 to 300 characters, and the sum of the
    characters' entropies (nats).

    Args:
        frame: (n,) rows of text and numbers.
        label: (n,) classes.
        names: Of the classes.
    """
    text = [
        c.cast(pl.String, strict=False) if not c.dtype.is_nested() else c.list.len().cast(pl.String)
        for c in frame.get_columns()
    ]
    if not text or not frame.height:
        return []
    wide = pl.DataFrame(text)
    every = pl.all()
    measures = {
        "missing": every.is_null(),
        "empty or {}": every.is_in(["", "{}"]).fill_null(False),
        "zero": (every == "0").fill_null(False),
        **{
            f"longer than {n}": (every.str.len_chars() > n).fill_null(False)
            for n in (30, 60, 100, 200, 300)
        },
    }
    means = [pl.mean_horizontal(flag.cast(pl.Float64)).alias(n) for n, flag in measures.items()]
    found = {c.name: c.to_numpy() for c in wide.select(means).get_columns()}
    found["entropy of characters"] = _entropies(text)
    return [
        {
            "measure": name,
            **{
                c: float(v[label == i].mean()) if (label == i).any() else None
                for i, c in enumerate(names)
            },
        }
        for name, v in found.items()
    ]


def _entropies(columns: list[pl.Series]) -> Floats:
    """Return each row's sum, over columns, of the entropy of the text's bytes, in nats."""
    rows = len(columns[0])
    every = pl.concat([c.alias("text") for c in columns])
    lengths = every.str.len_bytes().fill_null(0).to_numpy().astype(np.int64)
    flat = np.frombuffer("".join(every.drop_nulls().to_list()).encode(), np.uint8)
    key = np.repeat(np.arange(len(lengths)), lengths) * 256 + flat
    key.sort()
    starts = np.flatnonzero(np.append(True, key[1:] != key[:-1]))[: len(key)]
    count = np.diff(np.append(starts, len(key)))
    inside = np.bincount(key[starts] // 256, weights=xlogx(count), minlength=len(lengths))
    entropy = np.log(np.maximum(lengths, 1)) - inside / np.maximum(lengths, 1)
    total: Floats = entropy.reshape(-1, rows).sum(axis=0)
    return total
