"""A search from the verb to its folder: files, resuming, controls, user errors."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from ctrkit import jobs, load
from ctrkit.cli import main
from ctrkit.config.files import load_config
from ctrkit.config.sections import RunConfig
from ctrkit.errors import CtrkitError, RunFolderError
from ctrkit.runs.inputs import open_job
from ctrkit.search import compare
from ctrkit.search.params import job as tuning
from ctrkit.search.params import runner
from ctrkit.search.params.config import ParamsConfig
from ctrkit.search.params.workers import threads_of
from ctrkit.testing.generated import planted_clicks

FAST = [
    "train.epochs=2",
    "train.batch_size=512",
    "model.mlp.hidden=[8]",
    "search.space.model.dim=[2, 4]",
    "search.prune_after=2",
    "search.warmup=0",
]


@pytest.fixture(scope="module")
def clicks(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clicks") / "clicks.parquet"
    planted_clicks(3_000, seed=3)[0].drop("time").write_parquet(path)
    return path


def search(data: Path, out: Path, **options) -> jobs.Search:
    given = {"label": "click", "model": "dnn", "trials": 6, "seed": 0, "set": FAST, **options}
    return jobs.search_params(data, out=out, **given)


@pytest.fixture(scope="module")
def searched(clicks, tmp_path_factory) -> jobs.Search:
    return search(clicks, tmp_path_factory.mktemp("s") / "search", seeds=2)


def test_search_folder_holds_trials_winner_and_report(searched):
    folder, record = searched.folder, searched.record
    frame = pl.read_parquet(folder / "trials.parquet")
    assert frame["trial"].to_list() == list(range(6))
    assert sum(record["counts"][k] for k in ("complete", "pruned", "fail")) == 6
    best = frame.filter(pl.col("state") == "COMPLETE").sort("logloss").row(0, named=True)
    assert record["winner"]["trial"] == best["trial"]
    assert record["winner"]["params"]["train.lr"] == best["param.train.lr"]
    assert len({*frame["config_sha256"]}) == 6
    lines = [json.loads(x) for x in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines] == list(range(1, 7))
    assert [len(rows) for rows in record["rows"].values()] == [2, 2]
    assert len(record["paired"]["before"]) == 2
    page = (folder / "report.html").read_text()
    for words in (
        "History",
        "best 20 %",
        "Hyper-parameters of the winner",
        "not used by any trial",
    ):
        assert words in page
    assert "http" not in page.replace("http://www.w3.org", "")
    kept = [p for p in (folder / "trials").iterdir() if (p / "model.safetensors").exists()]
    assert [int(p.name) for p in kept] == [best["trial"]]


def test_run_toml_trains_the_winner_again(searched, tmp_path):
    again = jobs.train(searched.folder / "run.toml", out=tmp_path / "again")
    places = (
        again.folder,
        searched.folder / "run",
        searched.folder / searched.record["winner"]["folder"],
    )
    weights = [(f / "model.safetensors").read_bytes() for f in places]
    assert weights[0] == weights[1] == weights[2]
    assert again.record.config_sha256 == searched.record["winner"]["config_sha256"]
    text = (searched.folder / "run.toml").read_text()
    assert "search" not in text
    assert isinstance(load_config(searched.folder / "run.toml"), RunConfig)


def test_equal_search_is_reused_longer_one_resumes_other_one_is_refused(searched, clicks):
    ended = {p.name: p.read_bytes() for p in (searched.folder / "trials").glob("*.json")}
    again = search(clicks, searched.folder, seeds=2)
    for part in ("winner", "counts", "rows", "paired"):
        assert again.record[part] == searched.record[part]
    with pytest.raises(RunFolderError, match="holds another search"):
        search(clicks, searched.folder, set=[*FAST, "train.micro_batch=64"])
    longer = search(clicks, searched.folder, trials=7, controls="none")
    assert pl.read_parquet(searched.folder / "trials.parquet").height == 7
    now = {p.name: p.read_bytes() for p in (searched.folder / "trials").glob("*.json")}
    assert {k: now[k] for k in ended} == ended
    assert longer.run.folder == searched.folder / "run"


@pytest.mark.slow
def test_several_objectives_give_a_pareto_set_of_files(clicks, tmp_path):
    found = search(
        clicks,
        tmp_path / "s",
        trials=5,
        objectives=["auc", "bytes", "latency"],
        controls="none",
        set=[
            *FAST[:3],
            "search.space.model.dim={low = 1, high = 32, log = true}",
            "search.space.model.rows={low = 10, high = 500, when = {\"model.table\" = 'hashed'}}",
        ],
    )
    front = found.record["front"]
    assert {m["trial"] for m in front} == {
        int(p.stem) for p in (tmp_path / "s" / "pareto").glob("*.toml")
    }
    for a in front:
        for b in front:
            pairs = [(a["values"][k], b["values"][k]) for k in ("bytes", "latency")]
            auc = (-a["values"]["auc"], -b["values"]["auc"])
            assert a is b or any(x < y for x, y in [auc, *pairs])
    assert found.record["winner"]["values"]["auc"] == max(m["values"]["auc"] for m in front)
    path = tmp_path / "s" / "pareto" / f"{front[-1]['trial']:04d}.toml"
    run = jobs.train(path, out=tmp_path / "again")
    assert (run.folder / "model.safetensors").stat().st_size == front[-1]["values"]["bytes"]
    assert "Pareto" in (tmp_path / "s" / "report.html").read_text()


def test_failed_trial_is_recorded_and_the_search_continues(clicks, tmp_path):
    found = search(
        clicks,
        tmp_path / "s",
        trials=4,
        controls="none",
        sampler="random",
        set=[*FAST, "search.space.train.lr=[0.001, 1e30]", "search.keep=all"],
    )
    frame = pl.read_parquet(tmp_path / "s" / "trials.parquet")
    failed = frame.filter(pl.col("state") == "FAIL")
    assert 0 < failed.height < 4
    assert all("train.lr" in text for text in failed["failure"])
    assert "Failed trials" in (tmp_path / "s" / "report.html").read_text()
    assert found.record["winner"]["params"]["train.lr"] == 0.001
    kept = [p for p in (tmp_path / "s/trials").iterdir() if (p / "model.safetensors").exists()]
    assert len(kept) == 4 - failed.height
    with pytest.raises(CtrkitError, match="all failed"):
        search(clicks, tmp_path / "t", set=[*FAST, "search.space.train.lr=[1e30, 1e31]"])


def test_layer_that_raises_fails_only_its_trial(clicks, tmp_path, monkeypatch):
    whole, calls = runner.run_training, []

    def train(config, *args, **options):
        calls.append(config)
        if len(calls) == 2:
            raise ValueError("rank must be a multiple of 4")
        return whole(config, *args, **options)

    monkeypatch.setattr(runner, "run_training", train)
    search(clicks, tmp_path / "s", trials=3, controls="none")
    frame = pl.read_parquet(tmp_path / "s" / "trials.parquet")
    assert frame["state"].to_list() == ["COMPLETE", "FAIL", "COMPLETE"]
    assert frame["failure"][1] == "ValueError: rank must be a multiple of 4"
    note = json.loads((tmp_path / "s/trials/0001.json").read_text())
    assert "multiple of 4" in note["traceback"]


def test_full_disk_stops_the_search_without_failing_a_trial(clicks, tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(runner, "run_training", full)
        with pytest.raises(OSError, match="No space"):
            search(clicks, tmp_path / "s", trials=2, controls="none")
    found = search(clicks, tmp_path / "s", trials=2, controls="none")
    assert found.record["counts"]["complete"] == 2


def test_force_restarts_a_search_of_failed_trials(clicks, tmp_path, monkeypatch):
    def fail(*args, **options):
        raise CtrkitError("the layer is not ready")

    with monkeypatch.context() as patch:
        patch.setattr(runner, "run_training", fail)
        with pytest.raises(CtrkitError, match=r"2 of 2 failed: the layer is not ready .*--force"):
            search(clicks, tmp_path / "s", trials=2)
    with pytest.raises(CtrkitError, match="not ready"):
        search(clicks, tmp_path / "s", trials=2)
    found = search(clicks, tmp_path / "s", trials=2, controls="none", force=True)
    assert found.record["counts"] == {"complete": 2, "pruned": 0, "fail": 0, "retries": 0}


def test_copies_of_the_data_share_one_study(clicks, tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    for machine in ("a", "b"):
        (tmp_path / machine).mkdir()
        shutil.copyfile(clicks, tmp_path / machine / "rows.parquet")
    numbers = [
        search(
            tmp_path / machine / "rows.parquet",
            tmp_path / machine / "s",
            trials=trials,
            storage=storage,
            controls="none",
            set=[*FAST, "search.pruner=none"],
        ).record["counts"]["complete"]
        for machine, trials in (("a", 2), ("b", 3))
    ]
    assert numbers == [2, 3], "the second machine found two of its three"
    here, there = (pl.read_parquet(tmp_path / m / "s" / "trials.parquet") for m in ("a", "b"))
    assert there["logloss"].to_list()[:2] == here["logloss"].to_list()
    shutil.copyfile(clicks, tmp_path / "b" / "more.parquet")
    other = search(
        tmp_path / "b" / "*.parquet",
        tmp_path / "c",
        trials=2,
        storage=storage,
        controls="none",
        set=[*FAST, "search.pruner=none"],
    )
    assert len(pl.read_parquet(other.folder / "trials.parquet")) == 2, "other rows, other study"


def test_search_folder_stands_for_its_winner(searched, clicks, tmp_path):
    frame = pl.read_parquet(clicks).head(5)
    ours = load(searched.folder).predict(frame)
    assert (ours == load(searched.folder / "run").predict(frame)).all()
    jobs.report([searched.folder], out=tmp_path / "r.html")
    jobs.report([searched.folder, searched.folder / "run"], out=tmp_path / "two.html")
    assert "Comparison of 2 runs" in (tmp_path / "two.html").read_text()
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "search.json").write_text("{}")
    with pytest.raises(RunFolderError, match="is not finished"):
        load(tmp_path / "s")


@pytest.mark.parametrize(("low", "told"), [(0.001, True), (-0.001, False)])
def test_warning_if_the_initial_configuration_is_significantly_better(
    clicks, tmp_path, monkeypatch, low, told
):
    paired_test = compare.paired_test

    def tested(folder, theirs, ours, split="test"):
        test = paired_test(folder, theirs, ours, split)
        return replace(test, low=low) if split == "validation" else test

    monkeypatch.setattr(compare, "paired_test", tested)
    found = search(clicks, tmp_path / "s", trials=1)
    named = [w for w in found.record["warnings"] if "the configuration before the search" in w]
    assert bool(named) == told


def test_error_about_another_search_names_what_differs(searched, clicks):
    with pytest.raises(RunFolderError, match=r"another search \(different configuration\)"):
        search(clicks, searched.folder, seed=7)


def test_workers_share_the_cores_and_latency_with_workers_warns(clicks, tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    settings = ["model.name=dnn", f'data.path="{clicks}"', 'search.objectives=["auc", "latency"]']
    made = []
    for jobs_, threads in ((1, 0), (3, 0), (3, 5)):
        more = [f"search.jobs={jobs_}", f"search.threads={threads}"]
        config = load_config(overrides=[*settings, *more], kind=ParamsConfig)
        rows = open_job(config.data, {"label": "click"})
        made.append(tuning.ParamsJob(config, rows, tmp_path / "s"))
    assert [threads_of(job.search) for job in made] == [8, 2, 5]
    assert [any("latency" in w for w in job.warnings) for job in made] == [False, True, True]


def test_timeout_counts_over_resumes(clicks, tmp_path):
    with pytest.raises(CtrkitError, match=r"search\.timeout"):
        search(clicks, tmp_path / "s", timeout=1e-6)
    found = search(clicks, tmp_path / "s", trials=2, timeout=300, controls="none")
    assert found.record["seconds"] > 0
    with (tmp_path / "s" / "clock.json").open("w") as file:
        json.dump({"seconds": 1e9}, file)
    again = search(clicks, tmp_path / "s", trials=9, timeout=300, controls="none")
    assert again.record["counts"] == found.record["counts"]


@pytest.mark.slow
def test_hyper_parameters_of_the_feature_search(clicks, tmp_path):
    found = search(
        clicks,
        tmp_path / "s",
        trials=2,
        over="features",
        model="fm",
        controls="none",
        set=[*FAST[:2], "search.inner.epochs=1", "search.space.search.penalty=[0.01, 0.02]"],
    )
    assert {"run.toml", "features.parquet", "encoder", "run"} <= {
        p.name for p in found.folder.iterdir()
    }
    assert found.record["winner"]["params"]["search.penalty"] in (0.01, 0.02)
    again = jobs.train(found.folder / "run.toml", out=tmp_path / "again")
    assert again.record.metrics["test"] == found.run.record.metrics["test"]


@pytest.mark.slow
def test_hyper_parameters_of_the_interaction_search(clicks, tmp_path):
    found = search(
        clicks,
        tmp_path / "s",
        trials=2,
        over="interactions",
        model="optinter",
        controls="none",
        set=[*FAST[:3], "search.inner.epochs=1"],
        ignore=["user", "ad", "age", "price"],
    )
    assert {"run.toml", "pairs.json", "run"} <= {p.name for p in found.folder.iterdir()}
    assert "search.gate_lr" in found.record["winner"]["params"]
    again = jobs.train(found.folder / "run.toml", out=tmp_path / "again")
    assert again.record.metrics["test"] == found.run.record.metrics["test"]
    more = jobs.search_params(
        found.folder / "run.toml",
        out=tmp_path / "t",
        trials=2,
        controls="none",
        set=["search.derive=false", "search.space.train.lr=[0.001, 0.01]"],
    )
    assert (more.folder / "pairs.json").read_text() == (found.folder / "pairs.json").read_text()
    jobs.train(more.folder / "run.toml", out=tmp_path / "once-more")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"set": ["search.trails=3"]}, "did you mean 'trials'"),
        ({"set": ["search.space.train.rl=[1]"]}, r"train\.rl"),
        ({"interactions": ["crosnet"]}, "did you mean 'crossnet'"),
        ({"model": "deepfn"}, "did you mean 'deepfm'"),
        ({"sampler": "tp"}, r"search\.sampler"),
        ({"objectives": ["logloss", "bytes"], "pruner": "median"}, "several objectives"),
        ({"controls": "some"}, "controls must be one of"),
        ({"seeds": 0}, "at least 1"),
        ({"over": "pairs"}, r"search\.over"),
        ({"set": ["train.device=cude"]}, r"train\.device"),
        ({"set": ["data.label=click"]}, "--label"),
        ({"objectives": ["auc", "auc"]}, "each once$"),
        ({"storage": "sqlite:///one.db", "set": ["track.uri=sqlite:///one.db"]}, "one database"),
    ],
    ids=str,
)
def test_user_errors_leave_no_folder(clicks, tmp_path, options, message):
    with pytest.raises(CtrkitError, match=message):
        search(clicks, tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()


def test_foreign_files_are_kept(clicks, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match=r"notes\.txt"):
        search(clicks, tmp_path / "s", force=True)


def test_command_prints_the_result(clicks, tmp_path, capsys, monkeypatch):
    out = tmp_path / "s"
    file = tmp_path / "search.toml"
    shutil.copy(clicks, tmp_path / "clicks.parquet")
    file.write_text(
        '[data]\npath = "clicks.parquet"\n[model]\nname = "fm"\n[train]\nepochs = 1\n'
        '[search]\ntrials = 9\n[search.space]\n"train.lr" = {low = 0.001, high = 0.1, log = true}\n'
    )
    args = [
        "ctrkit",
        "search",
        "params",
        str(file),
        "--label",
        "click",
        "-o",
        str(out),
        "--trials",
        "2",
        "--interactions",
        "fm,linear",
        "--controls",
        "none",
    ]
    monkeypatch.setattr("sys.argv", args)
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    said, told = capsys.readouterr()
    assert f"ctrkit train {out / 'run.toml'}" in said
    assert "2 complete" in said
    warned = [line for line in told.splitlines() if line.startswith("warning: ")]
    assert len(warned) == len(set(warned)), "what every trial repeats is told once"
    assert "step " not in told, "single trainings speak in their folders"
    assert "use.fm" in (out / "record.json").read_text()
