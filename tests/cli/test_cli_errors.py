"""Wrong input to the command line: one line on stderr, exit code 2, nothing left behind."""

from __future__ import annotations

import polars as pl
import pytest
from command_line import FAST, fails_in_one_line


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--label", "clik"), ("clik", "click")),
        ((), ("--label",)),
        (("--label", "click", "--model", "autoin"), ("autoin", "autoint")),
        (("--label", "click", "--set", "train.lrr=1"), ("train.lrr", "lr")),
        (("--label", "click", "--set", "train.lr=-1"), ("train.lr",)),
        (("--label", "click", "--set", "nonsense"), ("--set",)),
        (("--label", "click", "--numeric", "sight"), ("sight",)),
        (("--label", "click", "--schema", "nowhere.toml"), ("nowhere.toml",)),
        (("--label", "click", "--set", "train.device=cuda:9x"), ("train.device",)),
        (("--label", "click", "--set", "model.mlp.hidden=[4]"), ("mlp",)),
    ],
)
def test_a_wrong_option_is_a_one_line_error_and_writes_nothing(
    ctrkit, clicks, tmp_path, args, words
):
    run = tmp_path / "run"
    fails_in_one_line(ctrkit("train", clicks, "-o", run, *args), *words)
    assert not run.exists()


GOOD = "click,site,price\n" + "".join(f"{i % 2},s{i % 7},{i / 10}\n" for i in range(60))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("empty.csv", "", ("empty.csv",)),
        ("header.csv", "click,site\n", ("header.csv",)),
        ("one_class.csv", GOOD.replace("\n1,", "\n0,"), ("click",)),
        ("nulls.csv", GOOD + ",s1,0.5\n", ("click",)),
        ("three.csv", GOOD + "2,s1,0.5\n", ("click", "2")),
        ("ragged.csv", GOOD + "1,s1\n", ("ragged.csv", "62")),
        ("long.csv", GOOD + "1,s1,0.5,9\n", ("long.csv", "62")),
        ("broken.parquet", "PAR1 nonsense", ("broken.parquet",)),
        ("missing.csv", None, ("missing.csv",)),
    ],
)
def test_a_bad_data_file_is_a_one_line_error_and_writes_nothing(
    ctrkit, tmp_path, name, text, words
):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    run = tmp_path / "run"
    fails_in_one_line(ctrkit("train", path, "--label", "click", "-o", run), *words)
    assert not run.exists()


