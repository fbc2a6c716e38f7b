"""The report of a search over pairs of fields."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import astuple

from ctrkit.report.charts import Groups, Line, Operations
from ctrkit.report.numbers import DIFFERENCE_NOTE, average, difference, mean_and_spread
from ctrkit.report.summary import Summary, Table
from ctrkit.search.interactions.information import Information
from ctrkit.search.interactions.outcome import (
    OPERATIONS,
    OURS,
    InteractionsRecord,
    PairChoice,
    PairsOutcome,
)

DONE = {"memorize": "memorized", "factorize": "factorized", "naive": "left alone"}


def summarise_interaction_search(record: InteractionsRecord) -> Summary:
    """Summarise a search over pairs of fields.

    Args:
        record: The search's record.
    """
    best, data = record.rows[OURS][0], record.to_json()
    counts = Counter(pair.op for pair in record.pairs)
    chosen = ", ".join(f"{counts[op]:,} {DONE[op]}" for op in OPERATIONS)
    facts = {
        "fields": f"{len(record.fields):,}",
        "pairs": f"{len(record.pairs):,}: {chosen}",
        "cross rows": f"{best.cross_rows:,} ({best.cross_bytes / 1e6:,.2f} MB)",
        "parameters": f"{best.parameters:,}",
        "search": f"{best.search_s or 0:,.0f} s",
        "config": record.config_sha256[:12],
    }
    return Summary(
        title=f"Pairs of fields of {record.model}: {chosen}",
        facts=facts,
        warnings=list(record.warnings),
        tables=[_comparison(record), _by_operation(record), _pairs(record)],
        curves=[c for c in (_map(record), *_information(record), _sizes(record)) if c],
        data={k: data[k] for k in ("search", "fields", "pairs", "rows", "paired")},
    )


def _comparison(record: InteractionsRecord) -> Table:
    rows = []
    for name, members in record.rows.items():
        tests = record.paired.get(name)
        searched = [m.search_s for m in members if m.search_s]
        counts = [f"{average(m.pairs.get(op, 0) for m in members):,.3g}" for op in OPERATIONS]
        rows.append(
            [
                _label(name, members),
                str(len(members)),
                mean_and_spread([m.test.auc for m in members]),
                mean_and_spread([m.test.logloss for m in members]),
                difference(tests) if tests else "",
                " / ".join(counts),
                f"{average(m.cross_rows for m in members):,.0f}",
                f"{average(m.parameters for m in members):,.0f}",
                f"{average(m.cross_bytes for m in members) / 1e6:,.2f}",
                f"{average(m.bytes for m in members) / 1e6:,.2f}",
                f"{average(m.train_examples_s for m in members):,.0f}",
                f"{average(searched):,.0f}" if searched else "",
            ]
        )
    columns = [
        "pairs",
        "seeds",
        "test AUC",
        "test log loss",
        "difference, 95 %",
        "m / f / n",
        "cross rows",
        "parameters",
        "cross MB",
        "MB",
        "rows/s",
        "search, s",
    ]
    note = f"m / f / n: pairs memorized, factorized, left alone. {DIFFERENCE_NOTE}"
    return Table("Comparison with the controls", columns, rows, note)


def _label(name: str, members: Sequence[PairsOutcome]) -> str:
    notes = dict.fromkeys(m.label for m in members if m.label)
    plain = "the search" if name == OURS else name
    return f"{plain} ({', '.join(notes)})" if notes else plain


def _by_operation(record: InteractionsRecord) -> Table:
    rows = []
    for index, op in enumerate(OPERATIONS):
        members = [p for p in record.pairs if p.op == op]
        information = [p.information for p in members if p.information is not None]
        figures = zip(*map(astuple, information), strict=True) if information else [None] * 4
        rows.append(
            [
                DONE[op],
                f"{len(members):,}",
                f"{average(p.probability[index] for p in members):.3f}" if members else "–",
                f"{sum(p.rows for p in members):,}",
                *(_nats(None if values is None else average(values)) for values in figures),
                _nats(
                    statistics.median(i.interaction for i in information) if information else None
                ),
            ]
        )
    columns = [
        "operation",
        "pairs",
        "mean probability",
        "cross rows",
        "MI",
        "Miller-Madow",
        "excess",
        "interaction",
        "median interaction",
    ]
    note = (
        "Means over the pairs, in nats. MI: mutual information of the pair's joint value and the "
        "label, biased upward where the values have few rows; Miller-Madow and excess (over "
        "permuted labels) correct the bias. Interaction: the excess of the pair minus those of its "
        "two fields alone."
    )
    return Table("By operation", columns, rows, note)


def _pairs(record: InteractionsRecord) -> Table:
    rows, exact = [], any(pair.min_count for pair in record.pairs)
    for pair in sorted(record.pairs, key=_order):
        figures = [None] * 4 if pair.information is None else astuple(pair.information)
        rows.append(
            [
                " × ".join(pair.fields),
                DONE[pair.op],
                *(f"{p:.3f}" for p in pair.probability),
                f"{pair.rows:,}",
                *([f"{pair.min_count:,}" if pair.min_count else ""] if exact else []),
                *map(_nats, figures),
            ]
        )
    columns = [
        "pair",
        "operation",
        "p(memorize)",
        "p(factorize)",
        "p(naive)",
        "cross rows",
        *(["least rows"] if exact else []),
        "MI",
        "Miller-Madow",
        "excess",
        "interaction",
    ]
    note = "Sorted by operation and interaction."
    if exact:
        note += " Least rows: training rows that a cross needs for its own row."
    return Table("Pairs", columns, rows, note)


def _order(pair: PairChoice) -> tuple[int, float, list[str]]:
    interaction = 0.0 if pair.information is None else pair.information.interaction
    return OPERATIONS.index(pair.op), -interaction, list(pair.fields)


def _nats(value: float | None) -> str:
    return "–" if value is None else f"{value:+.6f}"


def _map(record: InteractionsRecord) -> Operations:
    places = {name: index for index, name in enumerate(record.fields)}
    cells = [
        [*(places[f] for f in pair.fields), pair.op, max(pair.probability)] for pair in record.pairs
    ]
    title = "Operation of each pair (stronger colour: higher probability)"
    return Operations(title, list(record.fields), DONE, cells)


def _information(record: InteractionsRecord) -> list[Groups]:
    """Draw how the corrected figures are distributed by operation, one point per pair."""
    figures: tuple[tuple[str, str, Callable[[Information], float]], ...] = (
        ("interaction", "Operation against interaction information", lambda i: i.interaction),
        ("excess", "Operation against corrected mutual information", lambda i: i.excess),
    )
    charts = []
    for name, title, figure in figures:
        groups = {
            DONE[op]: [
                float(figure(p.information))
                for p in record.pairs
                if p.op == op and p.information is not None
            ]
            for op in OPERATIONS
        }
        if any(groups.values()):
            charts.append(Groups(title, f"{name}, nats", groups))
    return charts


def _sizes(record: InteractionsRecord) -> Line | None:
    """Draw log loss against the size of the crosses, one point per compared model."""
    if len(record.rows) < 2:
        return None
    lines = {
        _label(name, members): [
            [
                average(m.cross_bytes for m in members) / 1e6,
                average(m.test.logloss for m in members),
            ]
        ]
        for name, members in record.rows.items()
    }
    return Line("Size of the crosses against log loss", "MB of crosses", "test log loss", lines)
