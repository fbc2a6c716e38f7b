"""Names and values are shown as text: no markup, no terminal escapes, no links."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from command_line import FAST, fails_in_one_line

from ctrkit.testing.generated import planted_clicks

NAMES = {
    "click": "cl[/x]ick",
    "site": "[/bold]s\x1b[31mite",
    "ad": "a[red]d\\",
    "device": "=1+2|x",
    "segment": "[x](javascript:alert)\u202e",
    "user": "@user",
    "slot": ":smile: \x9b31m",
    "creative": "two\nlines\x07",
}
"""Columns of the clicks -> hostile names."""
DROPPED = ["time", "interests"]
LABEL = NAMES["click"]
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "rows.parquet"
    frame = planted_clicks(1_000, seed=1)[0].drop(DROPPED).rename(NAMES)
    value = pl.format("[/red]\x1b]0;{}\x07", pl.col(NAMES["site"]))
    frame.with_columns(value.alias(NAMES["site"])).write_parquet(path)
    return path


def clean(result, *names):
    assert result.code == 0, result.err
    for text in (result.out, result.err):
        assert not CONTROL.search(text), text
    for name in names:
        assert name in result.out + result.err, (name, result)


def test_every_verb_shows_names_and_values_as_text(ctrkit, hostile, tmp_path):
    label = ("--label", LABEL)
    run = tmp_path / "run[/x]"
    trained = ctrkit("train", hostile, *label, "--model", "fm", "-o", run, *FAST)
    clean(trained, f"{run}/report.html")
    clean(ctrkit("train", hostile, *label, "--model", "fm", "-o", run, *FAST), str(run))
    clean(ctrkit("schema", hostile, *label), "[/bold]s", "a[red]d", ":smile:")
    clean(ctrkit("schema", hostile, *label, "--json"), "[/bold]s")
    ranked = ctrkit("rank", hostile, *label, "-o", tmp_path / "rank[/y]", "--order", 2)
    clean(ranked, "[/bold]s\\x1b[31mite", "a[red]d\\", "=1+2|x", f"{tmp_path}/rank[/y]/report.html")
    clean(ctrkit("encode", hostile, *label, "-o", tmp_path / "encoded"), "encoded")
    run = run.rename(tmp_path / "plain")
    clean(ctrkit("evaluate", run, hostile, "-o", tmp_path / "e[b].html"))
    clean(ctrkit("explain", run, hostile, "--rows", 200), "[/bold]s\\x1b[31mite")
    clean(ctrkit("predict", run, hostile, "-o", tmp_path / "p[red].csv"), "p[red].csv")
    clean(ctrkit("report", run, "-o", tmp_path / "r[i].md"), "r[i].md")
    for path in [*tmp_path.rglob("*.html"), *tmp_path.rglob("*.md")]:
        assert not CONTROL.search(path.read_text()), path
    for path in tmp_path.rglob("*.md"):
        assert not re.search(r"(?<!\\)\]\(javascript", path.read_text()), path


def test_json_output_reads_back_with_its_characters(ctrkit, hostile, tmp_path):
    result = ctrkit("rank", hostile, "--label", LABEL, "-o", tmp_path / "r", "--json")
    clean(result)
    names = {row["name"] for row in json.loads(result.out)["features"]}
    assert set(NAMES.values()) - {LABEL} <= names


@pytest.mark.parametrize("verb", ["train", "encode", "rank", "schema"])
def test_errors_name_hostile_columns_as_text(ctrkit, hostile, tmp_path, verb):
    result = ctrkit(verb, hostile, "--label", "no[/x]\x1b[2Jne\nerror: fine", "-o", tmp_path / "o")
    fails_in_one_line(result, "no[/x]")
    assert not CONTROL.search(result.err)
    if verb == "train":
        result = ctrkit(
            verb, hostile, "--label", LABEL, "--model", "[/x]\x1bfm", "-o", tmp_path / "o"
        )
        fails_in_one_line(result, "[/x]")
        assert not CONTROL.search(result.err)


def test_a_file_that_does_not_exist_is_named_as_text(ctrkit, tmp_path):
    result = ctrkit("train", f"{tmp_path}/no\udcff[/x]\x1b.csv", "--label", "y")
    fails_in_one_line(result, "[/x]")
    assert not CONTROL.search(result.err)


def test_nesting_bombs_are_one_line(ctrkit, clicks, run_folder, tmp_path):
    deep = 100_000
    toml, schema = tmp_path / "run.toml", tmp_path / "schema.toml"
    toml.write_text("x = " + "[" * deep + "]" * deep)
    schema.write_text("x = " + "{a=" * deep + "1" + "}" * deep)
    fails_in_one_line(ctrkit("train", toml), "run.toml", "nested too deeply")
    options = ("--schema", schema, "--label", "click", "-o", tmp_path / "o")
    fails_in_one_line(ctrkit("train", clicks, *options), "schema.toml", "nested too deeply")
    bomb = "[" * deep
    fails_in_one_line(ctrkit("train", clicks, "--label", "click", f"--set=train.lr={bomb}"))
    for name in ("config.json", "layout.json", "schema.toml", "encoder/encoder.json"):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run_folder, copy)
        for path in copy.rglob("checksums.json"):  # absent in folders of earlier versions
            path.unlink()
        (copy / name).write_text(toml.read_text() if name.endswith("toml") else bomb)
        result = ctrkit("predict", copy, clicks, "-o", tmp_path / "p.csv")
        limit = "recursion limit" if name == "config.json" else "nested too deeply"
        fails_in_one_line(result, name, limit)
        assert len(result.err) < 1_000


def test_safe_csv_marks_formulas(ctrkit, hostile, tmp_path):
    label = ("--label", LABEL, "--key", NAMES["user"])
    clean(ctrkit("train", hostile, *label, "--model", "lr", "-o", tmp_path / "run", *FAST))
    for option, first in ((), "@user"), (("--safe-csv",), "'@user"):
        path = tmp_path / f"p{len(option)}.csv"
        clean(ctrkit("predict", tmp_path / "run", hostile, "-o", path, *option))
        assert path.read_text().startswith(f'"{first}","prediction"')
        folder = tmp_path / f"rank{len(option)}"
        clean(ctrkit("rank", hostile, *label[:2], "-o", folder, *option))
        names = pl.read_csv(folder / "rank.csv")["name"].to_list()
        assert first in names
        assert NAMES["ad"] in names


def test_modes_of_files_follow_the_umask(ctrkit, clicks, tmp_path):
    before = os.umask(0o027)
    try:
        label = ("--label", "click")
        clean(ctrkit("train", clicks, *label, "--model", "lr", "-o", tmp_path / "run", *FAST))
        clean(ctrkit("rank", clicks, *label, "-o", tmp_path / "rank"))
        clean(ctrkit("encode", clicks, *label, "-o", tmp_path / "encoded"))
        clean(ctrkit("predict", tmp_path / "run", clicks, "-o", tmp_path / "p.parquet"))
    finally:
        os.umask(before)
    modes = {(p.is_dir(), p.stat().st_mode & 0o777) for p in tmp_path.rglob("*")}
    assert modes == {(True, 0o750), (False, 0o640)}


BROKEN_PLUGIN = '''
from torch import nn
from ctrkit.registry import interaction

@interaction("{name}", paper="p[/y]\\x1b]0;t\\x07")
class Layer(nn.Module):
    """Su[/z]m\\x1b[2Jmary."""

    def __init__(self, fields: int, dim: int) -> None:
        super().__init__()
        self.out_dim = fields

    def forward(self, x):
        raise ValueError("no[/v]\\x1b[31mt\\u202e today")
'''


@pytest.mark.usefixtures("temporary")
def test_plugins_are_listed_and_checked_as_text(ctrkit, tmp_path):
    plugin = tmp_path / "p[b]\x1b[31m.py"
    plugin.write_text(BROKEN_PLUGIN.replace("{name}", "l[/x]\\x1b[31m"))
    clean_error(ctrkit("list", "--plugin", plugin), "l[/x]\\x1b", "lower-case")
    plugin.write_text(BROKEN_PLUGIN.replace("{name}", "broken"))
    clean(ctrkit("list", "interactions", "--plugin", plugin), "[/y]\\x1b", "Su[/z]m\\x1b")
    listed = ctrkit("list", "interactions", "--plugin", plugin, "--json")
    clean(listed)
    papers = {entry["name"]: entry["paper"] for entry in json.loads(listed.out)}
    assert papers["broken"] == "p[/y]\x1b]0;t\x07"
    checked = ctrkit("check", plugin)
    assert checked.code == 1, checked
    assert "no[/v]\\x1b[31mt" in checked.out + checked.err
    assert not CONTROL.search(checked.out + checked.err)
    (tmp_path / "q[b]\x1b.py").write_text("raise ValueError('a[/c]\\x1b[31m\\nb')")
    for verb in (["list", "--plugin"], ["check"]):
        result = ctrkit(*verb, tmp_path / "q[b]\x1b.py")
        fails_in_one_line(result, "q[b]", "a[/c]")
        assert not CONTROL.search(result.err)
    clean_error(ctrkit("list", "kin[/d]\x1b[31md"), "kin[/d]")
    clean_error(ctrkit("list", "--plugin", tmp_path / "no[/d]\x1b[31m.py"), "no[/d]")


def clean_error(result, *words):
    fails_in_one_line(result, *words)
    assert not CONTROL.search(result.err), result.err


def test_folders_and_stores_are_named_as_text(ctrkit, run_folder, tmp_path, monkeypatch):
    monkeypatch.delenv("CTRKIT_TRACKING_URI")
    monkeypatch.setenv("CTRKIT_HOME", str(tmp_path / "home"))
    run = tmp_path / "r[/x]\x1b[31m\u202eun"
    shutil.copytree(run_folder, run)
    store = "http://127.0.0.1:9/[/s]\x1b[31m"
    synced = ctrkit("sync", run, "--uri", store)  # a warning of the tracker, and the error
    assert "[/s]\\x1b[31m does not answer" in synced.err
    assert not CONTROL.search(synced.err)
    state = {"run_id": "x", "uri": store, "experiment": "e\x1b", "status": "KILLED", "step": 1}
    (run / "tracking.json").write_text(json.dumps(state))
    clean_error(ctrkit("sync", run), "[/s]", "r[/x]")
    clean_error(ctrkit("ui", "--uri", "none"))
    for verb in ("sync", "register", "serve", "report"):
        clean_error(ctrkit(verb, tmp_path / "no[/y]\x1b[31m\u202ene"), "no[/y]")
    clean_error(ctrkit("serve", run, "--host", "h[/z]\x1b[31m"), "h[/z]")
    (run / "layout.json").unlink()
    clean_error(ctrkit("serve", run), "r[/x]")


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("features", "--model", "fm", "--target-ratio", "0.5", "--set=search.epochs=1"),
        ("interactions", "--set=search.epochs=1", "--controls", "none"),
        ("params", "--model", "lr", "--trials", "2"),
        ("params", "--model", "lr", "--trials", "2", "--jobs", "2"),
        ("pipeline", "--model", "fm", "--trials", "1", "--skip", "features,interactions"),
    ],
)
def test_searches_show_names_and_values_as_text(ctrkit, hostile, tmp_path, options):
    out = tmp_path / "s[/x]\x1b[31mearch"
    result = ctrkit("search", *options, hostile, "--label", LABEL, "-o", out, *FAST)
    clean(result, f"{tmp_path}/s[/x]\\x1b[31mearch/report.html")
    for path in [*tmp_path.rglob("*.html"), *tmp_path.rglob("*.md")]:
        assert not CONTROL.search(path.read_text()), path