def test_a_column_whose_type_changes_between_files_is_an_error(ctrkit, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    pl.DataFrame({"click": [0, 1] * 20, "x": ["a"] * 40}).write_parquet(folder / "a.parquet")
    pl.DataFrame({"click": [0, 1] * 20, "x": [1.5] * 40}).write_parquet(folder / "b.parquet")
    run = tmp_path / "run"
    fails_in_one_line(ctrkit("train", folder, "--label", "click", "-o", run), "x", "b.parquet")
    assert not run.exists()


def test_other_files_in_the_output_folder_are_not_touched(ctrkit, clicks, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "thesis.txt").write_text("years of work")
    args = ("train", clicks, "--label", "click", "-o", run, *FAST)
    fails_in_one_line(ctrkit(*args), "thesis.txt")
    fails_in_one_line(ctrkit(*args, "--force"), "thesis.txt")
    assert (run / "thesis.txt").read_text() == "years of work"


def test_rank_errors_are_one_line(ctrkit, clicks, tmp_path):
    args = ("rank", clicks, "--label", "click", "-o", tmp_path / "r")
    fails_in_one_line(ctrkit(*args, "--score", "gian"), "gian", "did you mean 'gain'")
    fails_in_one_line(ctrkit("rank", clicks, "-o", tmp_path / "r"), "--label")
    fails_in_one_line(
        ctrkit(*args[:2], "--label", "user", "-o", tmp_path / "r"), "at most 64 classes"
    )
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted; re-run the same command to resume"),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
    ],
    ids=["interrupt", "disk"],
)
def test_an_interrupt_and_a_full_disk_are_one_line(ctrkit, monkeypatch, error, code, message):
    from ctrkit import jobs

    def stop(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(jobs, "train", stop)
    result = ctrkit("train", "rows.parquet")
    assert result.code == code
    assert result.err.strip().endswith(message)
    assert len(result.err.strip().splitlines()) == 1


WITH_DATA = ["schema", "rank", "encode", "train"]
SEARCHES = ["search features", "search interactions", "search params", "search pipeline"]
WITH_RUN = ["evaluate", "explain", "predict"]
OTHERS = ["report", "sync", "ui", "serve", "register", "list", "check", "demo", "version"]


@pytest.mark.parametrize("verb", [*WITH_DATA, *SEARCHES, *WITH_RUN, *OTHERS])
def test_an_unknown_option_is_a_one_line_error(ctrkit, verb):
    fails_in_one_line(ctrkit(*verb.split(), "--foo"), "no such option: --foo", f"{verb} --help")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["trian"], ("no such command 'trian'", "'train'", "ctrkit --help")),
        (["search", "feature"], ("no such command 'feature'", "'features'")),
        (["rank"], ("missing argument 'DATA'", "rank --help")),
        (["evaluate", "run"], ("missing argument 'DATA'",)),
        (["check"], ("missing argument 'FILE'",)),
        (["train", "rows.csv", "--seed", "one"], ("--seed",)),
        (["rank", "rows.csv", "--order", "3"], ("--order",)),
        (["demo", "--rows", "10"], ("--rows",)),
        (["train", "rows.csv", "more.csv"], ("more.csv",)),
    ],
)
def test_a_usage_error_is_one_line(ctrkit, args, words):
    fails_in_one_line(ctrkit(*args), *words)


@pytest.mark.parametrize("args", [[], ["search"]])
def test_help_is_printed_where_no_verb_is_given(ctrkit, args):
    code, out, err = ctrkit(*args)
    assert code == 2
    assert out == ""
    assert "Commands:" in err


@pytest.mark.parametrize("verb", [*WITH_DATA, *SEARCHES])
def test_missing_data_is_a_one_line_error(ctrkit, tmp_path, verb):
    out = tmp_path / "out"
    args = [*verb.split(), tmp_path / "nowhere.csv", "--label", "click", "-o", out]
    fails_in_one_line(ctrkit(*args), "nowhere.csv")
    assert not out.exists()


@pytest.mark.parametrize("verb", [*WITH_DATA, *SEARCHES])
def test_an_unknown_column_is_a_one_line_error(ctrkit, clicks, tmp_path, verb):
    out = tmp_path / "out"
    args = [*verb.split(), clicks, "--label", "click", "--numeric", "pricy", "-o", out]
    fails_in_one_line(ctrkit(*args), "pricy", "did you mean 'price'")
    assert not out.exists()


@pytest.mark.parametrize("verb", ["rank", "encode", "train", *SEARCHES, "demo"])
def test_an_output_folder_that_is_a_file_is_a_one_line_error(ctrkit, clicks, tmp_path, verb):
    out = tmp_path / "file"
    out.write_text("years of work")
    args = [] if verb == "demo" else [clicks, "--label", "click", *FAST]
    fails_in_one_line(ctrkit(*verb.split(), *args, "-o", out), str(out), "file")
    assert out.read_text() == "years of work"


