"""The report of a ranking. To add a section: a function in a file here, and a row in SECTIONS."""

from __future__ import annotations

from ctrkit.rank.result import Ranking
from ctrkit.report.ranking.crosses import cross_table, pair_map
from ctrkit.report.ranking.drift import drift_table
from ctrkit.report.ranking.features import cost_chart, feature_table, score_chart
from ctrkit.report.ranking.quality import flag_table, repetition_table, row_quality
from ctrkit.report.ranking.redundancy import group_table, three_mr_table
from ctrkit.report.summary import Section, Summary, tables_and_charts

SECTIONS: tuple[Section[Ranking], ...] = (
    flag_table,
    feature_table,
    score_chart,
    cost_chart,
    cross_table,
    pair_map,
    group_table,
    three_mr_table,
    drift_table,
    row_quality,
    repetition_table,
)
"""Sections of the report, in order: what is wrong with the data comes first."""


def summarise_ranking(ranking: Ranking) -> Summary:
    """Summarise a ranking: what is wrong with the data, then the features and crosses."""
    tables, charts = tables_and_charts(SECTIONS, ranking)
    data = ranking.to_json()
    return Summary(
        title=f"Ranking of {len(ranking.singles)} features by {ranking.facts.score}",
        facts=_facts(ranking),
        warnings=ranking.warnings,
        tables=tables,
        curves=charts,
        data={"features": data["features"], "facts": data["facts"]},
    )


def _facts(ranking: Ranking) -> dict[str, str]:
    facts = ranking.facts
    shares = ", ".join(f"{name}: {n / facts.rows:.2%}" for name, n in facts.classes.items())
    lines = {
        "label": f"{facts.label} ({shares})",
        "rows": f"{facts.rows:,} in {facts.files} file{'s' * (facts.files != 1)}",
        "label entropy": f"{facts.label_entropy:.5f} nats per row: the most any feature can score",
        "noise": _noise(ranking),
        "kept": f"{len(ranking.kept)} fields in schema.toml: {', '.join(ranking.kept)}",
    }
    if facts.crosses is not None:
        lines["crosses"] = (
            f"{facts.crosses.pairs:,} pairs, {facts.crosses.screened:,} screened by synergy, "
            f"{facts.crosses.evaluated:,} evaluated, {facts.crosses.not_screened:,} not screened"
        )
    return lines


def _noise(ranking: Ranking) -> str:
    noise = sum("noise" in row.flags for row in ranking.singles)
    text = f"{noise} of {len(ranking.singles)} features are not distinguishable from noise"
    if ranking.facts.best_control is None:
        return f"{text} (q > 0.05)"
    control = f"{ranking.facts.best_control:.3g}"
    return f"{text} (q > 0.05, or score at most {control}, the best planted noise control)"
