"""What the attention maps of a model say of field pairs and of pairs of values.

Maps are taken before dropout, in evaluation mode; every row of a map sums to 1, so ``1 / F`` is
the baseline and *lift* is the attention over it. Source: methods.md 2.10.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from ctrkit.bundle.inputs import slice_inputs
from ctrkit.bundle.predictor import Predictor
from ctrkit.data.encode.encoder import Encoded

Floats = npt.NDArray[np.float64]
BRANCH = "attention"
BATCH_ROWS = 1024


def has_attention(predictor: Predictor) -> bool:
    """Whether the model has an ``attention`` branch of at least one layer over two fields."""
    if BRANCH not in predictor.model.branches or len(predictor.layout.fields) < 2:
        return False
    return bool(getattr(predictor.model.branches[BRANCH], "layers", ()))


def attention_maps(predictor: Predictor, encoded: Encoded) -> Iterator[list[Tensor]]:
    """Yield per batch of rows one pre-dropout map ``(B, H, F, F)`` for each layer."""
    model = predictor.model.eval()
    branch: Any = model.branches[BRANCH]
    with torch.inference_mode():
        for start in range(0, len(encoded.codes), BATCH_ROWS):
            stop = min(start + BATCH_ROWS, len(encoded.codes))
            inputs = slice_inputs(encoded, start, stop, predictor.device)
            yield branch.maps(model.embed(*inputs)["fields"])


def mean_maps(predictor: Predictor, encoded: Encoded) -> Floats:
    """Return the mean over rows and heads of each layer's map, ``(L, F, F)``."""
    total: Floats | None = None
    rows = 0
    for maps in attention_maps(predictor, encoded):
        part = np.stack([m.mean(dim=1).double().sum(dim=0).cpu().numpy() for m in maps])
        total = part if total is None else total + part
        rows += len(maps[0])
    assert total is not None, "there is at least one row"
    return total / rows


def pair_scores(maps: Floats) -> Floats:
    """Return ``s_mk = (A_mk + A_km) / 2`` of maps ``(..., F, F)``, the diagonal zero."""
    scores: Floats = (maps + np.swapaxes(maps, -1, -2)) / 2
    scores[..., np.eye(maps.shape[-1], dtype=bool)] = 0.0
    return scores


def rollout(maps: Floats) -> Floats:
    """Return the product of ``(A + I) / 2`` over the layers ``(L, F, F)``, the last one leftmost.

    Source: Abnar and Zuidema, arXiv:2005.00928, with equal shares for map and residual.
    """
    found = np.eye(maps.shape[-1])
    for layer in maps:
        found = (layer + np.eye(len(layer))) / 2 @ found
    return found


def pair_table(maps: Floats, names: Sequence[str]) -> list[dict[str, Any]]:
    """Rank all pairs of fields by the lift of layer 1.

    Args:
        maps: ``(L, F, F)`` mean maps.
        names: Of the fields.

    Returns:
        Per pair ``rank`` (from 1), ``fields``, ``lift`` (one per layer) and ``rollout`` (lift of
        the rollout over that of uniform maps).
    """
    layers, count = len(maps), len(names)
    lift = pair_scores(maps) * count
    mixed = pair_scores(rollout(maps)) * count / (1 - 0.5**layers)
    first, second = np.triu_indices(count, 1)
    order = np.argsort(-lift[0, first, second], kind="stable")
    return [
        {
            "rank": rank,
            "fields": [names[m], names[k]],
            "lift": [float(v) for v in lift[:, m, k]],
            "rollout": float(mixed[m, k]),
        }
        for rank, (m, k) in enumerate(zip(first[order], second[order], strict=True), start=1)
    ]


def row_scores(predictor: Predictor, encoded: Encoded, pairs: Sequence[tuple[int, int]]) -> Floats:
    """Return layer 1's pair scores of single rows, ``(n, P)``, mean over the heads."""
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    parts = []
    for maps in attention_maps(predictor, encoded):
        head_mean = maps[0].mean(dim=1).double().cpu().numpy()  # (B, F, F)
        parts.append((head_mean[:, first, second] + head_mean[:, second, first]) / 2)
    return np.concatenate(parts)


def value_table(
    scores: Floats,
    label: npt.NDArray[np.uint8],
    first: pl.DataFrame,
    second: pl.DataFrame,
    *,
    fields: tuple[str, str],
    count: int,
    min_support: int,
) -> list[dict[str, Any]]:
    """Average one pair's scores over the rows that hold value ``a`` and value ``b``.

    Args:
        scores: ``(n,)`` pair score of each row.
        label: ``(n,)``.
        first: Columns ``row`` and ``value`` of the pair's first field; a row of a multi-valued
            field stands once per value.
        second: The same of the second field.
        fields: The pair's names.
        count: Number of fields F; the baseline is ``1 / F``.
        min_support: Fewest rows that a pair of values needs.

    Returns:
        ``fields, values, lift, support, label_rate``, the highest lift first.
    """
    rows = pl.DataFrame(
        {"row": np.arange(len(scores)), "score": scores, "label": label.astype(np.float64)}
    )
    found = (
        first.rename({"value": "a"})
        .join(second.rename({"value": "b"}), on="row")
        .join(rows, on="row")
        .group_by("a", "b")
        .agg(pl.col("score").mean(), pl.len().alias("support"), pl.col("label").mean())
        .filter(pl.col("support") >= min_support)
        .sort(["score", "a", "b"], descending=[True, False, False])
    )
    return [
        {
            "fields": list(fields),
            "values": [a, b],
            "lift": score * count,
            "support": support,
            "label_rate": rate,
        }
        for a, b, score, support, rate in found.select("a", "b", "score", "support", "label").rows()
    ]