@pytest.mark.parametrize("verb", ["rank", "encode", "train", *SEARCHES])
def test_an_output_folder_with_other_files_is_a_one_line_error(ctrkit, clicks, tmp_path, verb):
    out = tmp_path / "folder"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    args = [*verb.split(), clicks, "--label", "click", *FAST, "-o", out]
    fails_in_one_line(ctrkit(*args), str(out))
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("verb", "name"),
    [
        ("schema", "schema.toml"),
        ("predict", "scores.parquet"),
        ("report", "report.html"),
    ],
)
def test_an_output_file_that_exists_is_a_one_line_error(
    ctrkit, clicks, run_folder, tmp_path, verb, name
):
    args = {"schema": [clicks], "predict": [run_folder, clicks], "report": [run_folder]}[verb]
    assert ctrkit(verb, *args, "-o", tmp_path / name).code == 0
    fails_in_one_line(ctrkit(verb, *args, "-o", tmp_path / name), name, "--force")
    assert ctrkit(verb, *args, "-o", tmp_path / name, "--force").code == 0
    absent = tmp_path / "absent" / name
    fails_in_one_line(ctrkit(verb, *args, "-o", absent), str(absent.parent), "does not exist")


@pytest.mark.parametrize("verb", [*WITH_RUN, "report", "sync", "serve", "register"])
@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_a_run_that_is_none_is_a_one_line_error(ctrkit, clicks, tmp_path, verb, kind):
    run = tmp_path / "run"
    if kind == "empty":
        run.mkdir()
    elif kind == "file":
        run.write_text("no run")
    args = [run, clicks] if verb in WITH_RUN else [run]
    fails_in_one_line(ctrkit(verb, *args), str(run))


@pytest.mark.parametrize("verb", WITH_RUN)
def test_wrong_data_for_a_run_is_a_one_line_error(ctrkit, run_folder, tmp_path, verb):
    pl.DataFrame({"click": [0, 1], "other": [1, 2]}).write_parquet(tmp_path / "other.parquet")
    out = ["-o", tmp_path / "out.csv"] if verb == "predict" else []
    args = [verb, run_folder, tmp_path / "nowhere.csv", *out]
    fails_in_one_line(ctrkit(*args), "nowhere.csv")
    fails_in_one_line(ctrkit(verb, run_folder, tmp_path / "other.parquet", *out), "user")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["list", "modles"], ("'modles'", "did you mean 'models'")),
        (["list", "--plugin", "nowhere.py"], ("nowhere.py",)),
        (["check", "nowhere.py"], ("nowhere.py",)),
        (["ui"], ("CTRKIT_TRACKING_URI",)),
        (["search", "interactions", "--budget", "lots"], ("--budget must be", "'lots'")),
        (["search", "params", "nowhere.toml"], ("nowhere.toml",)),
        (["train", "nowhere.toml"], ("nowhere.toml",)),
        (["train"], ("no data",)),
    ],
)
def test_other_wrong_input_is_a_one_line_error(ctrkit, monkeypatch, tmp_path, args, words):
    monkeypatch.chdir(tmp_path)
    fails_in_one_line(ctrkit(*args), *words)
    assert list(tmp_path.iterdir()) == []


def test_a_plugin_with_a_fault_is_a_one_line_error(ctrkit, tmp_path):
    plugin = tmp_path / "broken.py"
    plugin.write_text("import nowhere_to_be_found\n")
    fails_in_one_line(ctrkit("check", plugin), "broken.py", "nowhere_to_be_found")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["check", "FILE.txt"], ("must be a .py file",)),
        (["list", "--plugin", "FILE.txt"], ("must be a .py file",)),
        (["train", "CLICKS", "--schema", "FILE.toml"], ("is not valid TOML",)),
        (["train", "FILE.toml"], ("cannot be read",)),
        (["search", "params", "FILE.toml"], ("cannot be read",)),
    ],
)
def test_a_binary_file_in_place_of_a_text_file_is_a_one_line_error(
    ctrkit, clicks, tmp_path, args, words
):
    args = [arg.replace("FILE", str(tmp_path / "x")).replace("CLICKS", str(clicks)) for arg in args]
    for suffix in (".txt", ".toml"):
        (tmp_path / f"x{suffix}").write_bytes(clicks.read_bytes())
    fails_in_one_line(ctrkit(*args), str(tmp_path / "x"), *words)
