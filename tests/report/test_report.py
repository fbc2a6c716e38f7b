"""Reports: golden figures, one offline file, escaped names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrkit.config.files import make_config
from ctrkit.data.read.sources import frame_source
from ctrkit.errors import CtrkitError, RunFolderError
from ctrkit.rank import RankOptions, rank_source
from ctrkit.records import RunRecord
from ctrkit.report import (
    summarise_ranking,
    summarise_run,
    summarise_runs,
    to_html,
    to_markdown,
    write_report,
)
from ctrkit.report.charts import Bars, Scatter, Trials, to_svg
from ctrkit.schema import Field, Schema

NASTY = "<script>alert('x')</script>|pipe"
ROWS = {"train": 8000, "validation": 1000, "test": 1000}


def make_run(
    folder: Path,
    *,
    seed: int = 0,
    auc: float = 0.75,
    logloss: float = 0.5,
    model: str = "fm",
    fingerprint: str = "data-1",
) -> Path:
    """Write by hand what a run leaves."""
    folder.mkdir()
    config = make_config(
        {"model": {"name": model}, "train": {"seed": seed}, "data": {"path": NASTY}}
    )
    (folder / "config.json").write_text(config.canonical_json())
    judged = {
        "rows": 1000,
        "auc": auc,
        "logloss": logloss,
        "ne": 0.9,
        "ece": 0.01,
        "calibration": 1.0,
        "auc_low": auc - 0.01,
        "auc_high": auc + 0.01,
        "group_auc": float("nan"),
    }
    RunRecord(
        metrics={"validation": judged, "test": judged},
        seed=seed,
        data={"rows": ROWS, "fingerprint": fingerprint},
        config_sha256="abc",
        versions={},
        timings={"train_examples_s": 1e5, "total_s": 1.0},
        parameters={"allocated": 1234},
        memory={"peak_bytes": 10**8},
        training={"steps": 20, "stopped": "patience"},
        warnings=[NASTY],
    ).save(folder / "record.json")
    lines = [{"step": s, "train_loss": 0.6, "logloss": 0.5, "auc": 0.7} for s in (10, 20)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "predictions").mkdir()
    logit = np.random.default_rng(0).normal(size=200).astype(np.float32)
    label = (logit > 0).astype(np.uint8)
    pl.DataFrame({"label": label, "logit": logit}).write_parquet(
        folder / "predictions/test.parquet"
    )
    explained = {
        "attention": {"pairs": [{"fields": [NASTY, "b"], "lift": [1.25], "rollout": 0.1}]},
        "ablation": {"pairs": [{"fields": [NASTY, "b"], "score": -0.01, "se": 0.001}]},
        "caveats": "Attention is not attribution.",
    }
    (folder / "explain.json").write_text(json.dumps(explained))
    return folder


def test_a_run_is_summarised_from_its_files(tmp_path):
    summary = summarise_run(make_run(tmp_path / "run"))
    assert summary.title == "fm, seed 0"
    assert summary.facts["rows"] == "train 8,000, validation 1,000, test 1,000"
    metrics = summary.tables[0]
    test = dict(zip(metrics.columns, metrics.rows[1], strict=True))
    assert test["auc"] == "0.75000 [0.74000, 0.76000]"
    assert test["group_auc"] == "–"
    assert [c.title for c in summary.curves][-1] == "Calibration on the test split"
    assert summary.tables[-1].rows[0][2] == "1.250"


def test_absent_parts_are_left_out(tmp_path):
    run = make_run(tmp_path / "run")
    shutil.rmtree(run / "predictions")
    for name in ("metrics.jsonl", "explain.json"):
        (run / name).unlink()
    summary = summarise_run(run)
    assert not summary.curves
    assert "<html" in to_html(summary)


def test_seeds_are_aggregated_and_the_best_model_comes_first(tmp_path):
    runs = [
        make_run(tmp_path / "a0", seed=0, auc=0.70, logloss=0.50),
        make_run(tmp_path / "a1", seed=1, auc=0.72, logloss=0.54),
        make_run(tmp_path / "b0", seed=0, auc=0.80, logloss=0.40, model="autoint"),
    ]
    table = summarise_runs(runs).tables[0]
    first, second = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert (first["model"], first["seeds"], first["test AUC"]) == ("autoint", "1", "0.8000")
    # sd of (0.70, 0.72) = 0.01414, of (0.50, 0.54) = 0.02828
    assert second["test AUC"] == "0.7100 ± 0.0141"
    assert second["test log loss"] == "0.5200 ± 0.0283"


def test_runs_on_different_data_are_warned_about(tmp_path):
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", seed=1, fingerprint="data-2")]
    assert "different data" in summarise_runs(runs).warnings[0]
    assert summarise_runs(runs[:1]).warnings == []


def test_html_is_one_offline_file_with_escaped_names(tmp_path):
    page = to_html(summarise_run(make_run(tmp_path / "run")))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert page.count("<script>") == 1
    assert not re.search(r"""(src|href)\s*=\s*["']https?:|<link|@import|url\(https?:""", page)
    assert page.count("<svg") == 3


