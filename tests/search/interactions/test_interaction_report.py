"""The page of a search over pairs: figures by hand, the map, nothing where nothing is known."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import combinations

import numpy as np
import pytest
from pydantic import TypeAdapter

from ctrkit.report import Summary, to_html, to_markdown, write_report
from ctrkit.report.charts import to_svg
from ctrkit.report.charts.base import BLUE, GREY, MARK
from ctrkit.search.interactions.outcome import InteractionsRecord
from ctrkit.search.interactions.report import summarise_interaction_search

NASTY = "<b>|site"


def row(
    seed: int,
    logloss: float,
    rows: int,
    *,
    pairs=(1, 1, 1),
    search: float | None = None,
    label: str | None = None,
) -> dict:
    return {
        "seed": seed,
        "folder": f"x/{seed}/run",
        "pairs": dict(zip(("memorize", "factorize", "naive"), pairs, strict=True)),
        "cross_rows": rows,
        "cross_bytes": rows * 40,
        "parameters": 1000 + 10 * rows,
        "bytes": 8000 + 40 * rows,
        "fields": 3,
        "train_examples_s": 50_000.0,
        "search_s": search,
        "label": label or "",
        "validation": {"auc": 0.74, "logloss": logloss},
        "test": {"auc": 0.75, "logloss": logloss},
    }


def pair(a: str, b: str, op: str, probability, rows=0, interaction=0.0) -> dict:
    information = {"mi": 0.02, "miller_madow": 0.01, "excess": 0.005, "interaction": interaction}
    return {
        "fields": [a, b],
        "op": op,
        "probability": list(probability),
        "rows": rows,
        "min_count": 0,
        "searched": True,
        "information": information,
    }


def record(seeds: int = 1) -> dict:
    seen = range(seeds)
    test = {"difference": -0.002, "error": 0.0005, "p": 0.0, "low": -0.003, "high": -0.001}
    rows = {
        "optinter": [row(s, 0.5 + 0.01 * s, 100, search=12.0) for s in seen],
        "all naive": [row(s, 0.52, 0, pairs=(0, 0, 3)) for s in seen],
        "all memorize": [row(s, 0.51, 3000, pairs=(3, 0, 0), label="hashed to fit") for s in seen],
    }
    return {
        "format": 1,
        "kind": "interactions",
        "model": "optinter",
        "config_sha256": "ab" * 32,
        "search": {"relaxation": "gumbel"},
        "fields": [NASTY, "ad", "user"],
        "pairs": [
            pair("ad", "user", "naive", (0.2, 0.3, 0.5)),
            pair(NASTY, "user", "factorize", (0.1, 0.8, 0.1), interaction=0.001),
            pair(NASTY, "ad", "memorize", (1.0, 0.0, 0.0), 100, interaction=0.003),
        ],
        "rows": rows,
        "paired": {
            n: [{**test, "difference": -0.002 - 0.001 * s} for s in seen]
            for n in rows
            if n != "optinter"
        },
        "warnings": ["the search ran for one seed"],
    }


def summary_of(data: dict) -> Summary:
    """Summarise a record that is given as JSON holds it."""
    return summarise_interaction_search(TypeAdapter(InteractionsRecord).validate_python(data))


def table(summary: Summary, title: str) -> list[dict[str, str]]:
    (found,) = (t for t in summary.tables if t.title == title)
    return [dict(zip(found.columns, cells, strict=True)) for cells in found.rows]


def test_figures_of_one_seed():
    summary = summary_of(record())
    assert summary.title == ("Pairs of fields of optinter: 1 memorized, 1 factorized, 1 left alone")
    assert summary.facts["cross rows"] == "100 (0.00 MB)"
    assert summary.warnings == ["the search ran for one seed"]
    ours, naive, memorized = table(summary, "Comparison with the controls")
    assert (ours["pairs"], ours["search, s"], ours["difference, 95 %"]) == ("the search", "12", "")
    assert naive["difference, 95 %"] == "-0.00200 (-0.00300 to -0.00100)"
    assert naive["m / f / n"] == "0 / 0 / 3"
    assert (naive["search, s"], naive["test log loss"]) == ("", "0.52000")
    assert memorized["pairs"] == "all memorize (hashed to fit)"
    assert (memorized["cross rows"], memorized["parameters"]) == ("3,000", "31,000")
    assert (memorized["cross MB"], memorized["MB"]) == ("0.12", "0.13")


def test_several_seeds_have_means_and_intervals_over_seeds():
    ours, naive, _ = table(summary_of(record(3)), "Comparison with the controls")
    assert ours["test log loss"] == "0.51000 ± 0.01000"
    # mean -0.003, deviation 0.001: 4.30 * 0.001 / sqrt(3) = 0.00248
    assert naive["difference, 95 %"] == "-0.00300 (-0.00548 to -0.00052)"


def test_pairs_are_ordered_by_operation_and_summed_by_it():
    summary = summary_of(record())
    first, second, third = table(summary, "Pairs")
    assert [p["operation"] for p in (first, second, third)] == [
        "memorized",
        "factorized",
        "left alone",
    ]
    assert first["pair"] == f"{NASTY} × ad"
    assert (first["p(memorize)"], first["cross rows"]) == ("1.000", "100")
    assert "least rows" not in first, "crosses are hashed"
    assert (first["interaction"], third["excess"]) == ("+0.003000", "+0.005000")
    memorized, factorized, alone = table(summary, "By operation")
    assert (memorized["mean probability"], memorized["cross rows"]) == ("1.000", "100")
    assert (factorized["mean probability"], factorized["interaction"]) == ("0.800", "+0.001000")
    assert (alone["pairs"], alone["mean probability"]) == ("1", "0.500")


def test_the_map_and_the_charts_hold_every_pair():
    curves = summary_of(record()).curves
    assert [c.kind for c in curves] == ["operations", "groups", "groups", "line"]
    assert curves[0].cells == [
        [1, 2, "naive", 0.5], [0, 2, "factorize", 0.8], [0, 1, "memorize", 1.0]
    ]  # fmt: skip
    assert curves[1].groups == {"memorized": [0.003], "factorized": [0.001], "left alone": [0.0]}
    assert curves[3].lines["all memorize (hashed to fit)"] == [[0.12, 0.51]]


def test_the_map_colours_by_operation_and_fades_by_doubt():
    drawn = to_svg(summary_of(record()).curves[0])
    depths = {
        colour: list(map(float, re.findall(rf"fill: {colour}; opacity: ([\d.]+)", drawn)))
        for colour in (MARK, BLUE, GREY)
    }
    # 0.15 + 0.85 * 1.5 * (p - 1/3): p = 0.8 gives 0.745, 0.5 gives 0.3625; 1 has no opacity.
    assert depths[BLUE] == [pytest.approx(0.745)]
    assert depths[GREY] == [pytest.approx(0.3625)]
    assert depths[MARK] == []
    assert drawn.count(f"fill: {MARK}") == 2, "a cell, and the legend"


def test_without_information_or_controls_the_page_says_less():
    plain = record()
    plain["rows"] = {"optinter": plain["rows"]["optinter"]}
    plain["paired"] = {}
    for found in plain["pairs"]:
        found["op"], found["information"] = "naive", None
    summary = summary_of(plain)
    assert [c.kind for c in summary.curves] == ["operations"]
    memorized, _, alone = table(summary, "By operation")
    assert (memorized["pairs"], memorized["mean probability"], memorized["MI"]) == ("0", "–", "–")
    assert (alone["pairs"], alone["interaction"]) == ("3", "–")
    assert "<html" in to_html(summary)


def test_least_counts_are_shown_where_crosses_are_exact():
    exact = record()
    exact["pairs"][2]["min_count"] = 20
    found = table(summary_of(exact), "Pairs")
    assert [p["least rows"] for p in found] == ["20", "", ""]


def test_names_out_of_the_data_are_escaped_everywhere():
    summary = summary_of(record())
    page = to_html(summary)
    assert "<b>" not in page
    assert page.count("&lt;b&gt;|site") >= 4
    assert page.count("<svg") == 4
    assert to_html(summary) == page
    lines = [x for x in to_markdown(summary).splitlines() if "site ×" in x]
    assert len(lines) == 2
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 11 for line in lines)


def criteo(seed: int = 0) -> dict:
    """A record of Criteo's shape: 26 fields, 325 pairs."""
    draw = np.random.default_rng(seed)
    found = record(3)
    found["fields"] = [f"C{i + 1}" for i in range(26)]
    found["pairs"] = []
    for a, b in combinations(found["fields"], 2):
        p = draw.dirichlet([0.6] * 3)
        op = ("memorize", "factorize", "naive")[int(p.argmax())]
        found["pairs"].append(pair(a, b, op, p, int(p[0] * 1e5), float(draw.gamma(0.5, 1e-3))))
    return found


@pytest.mark.slow
def test_a_browser_shows_the_page_of_325_pairs(tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium on this machine")
    page, shot = tmp_path / "page.html", tmp_path / "page.png"
    write_report(summary_of(criteo()), page)
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1300,1800",
    ]
    command = [browser, *options, f"--screenshot={shot}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert shot.stat().st_size > 50_000, done.stderr[-500:]
