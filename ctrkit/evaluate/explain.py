"""Explanations of a run on raw rows: attention, field importance and the ablation of pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ctrkit.bundle.predictor import Predictor
from ctrkit.data.columns.labels import label_array
from ctrkit.data.read.sources import Source
from ctrkit.data.store.batch import Encoded
from ctrkit.errors import DataError
from ctrkit.evaluate.ablation import Ablation, Pair, ablate, standard_error
from ctrkit.evaluate.attention import (
    has_attention,
    mean_maps,
    pair_table,
    row_scores,
    value_table,
)
from ctrkit.evaluate.explanation import (
    ABLATION_CAVEAT,
    ATTENTION_CAVEAT,
    FORMAT,
    AblatedPair,
    AblationSummary,
    AttentionSummary,
    Explanation,
    FieldImportance,
    ValuePair,
)
from ctrkit.evaluate.sample import sample_rows
from ctrkit.evaluate.scoring import check_label
from ctrkit.evaluate.values import field_values

_SUPPORT = 50  # fewest rows behind a pair of values, but at most 1 % of the rows


def explain_source(
    predictor: Predictor,
    source: Source,
    *,
    rows: int = 20_000,
    top: int = 10,
    seed: int = 0,
    repeats: int = 4,
    min_support: int | None = None,
) -> Explanation:
    """Explain a run on a sample of labelled raw rows.

    Args:
        predictor: The run.
        source: Raw rows with the label.
        rows: Rows to draw, uniformly over the source.
        top: Pairs to ablate (the first by attention; without attention, those of the fields that
            are most important alone), and pairs of values to list.
        seed: Seed of the sample and of the permutations.
        repeats: Disjoint parts of the sample over which the permutations are averaged.
        min_support: Fewest rows behind a pair of values; None: 50, but at most 1 % of the rows.

    Raises:
        DataError: There is no label column, or no row.
    """
    check_label(predictor, source)
    columns = [*predictor.columns_of_source(source), str(predictor.schema.label)]
    frame = sample_rows(source, columns, rows, seed)
    if not frame.height:
        raise DataError("there are no rows to explain; give data with at least one row")
    try:
        label, encoded = label_array(frame, predictor.schema), predictor.encode(frame)
    except DataError as error:
        raise DataError(f"in the sample of {frame.height:,} rows, {error}") from error
    if min_support is None:
        min_support = min(_SUPPORT, max(2, math.ceil(frame.height / 100)))
    attention = _attention(predictor, encoded, label, top=top, min_support=min_support)
    names = predictor.layout.names
    ranked = [_positions(pair["fields"], names) for pair in attention["pairs"]] if attention else []

    def choose(single: npt.NDArray[np.float64]) -> list[Pair]:
        return (ranked or pairs_by_importance(single))[:top]

    score = predictor.encoded_logits
    layout = predictor.layout
    ablation = ablate(score, encoded, label, layout, choose=choose, repeats=repeats, seed=seed)
    return {
        "format": FORMAT,
        "rows": frame.height,
        "fields": names,
        "logloss": ablation.logloss,
        "attention": attention,
        "importance": _importance(ablation, names),
        "ablation": _summarise(ablation, names, by="attention" if ranked else "importance"),
        "caveats": (ATTENTION_CAVEAT if attention else "") + ABLATION_CAVEAT,
    }


def pairs_by_importance(single: npt.NDArray[np.float64]) -> list[Pair]:
    """Rank pairs of fields by the smaller, then the larger of their importances alone."""
    first, second = np.triu_indices(len(single), 1)
    low = np.minimum(single[first], single[second])
    high = np.maximum(single[first], single[second])
    order = np.lexsort((-high, -low))
    return [(int(m), int(k)) for m, k in zip(first[order], second[order], strict=True)]


def _positions(fields: Sequence[str], names: Sequence[str]) -> Pair:
    first, second = fields
    return names.index(first), names.index(second)


def _attention(
    predictor: Predictor,
    encoded: Encoded,
    label: npt.NDArray[np.uint8],
    *,
    top: int,
    min_support: int,
) -> AttentionSummary | None:
    """Summarise the attention maps; None where the model has none."""
    if not has_attention(predictor):
        return None
    names = predictor.layout.names
    maps = mean_maps(predictor, encoded)
    pairs = pair_table(maps, names)
    positions = [_positions(pair["fields"], names) for pair in pairs[:top]]
    scores = row_scores(predictor, encoded, positions)
    values: list[ValuePair] = []
    for column, (m, k) in enumerate(positions):
        values += value_table(
            scores[:, column],
            label,
            field_values(predictor, encoded, m),
            field_values(predictor, encoded, k),
            fields=(names[m], names[k]),
            count=len(names),
            min_support=min_support,
        )[:top]
    return {
        "baseline": 1 / len(names),
        "self_lift": [float(np.trace(m)) for m in maps],
        "min_support": min_support,
        "maps": maps.tolist(),
        "pairs": pairs,
        "values": sorted(values, key=lambda row: -row["lift"]),
    }


def _importance(ablation: Ablation, names: Sequence[str]) -> list[FieldImportance]:
    mean, error = ablation.single.mean(axis=1), standard_error(ablation.single)
    order = np.argsort(-mean, kind="stable")
    return [{"field": names[n], "increase": float(mean[n]), "se": float(error[n])} for n in order]


def _summarise(ablation: Ablation, names: Sequence[str], *, by: str) -> AblationSummary:
    scores, joint = ablation.scores, ablation.joint
    error = standard_error(scores)
    order = np.argsort(-np.abs(scores.mean(axis=1)), kind="stable")
    pairs: list[AblatedPair] = [
        {
            "rank": rank,
            "fields": [names[ablation.pairs[n][0]], names[ablation.pairs[n][1]]],
            "score": float(scores[n].mean()),
            "se": float(error[n]),
            "joint": float(joint[n].mean()),
        }
        for rank, n in enumerate(order, start=1)
    ]
    left = len(names) * (len(names) - 1) // 2 - len(pairs)
    note = f"{len(pairs)} pairs, the first by {by}, were ablated; {left} others were not evaluated"
    return {
        "chosen_by": by,
        "evaluated": len(pairs),
        "not_evaluated": left,
        "note": note,
        "pairs": pairs,
    }