def test_rendering_twice_gives_the_same_bytes(tmp_path):
    summary = summarise_run(make_run(tmp_path / "run"))
    assert to_html(summary) == to_html(summary)


def test_markdown_keeps_its_table_whatever_the_names(tmp_path):
    text = to_markdown(summarise_run(make_run(tmp_path / "run")))
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if "pipe" in line and line.startswith("|")]
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", row)) in (3, 4) for row in rows)


@pytest.mark.parametrize("suffix", [".html", ".md", ".json"])
def test_a_report_is_written_atomically(tmp_path, suffix):
    path = tmp_path / f"report{suffix}"
    write_report(summarise_run(make_run(tmp_path / "run")), path)
    assert path.stat().st_size > 500
    assert {p.name for p in tmp_path.iterdir()} == {"run", path.name}


def test_user_errors_are_one_line(tmp_path):
    with pytest.raises(CtrkitError, match=r"\.html"):
        write_report(summarise_run(make_run(tmp_path / "run")), tmp_path / "report.pdf")
    for summarise in (summarise_run, lambda folder: summarise_runs([folder])):
        with pytest.raises(RunFolderError, match=r"record\.json"):
            summarise(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["run", "ranking"])
def test_a_browser_renders_the_report(tmp_path, kind):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium on this machine")
    page = tmp_path / "page.html"
    ranking = summarise_ranking_of({"a": [0, 1, 1, 0] * 25, "b": [1, 2, 3, 4] * 25})
    write_report(ranking if kind == "ranking" else summarise_run(make_run(tmp_path / "run")), page)
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    shot = tmp_path / "page.png"
    command = [browser, *options, f"--screenshot={shot}", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert shot.stat().st_size > 10_000, done.stderr[-500:]


def test_names_in_any_script_make_charts_without_warnings():
    page = summarise_ranking_of({"名前 <b>": [0, 1] * 50, "b": [1, 2, 3, 4] * 25})
    text = to_html(page)
    assert "名前 &lt;b&gt;" in text
    assert "<b>" not in text
    assert text.count("<svg") >= 1


def summarise_ranking_of(columns):
    source = frame_source(pl.DataFrame({"y": [0, 1] * 50, **columns}))
    schema = Schema(tuple(Field(n, "categorical") for n in columns), label="y")
    return summarise_ranking(rank_source(source, schema, RankOptions(order=2)))


@pytest.mark.parametrize(
    "chart",
    [
        Trials("t", "x", "y", [[0.0005, 0.5], [0.02, 0.7]], log=True),
        Scatter("t", "x", "y", [[0.0005, 0.5, "a"], [0.02, 0.7, "b"]]),
    ],
)
def test_numbers_of_logarithmic_axes_are_plain_text(chart):
    text = to_svg(chart)
    assert "mathdefault" not in text
    assert ">0.001<" in text
    assert ">0.01<" in text


def test_the_json_form_holds_tables_and_charts_as_plain_data(tmp_path):
    path = tmp_path / "report.json"
    write_report(summarise_run(make_run(tmp_path / "run")), path)
    data = json.loads(path.read_text())
    assert list(data) == ["title", "facts", "warnings", "tables", "curves", "data"]
    assert list(data["tables"][0]) == ["title", "columns", "rows", "note"]
    assert {c["kind"] for c in data["curves"]} == {"line"}
    assert [c.get("diagonal", False) for c in data["curves"]] == [False, False, True]


def test_numbers_below_bars_do_not_overlap():
    from matplotlib.figure import Figure

    spans = [(-0.0062, 0.0024), (0.0081, 0.0117)]
    chart = Bars("t", "x", ["a", "pol_sit_duration"], [-0.0019, 0.0099], spans, [0.0043, 0.0005])
    figure = Figure(figsize=chart.size, layout="constrained")
    axes = figure.subplots()
    chart.draw(axes)
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert len(boxes) >= 3
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))
