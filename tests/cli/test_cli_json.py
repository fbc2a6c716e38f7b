"""``--json``: the result and nothing else on stdout, on every verb that prints one."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
from command_line import FAST

from ctrkit import jobs
from ctrkit.cli.app import VERBS, load_verb

PLUGIN = Path(__file__).parents[1] / "plugins" / "my_cross.py"
QUICK = ("--set=model.dim=4", "--controls", "none", *FAST)
CASES = {
    "schema": (["CLICKS", "--label", "click"], {"file", "schema", "warnings"}),
    "rank": (
        ["CLICKS", "--label", "click", "--order", "2", "--no-report", "-o", "OUT"],
        {"folder", "report", "features", "facts", "kept", "warnings"},
    ),
    "encode": (["CLICKS", "--label", "click", "-o", "OUT"], {"folder", "rows", "warnings"}),
    "train": (
        ["CLICKS", "--label", "click", "--model", "lr", *FAST, "-o", "OUT"],
        {"folder", "report", "tracked", "record"},
    ),
    "evaluate": (["RUN", "CLICKS"], {"rows", "auc", "auc_low", "auc_high", "logloss"}),
    "explain": (["RUN", "CLICKS", "--top", "2", "-o", "OUT"], {"importance", "ablation", "rows"}),
    "predict": (["RUN", "CLICKS", "-o", "OUT.csv"], {"file", "rows"}),
    "report": (["RUN", "-o", "OUT.html"], {"file", "runs"}),
    "list": ([], None),
    "check": ([PLUGIN], None),
    "version": ([], {"ctrkit", "torch", "polars"}),
    "sync": (["RUN", "OUT"], None),
    "register": (["RUN", "--name", "ads"], {"model", "name", "version", "store"}),
}
SEARCH_KEYS = {"folder", "config", "report", "record"}
SEARCH_CASES = {
    "features": ["--model", "fm", "--set=search.epochs=1"],
    "interactions": ["--set=search.epochs=1", "--set=model.mlp.hidden=[4]"],
    "params": ["--model", "fm", "--trials", "1"],
    "pipeline": ["--model", "fm", "--trials", "1", "--skip", "features,interactions"],
}
WITHOUT_RESULT = {"serve", "ui", "demo"}
"""Verbs that serve, or guide: they print lines for people alone."""


def test_every_verb_that_prints_a_result_has_json_and_a_test():
    assert set(VERBS) == {*CASES, *WITHOUT_RESULT, *(f"search {kind}" for kind in SEARCH_CASES)}
    for name in VERBS:
        has_json = "json" in inspect.signature(load_verb(name)).parameters
        assert has_json == (name not in WITHOUT_RESULT), name


@pytest.mark.parametrize("verb", CASES)
def test_json_is_all_that_a_verb_prints(ctrkit, clicks, run_folder, tmp_path, monkeypatch, verb):
    monkeypatch.setattr(jobs, "sync", lambda run, uri=None: 3)  # with a store: tests/track
    monkeypatch.setattr(jobs, "register", lambda run, name, **options: ("sqlite:///x.db", "1"))
    args, keys = CASES[verb]
    texts = {"CLICKS": str(clicks), "RUN": str(run_folder), "OUT": str(tmp_path / "out")}
    for name, text in texts.items():
        args = [str(arg).replace(name, text) for arg in args]
    code, out, err = ctrkit(verb, *args, "--json")
    assert code == 0, err
    result = json.loads(out, parse_constant=pytest.fail)
    if keys is None:
        assert len(result) > 1
        assert all(row.keys() == result[0].keys() for row in result)
    else:
        assert keys <= set(result)


@pytest.mark.parametrize("kind", SEARCH_CASES)
def test_json_is_all_that_a_search_prints(ctrkit, clicks, tmp_path, kind):
    out = tmp_path / "search"
    args = ["search", kind, clicks, "--label", "click", "-o", out, *QUICK, *SEARCH_CASES[kind]]
    code, text, err = ctrkit(*args, "--json")
    assert code == 0, err
    result = json.loads(text, parse_constant=pytest.fail)
    assert set(result) == SEARCH_KEYS
    assert Path(result["config"]).is_file()
    assert Path(result["report"]).is_file()
    assert "test" in json.dumps(result["record"])
    code, again, err = ctrkit(*args)  # finished: reads the record and prints the same as a table
    assert code == 0, err
    assert "test auc" in again
    assert f"ctrkit train {out / 'run.toml'}" in again


def test_errors_stay_on_stderr_with_json(ctrkit, tmp_path):
    code, out, err = ctrkit("evaluate", tmp_path / "nowhere", "rows.csv", "--json")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")


def test_a_failed_check_prints_json_and_exits_with_code_1(ctrkit, tmp_path):
    plugin = tmp_path / "wrong.py"
    plugin.write_text(
        PLUGIN.read_text().replace("my_cross", "wrong").replace("self.out_dim", "self.width")
    )
    code, out, _ = ctrkit("check", plugin, "--json")
    assert code == 1
    assert not all(verdict["ok"] for verdict in json.loads(out))
