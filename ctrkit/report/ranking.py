"""Data first: a ranking as a plain dictionary of sections, tables and charts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

MOST_FEATURES = 200
MOST_CROSSES = 100
CHARTED = 30
MAPPED = 24


def summarise_ranking(ranking: dict[str, Any]) -> dict[str, Any]:
    """Summarise what ``rank.json`` holds: what is wrong with the data first, then the ranking."""
    facts = ranking["facts"]
    singles = [r for r in ranking["features"] if r["order"] == 1]
    crosses = [r for r in ranking["features"] if r["order"] == 2]
    tables = [
        *_flag_table(singles),
        _feature_table(singles, facts),
        *_cross_table(crosses, facts),
        *_group_table(facts, singles),
        *_order_table(facts),
        *_drift_table(singles, facts),
        *_profile_table(facts),
        *_repetitions(singles),
    ]
    charts = [_scores(singles, facts), _cost(singles), *_pair_map(crosses)]
    return {
        "title": f"Ranking of {len(singles)} features by {facts['score']}",
        "facts": _facts(ranking, singles),
        "warnings": list(ranking["warnings"]),
        "tables": tables,
        "curves": [c for c in charts if c],
        "data": {"features": ranking["features"], "facts": facts},
    }


def _facts(ranking: dict[str, Any], singles: Sequence[dict[str, Any]]) -> dict[str, str]:
    facts = ranking["facts"]
    total = facts["rows"]
    shares = ", ".join(f"{name}: {n / total:.2%}" for name, n in facts["classes"].items())
    noise = sum("noise" in r["flags"] for r in singles)
    found = {
        "label": f"{facts['label']} ({shares})",
        "rows": f"{total:,} in {facts['files']} file{'s' * (facts['files'] != 1)}",
        "label entropy": f"{facts['label_entropy']:.5f} nats: what a perfect feature would tell",
        "noise floor": _floor(facts, noise, len(singles)),
        "kept": f"{len(ranking['kept'])} fields in schema.toml: {', '.join(ranking['kept'])}",
    }
    crosses = facts.get("crosses")
    if crosses is not None:
        found["crosses"] = (
            f"{crosses['pairs']:,} pairs, {crosses['screened']:,} screened by synergy, "
            f"{crosses['evaluated']:,} evaluated, {crosses['not_screened']:,} not looked at"
        )
    return found


def _floor(facts: dict[str, Any], noise: int, count: int) -> str:
    text = f"{noise} of {count} features are not told from noise (q > 0.05)"
    if facts["best_control"] is not None:
        text += f"; the best planted control scores {facts['best_control']:.3g}"
    return text


def _feature_table(rows: Sequence[dict[str, Any]], facts: dict[str, Any]) -> dict[str, Any]:
    columns = [
        "rank",
        "feature",
        "flags",
        facts["score"],
        "gain",
        "adj",
        "95 %",
        "noise reaches",
        "z",
        "q",
        "values",
        "coverage",
        "rare",
        "group",
        "drift",
    ]
    cells = [
        [
            str(r["rank"]),
            r["name"],
            ", ".join(r["flags"]),
            _number(r["score"]),
            _number(r["gain"]),
            _number(r["adj"]),
            _span(r["interval"]),
            _number(r["noise_interval"][1]),
            _number(r["z"], 1),
            _number(r["q"]),
            f"{r['cardinality']:,}",
            f"{r['coverage']:.1%}",
            f"{r['rare_share']:.1%}",
            _text(r["redundancy_group"]),
            _number(r["drift"]),
        ]
        for r in rows[:MOST_FEATURES]
    ]
    if facts["score"] in ("gain", "adj", "z"):  # it has a column of its own
        columns, cells = columns[:3] + columns[4:], [row[:3] + row[4:] for row in cells]
    note = (
        "All information in nats per row. gain: log loss that a shrunk rate per value saves; adj: "
        "mutual information less its expectation under permuted labels, with its 95 % interval; "
        "noise reaches: the 97.5 % point of adj if the feature meant nothing; q: false discovery "
        "rate; rare: share of rows with a value seen fewer than 5 times."
    )
    if len(rows) > MOST_FEATURES:
        note += f" The first {MOST_FEATURES} of {len(rows)}: rank.csv holds all."
    return {
        "title": f"Features by {facts['score']}",
        "columns": columns,
        "rows": cells,
        "note": note,
    }


def _cross_table(rows: Sequence[dict[str, Any]], facts: dict[str, Any]) -> list[dict[str, Any]]:
    if not rows:
        return []
    columns = [
        "rank",
        "cross",
        "gain over additive",
        "synergy",
        "interaction",
        "adj",
        "z",
        "q",
        "values",
        "flags",
    ]
    cells = [
        [
            str(r["rank"]),
            r["name"],
            _number(r["gain"]),
            _number(r["synergy"]),
            _number(r["interaction"], 2),
            _number(r["adj"]),
            _number(r["z"], 1),
            _number(r["q"]),
            f"{r['cardinality']:,}",
            ", ".join(r["flags"]),
        ]
        for r in rows[:MOST_CROSSES]
    ]
    note = (
        "gain over additive: log loss saved beyond an additive model of both members; synergy: "
        "adj of the pair less those of its members; interaction: its share of the pair's adj. "
        "Crosses without a gain were screened out by synergy."
    )
    return [{"title": "Crosses", "columns": columns, "rows": cells, "note": note}]


def _flag_table(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for r in rows:
        for flag in r["flags"]:
            if flag not in ("noise", "redundant"):
                told = {k: v for k, v in r["why"][flag].items() if v is not None}
                text = "; ".join(
                    f"{k} {_number(v)}" if isinstance(v, float) else f"{k}: {v}"
                    for k, v in told.items()
                )
                found.append([r["name"], flag.replace("_", " "), text])
    if not found:
        return []
    return [
        {
            "title": "Data quality",
            "columns": ["feature", "flag", "evidence"],
            "rows": found,
            "note": "near copy and leaking: shares of the label's entropy.",
        }
    ]


def _group_table(facts: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    groups: dict[int, list[str]] = {}
    for r in rows:
        if r["redundancy_group"] is not None:
            groups.setdefault(r["redundancy_group"], []).append(r["name"])
    if not groups:
        return []
    pairs = facts.get("redundant_pairs", [])
    cells = []
    for number, names in sorted(groups.items()):
        inside = [p["ami"] for p in pairs if set(p["features"]) <= set(names)]
        cells.append([str(number), names[0], ", ".join(names[1:]), f"{min(inside):.3f}"])
    return [
        {
            "title": "Redundancy groups",
            "columns": ["group", "best", "others", "least likeness"],
            "rows": cells,
            "note": "Adjusted mutual information between features, single linkage.",
        }
    ]


def _order_table(facts: dict[str, Any]) -> list[dict[str, Any]]:
    chosen = facts.get("three_mr", [])
    if not chosen:
        return []
    cells = [[str(i), f["name"], _number(f["value"])] for i, f in enumerate(chosen, 1)]
    note = "Relevance less redundancy with, plus relation to, the features above; scaled to 0..1."
    return [
        {
            "title": "3MR order",
            "columns": ["place", "feature", "value"],
            "rows": cells,
            "note": note,
        }
    ]


def _drift_table(rows: Sequence[dict[str, Any]], facts: dict[str, Any]) -> list[dict[str, Any]]:
    moved = [r for r in rows if r["drift"] is not None]
    if not moved:
        return []
    moved.sort(key=lambda r: -abs(r["drift"]))
    cells = [
        [
            r["name"],
            _number(r["drift"]),
            _series(r["by_third"]["coverage"], "{:.1%}"),
            _series(r["by_third"]["gain"], "{:.3g}"),
        ]
        for r in moved[:MAPPED]
    ]
    columns = ["feature", "drift", "coverage by third", "gain by third"]
    note = f"Drift: divergence (nats) between the first and the last third; {facts['periods']}."
    return [{"title": "Drift", "columns": columns, "rows": cells, "note": note}]


def _profile_table(facts: dict[str, Any]) -> list[dict[str, Any]]:
    profile = facts.get("row_profile", {"means": []})
    if not profile["means"]:
        return []
    names = [k for k in profile["means"][0] if k != "measure"]
    cells = [[m["measure"], *(_number(m[n]) for n in names)] for m in profile["means"]]
    note = f"Mean share of fields, first {profile['rows']:,} rows; last line: sum, in nats."
    columns = ["measure", *(f"label {n}" for n in names)]
    return [{"title": "Quality of rows", "columns": columns, "rows": cells, "note": note}]


def _repetitions(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    if not rows:
        return []
    steps = list(rows[0]["repetitions"])
    cells = [
        [r["name"], *(f"{r['repetitions'][s]:,}" for s in steps)] for r in rows[:MOST_FEATURES]
    ]
    columns = ["feature", *(f"seen ≥ {int(s):,}" for s in steps)]
    return [
        {
            "title": "How often values repeat",
            "columns": columns,
            "rows": cells,
            "note": "Values that occur at least so often: the rows that a table keeps at that "
            "min_count.",
        }
    ]


def _scores(rows: Sequence[dict[str, Any]], facts: dict[str, Any]) -> dict[str, Any]:
    shown = [r for r in rows if r["adj"] is not None][:CHARTED]
    return {
        "kind": "bars",
        "title": "adj with 95 % interval; grey: what noise reaches",
        "x": "nats per row",
        "labels": [r["name"] for r in shown],
        "values": [r["adj"] for r in shown],
        "spans": [r["interval"] for r in shown],
        "floors": [r["noise_interval"][1] for r in shown],
    }


def _cost(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    points = [[max(r["cardinality"], 1), r["gain"], r["name"]] for r in rows if r["gain"]]
    points = [p for p in points if p[1] >= 1e-6]
    if not points:
        return None
    return {
        "kind": "scatter",
        "title": "Cost against gain",
        "x": "distinct values (table rows)",
        "y": "gain, nats per row",
        "points": points,
    }


def _pair_map(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    if not rows:
        return []
    best: dict[str, float] = {}
    for r in rows:
        for name in r["members"]:
            best[name] = max(best.get(name, -math.inf), r["synergy"])
    names = sorted(best, key=lambda n: (-best[n], n))[:MAPPED]
    place = {n: i for i, n in enumerate(names)}
    values: list[list[float | None]] = [[None] * len(names) for _ in names]
    for r in rows:
        a, b = (place.get(m) for m in r["members"])
        if a is not None and b is not None:
            values[a][b] = values[b][a] = r["synergy"]
    return [
        {
            "kind": "heat",
            "title": "Pair map: synergy, nats per row",
            "labels": names,
            "values": values,
        }
    ]


def _number(value: float | None, digits: int | None = None) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if digits is None else f"{value:.{digits}f}"


def _text(value: object) -> str:
    return "–" if value is None else str(value)


def _span(span: Sequence[float]) -> str:
    return f"{span[0]:.3g} to {span[1]:.3g}"


def _series(values: Sequence[float | None], form: str) -> str:
    return ", ".join("–" if v is None else form.format(v) for v in values)
