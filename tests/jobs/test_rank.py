"""The verb ``rank``: the files that it writes, their contents, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from ctrkit import jobs
from ctrkit.errors import CtrkitError, RunFolderError, SchemaError
from ctrkit.rank.result import SCHEMA
from ctrkit.runs.ranking import narrowed
from ctrkit.schema import Cross, Schema
from ctrkit.testing.generated import planted_clicks, ranking_fields

FILES = {"rank.parquet", "rank.csv", "rank.json", "schema.toml", "report.html", "report.md"}
FILES |= {"checksums.json"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("rank") / "data.csv"
    frame, _ = ranking_fields(20_000, 7)
    frame.write_csv(path)
    return path


@pytest.fixture(scope="module")
def ranked(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("rank") / "out"
    jobs.rank(data, label="label", order=2, noise_controls=True, crosses=1, out=out)
    return out


def test_folder_holds_the_documented_files_alone(ranked):
    assert {p.name for p in ranked.iterdir()} == FILES
    assert [p.name for p in ranked.parent.iterdir()] == ["out"]


def test_the_three_tables_agree(ranked):
    frame = pl.read_parquet(ranked / "rank.parquet")
    assert dict(frame.schema) == SCHEMA
    text = pl.read_csv(ranked / "rank.csv", infer_schema_length=None)
    assert text["name"].to_list() == frame["name"].to_list()
    assert [json.loads(v) for v in text["members"]] == frame["members"].to_list()
    assert [json.loads(v) for v in text["flags"]] == frame["flags"].to_list()
    whole = json.loads((ranked / "rank.json").read_text())
    assert [r["gain"] for r in whole["features"]] == frame["gain"].to_list()
    assert whole["facts"]["best_control"] is not None
    assert len(whole["facts"]["controls"]) == 8
    noisy = next(r for r in whole["features"] if r["name"] == "noise_100")
    assert noisy["why"]["noise"]["q"] > 0.05 or noisy["score"] <= whole["facts"]["best_control"]
    assert "noise control" not in str(frame["name"].to_list())


def test_one_thread_gives_the_same_bits_as_several(ranked, data, tmp_path):
    args = [
        sys.executable,
        "-m",
        "ctrkit",
        "rank",
        data,
        "--label",
        "label",
        "--order",
        "2",
        "--noise-controls",
        "--no-report",
        "-o",
        tmp_path / "alone",
    ]
    subprocess.run(list(map(str, args)), env={**os.environ, "POLARS_MAX_THREADS": "1"}, check=True)
    alone, before = (pl.read_parquet(f / "rank.parquet") for f in (tmp_path / "alone", ranked))
    assert alone.equals(before)


def test_the_narrowed_schema_trains(ranked, data):
    schema = Schema.load(ranked / "schema.toml")
    assert {"info_2", "xor_8a", "xor_8b", "info_100"} <= set(schema.names)
    assert not {"noise_100", "row_id"} & set(schema.names)
    assert [c.fields for c in schema.crosses] == [("xor_8a", "xor_8b")]
    fast = ["train.epochs=1", "train.batch_size=512", "train.evals_per_epoch=1", "data.cache=false"]
    result = jobs.train(
        data,
        schema=ranked / "schema.toml",
        model="lr",
        out=ranked.parent / "run",
        set=[*fast, "track.uri=none", "train.lr=0.01"],
    )
    assert result.record.metrics["test"]["rows"] > 1500


def test_the_report_is_offline_and_shows_data_quality_first(ranked):
    report = (ranked / "report.html").read_text(encoding="utf-8")
    assert "http://" not in report.replace("http://www.w3.org", "")
    assert "https://" not in report
    assert report.index("Data quality") < report.index("Features by gain") < report.index("Crosses")
    for title in ("Gain against table size", "Pair map", "noise reaches", "Redundancy groups"):
        assert title in report


def test_no_report_removes_an_earlier_report(data, tmp_path):
    jobs.rank(data, label="label", out=tmp_path / "r")
    assert (tmp_path / "r" / "report.html").is_file()
    jobs.rank(data, label="label", out=tmp_path / "r", report=False, force=True)
    assert {p.name for p in (tmp_path / "r").iterdir()} == FILES - {"report.html", "report.md"}


def test_lists_numbers_and_times(tmp_path):
    frame, truth = planted_clicks(6_000, 2)
    frame.write_parquet(tmp_path / "clicks.parquet")
    ranking = jobs.rank(
        tmp_path / "clicks.parquet", label="click", time="time", order=2, out=tmp_path / "r"
    )
    names = [r.name for r in ranking.features if r.order == 1]
    assert any(n.startswith("interests=") for n in names)
    assert ranking.facts.periods == "thirds by time"
    crosses = [r for r in ranking.features if r.order == 2]
    assert tuple(crosses[0].members) == truth.pairs[0]


def test_earlier_ranking_is_kept_without_force(ranked, data):
    before = (ranked / "rank.json").read_bytes()
    with pytest.raises(RunFolderError, match="--force"):
        jobs.rank(data, label="label", out=ranked)
    assert (ranked / "rank.json").read_bytes() == before


def test_refused_input_leaves_no_files(data, tmp_path):
    out = tmp_path / "r"
    with pytest.raises(SchemaError, match="--label"):
        jobs.rank(data, out=out)
    with pytest.raises(CtrkitError, match="did you mean 'label'"):
        jobs.rank(data, label="labl", out=out)
    with pytest.raises(CtrkitError, match="did you mean 'gain'"):
        jobs.rank(data, label="label", score="gian", out=out)
    (tmp_path / "bad.csv").write_text("a,label\n1,0\n2,1,9\n")
    with pytest.raises(CtrkitError, match=r"bad\.csv"):
        jobs.rank(tmp_path / "bad.csv", label="label", out=out)
    (tmp_path / "one.csv").write_text("a,label\n1,0\n2,0\n")
    with pytest.raises(CtrkitError, match="got 0 in all 2 rows"):
        jobs.rank(tmp_path / "one.csv", label="label", out=out)
    (tmp_path / "twice.csv").write_text("a,a,label\n1,2,0\n2,3,1\n")
    with pytest.raises(CtrkitError, match="twice"):
        jobs.rank(tmp_path / "twice.csv", label="label", out=out)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep")
    with pytest.raises(RunFolderError, match="other files"):
        jobs.rank(data, label="label", out=tmp_path / "notes", force=True)
    assert not out.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "bad.csv",
        "notes",
        "one.csv",
        "twice.csv",
    ]


def test_small_quoted_and_windows_files_are_ranked(tmp_path):
    rows = "".join(f'"{i % 3}, x",{i % 2}\r\n' for i in range(500))
    (tmp_path / "q.csv").write_text('"a, b","the-label"\r\n' + rows)
    ranking = jobs.rank(tmp_path / "q.csv", label="the-label", out=tmp_path / "r")
    assert [r.name for r in ranking.features] == ["a, b"]
    assert ranking.features[0].cardinality == 3


def test_the_schema_verb_warns_of_leaks(tmp_path):
    frame, _ = ranking_fields(2_000, 1)
    frame = frame.select("label", "info_2", copy=pl.col("label") * 7)
    frame.write_parquet(tmp_path / "d.parquet")
    _, warnings = jobs.schema(tmp_path / "d.parquet", label="label")
    assert any(w.startswith("'copy' is a near copy") for w in warnings)
    _, warnings = jobs.schema(tmp_path / "d.parquet")
    assert not any("near copy" in w for w in warnings)


def test_features_of_one_name_are_told_apart(tmp_path: Path) -> None:
    number = pl.int_range(600, eager=True)
    a, b = number % 3, number // 3 % 4
    click = (a == 1) ^ (b > 1) | (number % 11 == 0)
    tags = pl.Series([["x"] if i % 2 else ["x", "y"] for i in range(600)])
    size = (number % 4).cast(pl.Float64) / 2
    rows = {"a": a, "b": b, "a x b": number % 5, "tags": tags, "tags=x": number % 7, "size": size}
    pl.DataFrame({**rows, "click": click}).write_parquet(tmp_path / "rows.parquet")
    ranking = jobs.rank(tmp_path / "rows.parquet", label="click", order=2, out=tmp_path / "ranking")
    singles = [row.name for row in ranking.singles]
    assert len(set(singles)) == len(singles)
    assert {"tags=x", "tags=x (2)", "a x b"} <= set(singles)
    assert set(ranking.details) == set(singles)
    assert ranking.details["tags=x"].kind == "categorical"
    assert ranking.details["tags=x (2)"].kind == "token"
    # A cross needs one code of each member, and a name of its own.
    schema, _ = jobs.schema(tmp_path / "rows.parquet", label="click")
    assert {row.name for row in ranking.crosses if row.gain} >= {"a x b", "a x size", "b x tags"}
    narrow = narrowed(schema, replace(ranking, kept=tuple(schema.names)), 9)
    assert narrow.crosses == (Cross("a x b (cross)", ("a", "b")),)
    narrow.save(tmp_path / "narrow.toml")
    out = tmp_path / "encoded"
    assert jobs.encode(tmp_path / "rows.parquet", schema=tmp_path / "narrow.toml", out=out)
