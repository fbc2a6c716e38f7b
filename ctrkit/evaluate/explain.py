"""Explanations of a run on raw rows, as one plain dictionary (``explain.json``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.bundle.predictor import Predictor
from ctrkit.data.columns.labels import label_array
from ctrkit.data.encode.encoder import Encoded
from ctrkit.data.read.memory import to_polars
from ctrkit.data.read.sources import Source
from ctrkit.errors import DataError
from ctrkit.evaluate.ablation import Ablation, Pair, ablate, standard_error
from ctrkit.evaluate.attention import (
    attention_maps,
    has_attention,
    mean_maps,
    pair_table,
    row_scores,
    value_table,
)
from ctrkit.evaluate.scoring import check_label
from ctrkit.schema import DROPPED, MISSING, UNSEEN

FORMAT = 1
ATTENTION_CAVEAT = (
    "Attention is not attribution: the residual path, the length of the value vectors and the "
    "output weights are left out of it. A uniform map gives every pair 1/F, so read the lift over "
    "1/F, of layer 1 first; deeper layers mix fields that are already mixed. Trust a pair that "
    "the ablation score supports. "
)
ABLATION_CAVEAT = (
    "The ablation score of a pair is the log-loss increase when the two fields are permuted "
    "together, minus the sum of the increases when each is permuted alone. Negative: the model "
    "needs both together. Positive: they stand in for each other. Near zero, within its spread: "
    "no interaction that the loss notices. All of it describes this model on these rows, not the "
    "world: permuted rows may be ones that never occur."
)
RESERVED_NAMES = {MISSING: "(missing)", UNSEEN: "(unseen or rare)", DROPPED: "(dropped)"}


def explain_source(
    predictor: Predictor,
    source: Source,
    *,
    rows: int = 20_000,
    top: int = 10,
    seed: int = 0,
    repeats: int = 4,
    min_support: int | None = None,
) -> dict[str, Any]:
    """Explain a run on a sample of labelled raw rows.

    Args:
        predictor: The run.
        source: Raw rows with the label.
        rows: Rows that are drawn, uniformly over the source.
        top: Pairs that are ablated (the first by attention; without attention, those of the
            fields that matter most alone), and pairs of values that are listed.
        seed: Of the sample and of the permutations.
        repeats: Parts of the sample that the permutations are averaged over.
        min_support: Fewest rows behind a pair of values; None: 50, but at most 1 % of the rows.

    Returns:
        ``format, rows, fields, logloss``; ``attention`` (None, or ``baseline, maps (L, F, F),
        pairs, values``); ``importance`` per field; ``ablation`` (``pairs`` and what was not
        evaluated); ``caveats``.

    Raises:
        DataError: There is no label column, or no row.
    """
    check_label(predictor, source)
    columns = [*predictor.columns(source.columns), str(predictor.schema.label)]
    frame = sample_rows(source, columns, rows, seed)
    if not frame.height:
        raise DataError("there are no rows to explain")
    label = label_array(frame, predictor.schema)
    encoded = predictor.encode(frame)
    names = predictor.layout.names
    support = min(50, max(2, math.ceil(frame.height / 100))) if min_support is None else min_support
    attention = None
    ranked: list[Pair] = []
    if has_attention(predictor):
        attention = _attention(predictor, encoded, label, top=top, min_support=support)
        ranked = [
            (names.index(a), names.index(b))
            for a, b in (pair["fields"] for pair in attention["pairs"])
        ]

    def choose(single: npt.NDArray[np.float64]) -> list[Pair]:
        return (ranked or pairs_by_importance(single))[:top]

    ablation = ablate(
        predictor.encoded_logits,
        encoded,
        label,
        predictor.layout,
        choose=choose,
        repeats=repeats,
        seed=seed,
    )
    return {
        "format": FORMAT,
        "rows": frame.height,
        "fields": names,
        "logloss": ablation.logloss,
        "attention": attention,
        "importance": _importance(ablation, names),
        "ablation": _pairs(ablation, names, by="attention" if ranked else "importance"),
        "caveats": (ATTENTION_CAVEAT if attention else "") + ABLATION_CAVEAT,
    }


def explain_rows(predictor: Predictor, data: object, top: int = 5) -> list[dict[str, Any]]:
    """Explain single rows (case level): the prediction and the field pairs of layer 1.

    Args:
        predictor: A run whose model has attention.
        data: A few raw rows; the label is not needed.
        top: Pairs per row.

    Returns:
        Per row ``prediction``, ``pairs`` (``fields, lift``; mean over heads) and ``maps``, nested
        lists ``(L, H, F, F)``.

    Raises:
        DataError: The model has no attention.
    """
    if not has_attention(predictor):
        raise DataError(f"model {predictor.config.model.name!r} has no attention to explain by")
    frame = to_polars(data)
    if not frame.height:
        return []
    predictions = predictor.predict(frame)
    names = predictor.layout.names
    found: list[dict[str, Any]] = []
    for maps in attention_maps(predictor, predictor.encode(frame)):
        arrays = [m.double().cpu().numpy() for m in maps]  # L times (B, H, F, F)
        for row in range(len(arrays[0])):
            scores = pair_table(np.stack([a[row].mean(axis=0) for a in arrays]), names)[:top]
            found.append(
                {
                    "prediction": float(predictions[len(found)]),
                    "pairs": [{"fields": s["fields"], "lift": s["lift"][0]} for s in scores],
                    "maps": [a[row].tolist() for a in arrays],
                }
            )
    return found


def explanation_text(found: dict[str, Any], top: int = 10) -> str:
    """Return an explanation as a text of tables."""
    lines = [f"{found['rows']:,} rows, log loss {found['logloss']:.5f}", ""]
    lines += ["field importance (log-loss increase when permuted alone)"]
    lines += [
        f"  {r['increase']:+.5f} ± {r['se']:.5f}  {r['field']}" for r in found["importance"][:top]
    ]
    attention, ablation = found["attention"], found["ablation"]
    if attention:
        lines += ["", "pairs by attention (lift over 1/F per layer; rollout)"]
        for pair in attention["pairs"][:top]:
            lifts = " ".join(f"{v:6.3f}" for v in pair["lift"])
            lines.append(f"  {lifts}  {pair['rollout']:6.3f}  {' x '.join(pair['fields'])}")
        lines += ["", "pairs of values by attention (lift, rows, label rate)"]
        for row in attention["values"][:top]:
            what = " x ".join(f"{f}={v}" for f, v in zip(row["fields"], row["values"], strict=True))
            lines.append(
                f"  {row['lift']:6.3f}  {row['support']:6d}  {row['label_rate']:.3f}  {what}"
            )
    lines += ["", "pairs by ablation (negative: the model needs both together)"]
    lines += [
        f"  {p['score']:+.5f} ± {p['se']:.5f}  {' x '.join(p['fields'])}"
        for p in ablation["pairs"][:top]
    ]
    lines += [f"  {ablation['note']}", "", found["caveats"]]
    return "\n".join(lines)


def sample_rows(source: Source, columns: Sequence[str], rows: int, seed: int) -> pl.DataFrame:
    """Draw rows uniformly from a source of any length, in one pass and flat memory."""
    draw = np.random.default_rng(seed)
    kept: pl.DataFrame | None = None
    for chunk in source.chunks(columns):
        keys = pl.Series("", draw.random(chunk.frame.height))
        part = pl.DataFrame({"key": keys, "row": chunk.frame.to_struct("row")})
        kept = part if kept is None else pl.concat([kept, part])
        if kept.height > rows:
            kept = kept.filter(pl.col("key").rank("ordinal") <= rows)
    return pl.DataFrame() if kept is None else kept["row"].struct.unnest()


def pairs_by_importance(single: npt.NDArray[np.float64]) -> list[Pair]:
    """Rank pairs of fields by the smaller, then the larger of their importances alone."""
    first, second = np.triu_indices(len(single), 1)
    low = np.minimum(single[first], single[second])
    high = np.maximum(single[first], single[second])
    order = np.lexsort((-high, -low))
    return [(int(m), int(k)) for m, k in zip(first[order], second[order], strict=True)]


def _attention(
    predictor: Predictor,
    encoded: Encoded,
    label: npt.NDArray[np.uint8],
    *,
    top: int,
    min_support: int,
) -> dict[str, Any]:
    names = predictor.layout.names
    maps = mean_maps(predictor, encoded)
    table = pair_table(maps, names)
    chosen = [tuple(pair["fields"]) for pair in table[:top]]
    positions = [(names.index(a), names.index(b)) for a, b in chosen]
    scores = row_scores(predictor, encoded, positions)
    values: list[dict[str, Any]] = []
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
    values.sort(key=lambda row: -row["lift"])
    return {
        "baseline": 1 / len(names),
        "self_lift": [float(np.trace(m)) for m in maps],
        "min_support": min_support,
        "maps": maps.tolist(),
        "pairs": table,
        "values": values,
    }


def field_values(predictor: Predictor, encoded: Encoded, index: int) -> pl.DataFrame:
    """Return the columns ``row`` and ``value`` (text) of a field of encoded rows.

    Real numbers are cut at their quartiles; a row of a multi-valued field stands once per value.
    """
    field = predictor.layout.fields[index]
    place = predictor.layout.of_kind(field.kind).index(field)
    rows = np.arange(len(encoded.codes))
    if field.kind == "numeric":
        return _quartiles(encoded.numbers[:, place])
    if field.kind == "categorical":
        codes = encoded.codes[:, place]
    else:
        codes, offsets = encoded.bags[place]
        rows = np.repeat(rows, np.diff(offsets))
    found = pl.DataFrame({"row": rows, "code": codes.astype(np.int64)}).unique(maintain_order=True)
    distinct = found["code"].unique(maintain_order=True)
    texts = pl.Series(_decoded(predictor, index, distinct.to_list()), dtype=pl.String)
    return found.with_columns(
        pl.col("code").replace_strict(distinct, texts, return_dtype=pl.String).alias("value")
    ).select("row", "value")


def _decoded(predictor: Predictor, index: int, codes: Sequence[int]) -> list[str]:
    field = predictor.layout.fields[index]
    known = [] if field.hashed else predictor.encoder.values(field.name)
    return [
        RESERVED_NAMES.get(code) or (known[code] if code < len(known) else f"#{code}")
        for code in codes
    ]


def _quartiles(numbers: npt.NDArray[np.float32]) -> pl.DataFrame:
    """Cut encoded numbers at their quartiles (of the transformed values)."""
    rows = np.arange(len(numbers))
    known = numbers[~np.isnan(numbers)]
    edges = np.quantile(known, [0.25, 0.5, 0.75]) if len(known) else np.zeros(3)
    names = ["lowest quarter", "second quarter", "third quarter", "highest quarter", "(missing)"]
    bucket = np.where(np.isnan(numbers), 4, np.searchsorted(edges, numbers, side="left"))
    return pl.DataFrame({"row": rows, "value": [names[b] for b in bucket]})


def _importance(ablation: Ablation, names: Sequence[str]) -> list[dict[str, Any]]:
    mean, error = ablation.single.mean(axis=1), standard_error(ablation.single)
    order = np.argsort(-mean, kind="stable")
    return [{"field": names[n], "increase": float(mean[n]), "se": float(error[n])} for n in order]


def _pairs(ablation: Ablation, names: Sequence[str], *, by: str) -> dict[str, Any]:
    scores, joint = ablation.scores, ablation.joint
    error = standard_error(scores)
    order = np.argsort(-np.abs(scores.mean(axis=1)), kind="stable")
    pairs = [
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
