"""Features that repeat each other: identical columns, and groups of redundant features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ctrkit.metrics.mapped import release
from ctrkit.rank.coding import CodedFeatures
from ctrkit.rank.feature import Feature
from ctrkit.rank.likeness import likeness
from ctrkit.rank.null import Ints, over_classes
from ctrkit.rank.result import RedundantPair


def possible_twins(features: Sequence[Feature]) -> dict[str, str]:
    """Return feature -> the first feature with the same counts: maybe the same column."""
    first: dict[tuple[Any, ...], str] = {}
    twins = {}
    for f in features:
        if f.is_token or f.table.keys is None:
            continue
        counts = f.table.known
        signature = (
            len(counts),
            f.table.missing.tobytes(),
            tuple(np.sort(counts[:, 0])[-64:].tolist()),
            tuple(np.sort(counts[:, -1])[-64:].tolist()),
        )
        if signature in first:
            twins[f.name] = first[signature]
        else:
            first[signature] = f.name
    return twins


def compared_features(
    features: Sequence[Feature], twins: Mapping[str, str], redundant: float, *, pairs: bool
) -> list[Feature]:
    """Return the features whose rows must be read again as codes.

    Args:
        features: All features.
        twins: See :func:`possible_twins`.
        redundant: Adjusted mutual information from which two features are redundant.
        pairs: Whether all pairs are compared, or only those that may be redundant.
    """
    fields = [f for f in features if not f.is_token and f.table.size > 2]
    twinned = {f.name for f in fields if f.name in twins}
    names = {f.name for f in (fields if pairs else _maybe_redundant(fields, redundant))}
    names |= twinned | {twins[name] for name in twinned}
    return [f for f in features if f.name in names and not f.is_token]


def _maybe_redundant(fields: Sequence[Feature], redundant: float) -> list[Feature]:
    """Return the features whose entropies allow redundancy with another one."""
    live = [f for f in fields if "noise" not in f.flags]
    entropy = [_entropy(over_classes(f.table.by_class)) for f in live]
    near = set()
    for i, j in combinations(range(len(live)), 2):
        low, high = sorted((entropy[i], entropy[j]))
        if low > 0 and low >= redundant * (low + high) / 2:
            near |= {i, j}
    return [live[i] for i in sorted(near)]


def _entropy(counts: Ints) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def flag_identical(compared: CodedFeatures, twins: Mapping[str, str]) -> None:
    """Flag the features that equal an earlier one in every row."""
    place = {f.name: i for i, f in enumerate(compared.features)}
    for f in compared.features:
        twin = twins.get(f.name)
        if twin not in place:
            continue
        other = compared.features[place[twin]].table
        codes = compared.coded.columns
        assert f.table.keys is not None
        assert other.keys is not None
        if np.array_equal(codes[place[f.name]], codes[place[twin]]) and f.table.keys.sort().equals(
            other.keys.sort()
        ):
            f.flags["identical"] = {"to": twin}
        release(codes[place[f.name]])
        release(codes[place[twin]])


def flag_redundant(compared: CodedFeatures, redundant: float) -> list[RedundantPair]:
    """Number the groups of redundant features by single linkage; flag all but the best of each.

    Args:
        compared: Features with scores and the flag of noise.
        redundant: Adjusted mutual information from which two features are redundant.
    """
    features = compared.features
    pairs = likeness(
        compared.coded, compared.sizes, redundant, list(combinations(compared.live, 2))
    )
    group_of: dict[int, set[int]] = {}
    for pair in pairs:
        joined = set(pair.pair)
        for i in pair.pair:
            joined |= group_of.get(i, set())
        group_of |= dict.fromkeys(joined, joined)
    groups = sorted({tuple(sorted(group)) for group in group_of.values()})
    for number, members in enumerate(groups, 1):
        best = max(members, key=lambda i: _sortable(features[i].score))
        for i in members:
            features[i].group = number
            if i != best:
                features[i].flags["redundant"] = {"with": features[best].name}
    return [
        RedundantPair([features[i].name for i in pair.pair], pair.ami, pair.exact) for pair in pairs
    ]


def _sortable(score: float | None) -> float:
    return -math.inf if score is None else score
