"""What the attention maps of a model say about pairs of fields and pairs of values.

Maps are taken before dropout, in evaluation mode; every row of a map sums to 1, so ``1 / F`` is
the baseline and *lift* is the attention divided by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from ctrkit.bundle.inputs import model_inputs
from ctrkit.bundle.predictor import Predictor
from ctrkit.data.store.batch import Encoded
from ctrkit.evaluate.explanation import AttentionPair, ValuePair
from ctrkit.models.model import Model
from ctrkit.nn.interactions.attention import Attention

Floats = npt.NDArray[np.float64]
BATCH_ROWS = 1024


def _attention_branch(model: Model) -> Attention | None:
    return next((b for b in model.branches.values() if isinstance(b, Attention)), None)


def has_attention(predictor: Predictor) -> bool:
    """Return whether the model has an attention branch of at least one layer, over two fields."""
    branch = _attention_branch(predictor.model)
    return branch is not None and len(branch.layers) > 0 and len(predictor.layout.fields) > 1


def attention_maps(predictor: Predictor, encoded: Encoded) -> Iterator[list[Tensor]]:
    """Yield per batch of rows one pre-dropout map ``(B, H, F, F)`` for each layer."""
    model = predictor.model.eval()
    branch = _attention_branch(model)
    assert branch is not None, "see has_attention"
    with torch.inference_mode():
        for rows in encoded.slices(BATCH_ROWS):
            inputs = model_inputs(rows, predictor.device)
            yield branch.maps(model.embed(*inputs)["fields"])


def mean_maps(predictor: Predictor, encoded: Encoded) -> Floats:
    """Return the mean over rows and heads of each layer's map, ``(L, F, F)``."""
    total: Floats | None = None
    rows = 0
    for maps in attention_maps(predictor, encoded):
        batch = np.stack([m.mean(dim=1).double().sum(dim=0).cpu().numpy() for m in maps])
        total = batch if total is None else total + batch
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
    product = np.eye(maps.shape[-1])
    for layer in maps:
        product = (layer + np.eye(len(layer))) / 2 @ product
    return product


def pair_table(maps: Floats, names: Sequence[str]) -> list[AttentionPair]:
    """Rank all pairs of fields by the lift of layer 1; ranks start at 1.

    Args:
        maps: ``(L, F, F)`` mean maps.
        names: Names of the fields.
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
    batches = []
    for maps in attention_maps(predictor, encoded):
        head_mean = maps[0].mean(dim=1).double().cpu().numpy()  # (B, F, F)
        batches.append((head_mean[:, first, second] + head_mean[:, second, first]) / 2)  # (B, P)
    return np.concatenate(batches)


def value_table(
    scores: Floats,
    label: npt.NDArray[np.uint8],
    first: pl.DataFrame,
    second: pl.DataFrame,
    *,
    fields: tuple[str, str],
    count: int,
    min_support: int,
) -> list[ValuePair]:
    """Average one pair's scores over the rows that hold value ``a`` and value ``b``.

    Args:
        scores: ``(n,)`` pair score of each row.
        label: ``(n,)`` 0/1.
        first: Columns ``row`` and ``value`` of the pair's first field; a row of a multi-valued
            field has one line per value.
        second: The same of the second field.
        fields: Names of the pair's fields.
        count: Number of fields F; the baseline is ``1 / F``.
        min_support: Fewest rows that a pair of values needs.

    Returns:
        The pairs of values, the highest lift first.
    """
    rows = pl.DataFrame(
        {"row": np.arange(len(scores)), "score": scores, "label": label.astype(np.float64)}
    )
    means = (
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
        for a, b, score, support, rate in means.select("a", "b", "score", "support", "label").rows()
    ]
