"""Folders and files that came from someone else: what they may not make the commands do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import FAST, fails_in_one_line

from ctrkit.errors import RunFolderError
from ctrkit.files import refuse_links

LABEL = ("--label", "click", "--model", "lr")
MY_CROSS = Path(__file__).parents[1] / "plugins" / "my_cross.py"


def plugin_that_marks(path: Path, mark: Path) -> None:
    """Write a plug-in that leaves a mark where it is imported."""
    text = f"from pathlib import Path\nPath({str(mark)!r}).touch()\n"
    path.write_text(text + MY_CROSS.read_text().replace('"my_cross"', f'"{path.stem}"'))


@pytest.fixture
def folder(run_folder, tmp_path, monkeypatch) -> Path:
    """A stranger's copy of a run."""
    monkeypatch.setenv("CTRKIT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CTRKIT_TRACKING_URI")
    return Path(shutil.copytree(run_folder, tmp_path / "strange"))


def edit(path: Path, section: str, **values: object) -> None:
    data = json.loads(path.read_text())
    table = data[section] if section else data
    table.update(values)
    path.write_text(json.dumps(data))
    if path.name != "checksums.json":  # a stranger's would fit, or be absent as in earlier folders
        (path.parent / "checksums.json").unlink(missing_ok=True)


# ---- plug-ins


@pytest.mark.parametrize("name", ["config.json", "run.toml", "own.toml"])
@pytest.mark.parametrize("verb", [("train",), ("search", "params"), ("search", "features")])
def test_plugins_that_a_file_names_need_consent(ctrkit, folder, tmp_path, clicks, verb, name):
    mark, plugin = tmp_path / "mark", folder / "evil.py"
    plugin_that_marks(plugin, mark)
    file = folder / name
    if name == "config.json":
        edit(file, "", plugins=["evil.py"])
    else:
        file.write_text(f'plugins = ["evil.py"]\n[data]\npath = "{clicks}"\n')
    result = ctrkit(*verb, file, *LABEL, "-o", tmp_path / "out")
    fails_in_one_line(result, name, "evil.py", "--trust-plugins")
    assert not mark.exists()


def test_verbs_on_a_folder_run_no_plugin_that_its_configuration_names(
    ctrkit, folder, tmp_path, clicks, monkeypatch
):
    monkeypatch.setenv("CTRKIT_TRACKING_URI", "none")
    mark = tmp_path / "mark"
    plugin_that_marks(folder / "evil.py", mark)
    edit(folder / "config.json", "", plugins=[str(folder / "evil.py")])
    assert ctrkit("predict", folder, clicks, "-o", tmp_path / "p.csv").code == 0
    assert ctrkit("evaluate", folder, clicks).code == 0
    assert ctrkit("report", folder, "-o", tmp_path / "r.html").code == 0
    ctrkit("sync", folder)
    assert not mark.exists()


@pytest.mark.usefixtures("temporary")
@pytest.mark.parametrize("consent", [["--trust-plugins"], ["--plugin", "{plugin}"]])
def test_plugins_run_with_consent(ctrkit, folder, tmp_path, clicks, consent):
    mark, plugin = tmp_path / "mark", tmp_path / "mine.py"
    plugin_that_marks(plugin, mark)
    file = tmp_path / "own.toml"
    file.write_text(f'plugins = ["mine.py"]\n[data]\npath = "{clicks}"\n')
    options = [text.format(plugin=plugin) for text in consent]
    # An error after the import: the training itself is not needed.
    fails_in_one_line(ctrkit("train", file, "--label", "none", *options), "none")
    assert mark.exists()


# ---- stores


@pytest.mark.parametrize("where", ["config.json", "tracking.json", "pending"])
@pytest.mark.parametrize("verb", ["sync", "register"])
def test_a_folder_does_not_choose_the_store(ctrkit, folder, tmp_path, verb, where):
    evil = tmp_path / "evil/mlflow.db"
    uri = f"sqlite:///{evil}"
    state = {"run_id": "x", "uri": uri, "experiment": "e", "status": "KILLED", "step": 1}
    edit(folder / "config.json", "track", uri=uri if where != "tracking.json" else None)
    if where == "tracking.json":
        (folder / "tracking.json").write_text(json.dumps(state))
    if where == "pending":
        (folder / "tracking.json").write_text(json.dumps({"run_id": "", "name": "x"}))
    fails_in_one_line(ctrkit(verb, folder), str(evil), "--uri", "CTRKIT_TRACKING_URI")
    assert not evil.parent.exists()


@pytest.mark.parametrize(
    ("verb", "section", "key"),
    [
        (("train",), "track", "uri"),
        (("search", "features"), "track", "uri"),
        (("search", "params"), "search", "storage"),
        (("search", "pipeline"), "params", "storage"),
    ],
)
@pytest.mark.parametrize("name", ["run.toml", "trials/0001.toml"])
def test_a_file_of_a_job_does_not_choose_the_store(
    ctrkit, folder, tmp_path, clicks, verb, section, key, name
):
    evil = tmp_path / "evil.db"
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    text = f'[{section}]\n{key} = "sqlite:///{evil}"\n[data]\npath = "{clicks}"\n'
    file.write_text(text)
    out = ("-o", tmp_path / "out")
    fails_in_one_line(ctrkit(*verb, file, *LABEL, *out), f"{section}.{key}", str(evil), "--set")
    own = tmp_path / "own.toml"
    own.write_text(text)  # a file of the user's own may choose it
    fails_in_one_line(ctrkit(*verb, own, "--label", "none", *out), "'none'")
    assert not evil.exists()


def test_the_store_of_the_environment_replaces_that_of_a_job(ctrkit, folder, clicks, monkeypatch):
    file = folder / "run.toml"
    file.write_text(f'[track]\nuri = "sqlite:///evil.db"\n[data]\npath = "{clicks}"\n')
    monkeypatch.setenv("CTRKIT_TRACKING_URI", "none")
    fails_in_one_line(ctrkit("train", file, "--label", "none"), "'none'")
    monkeypatch.delenv("CTRKIT_TRACKING_URI")
    fails_in_one_line(ctrkit("train", file, "--label", "none", "--set=track.uri=none"), "'none'")


# ---- links and paths


@pytest.mark.parametrize(
    ("name", "verb"),
    [
        ("record.json", ["sync", "{folder}", "--uri", "sqlite:///{tmp}/mlflow.db"]),
        ("record.json", ["register", "{folder}"]),
        ("report.html", ["train", "{rows}", *LABEL, *FAST, "-o", "{folder}"]),
        ("checkpoint", ["train", "{rows}", *LABEL, *FAST, "-o", "{folder}"]),
        ("checkpoint", ["train", "{rows}", *LABEL, *FAST, "--force", "-o", "{folder}"]),
        ("plugins/evil.py", ["predict", "{folder}", "{rows}", "-o", "{tmp}/p.csv"]),
        ("encoder/encoder.json", ["evaluate", "{folder}", "{rows}"]),
        ("layout.json", ["explain", "{folder}", "{rows}"]),
        ("predictions/test.parquet", ["report", "{folder}", "-o", "{tmp}/r.html"]),
        ("config.json", ["serve", "{folder}"]),
        ("trials", ["search", "params", "{rows}", *LABEL, "-o", "{folder}"]),
        ("rank.json", ["rank", "{rows}", "--label", "click", "--force", "-o", "{folder}"]),
        ("rank.json", ["search", "interactions", "{rows}", *LABEL, "--pairs", "{folder}"]),
    ],
)
def test_a_link_that_leaves_a_folder_is_refused(ctrkit, folder, tmp_path, clicks, name, verb):
    target = tmp_path / "outside"
    target.mkdir()
    (target / "secret").write_text("{}")
    link = folder / name
    link.parent.mkdir(exist_ok=True)
    if link.exists():
        link.unlink()
    link.symlink_to(target if name in ("checkpoint", "trials") else target / "secret")
    words = (str(a).format(folder=folder, rows=clicks, tmp=tmp_path) for a in verb)
    fails_in_one_line(ctrkit(*words), str(link), "leads out of the folder")
    assert [p.name for p in target.iterdir()] == ["secret"]
    assert (target / "secret").read_text() == "{}"


def test_links_within_a_folder_and_to_a_folder_are_followed(folder, tmp_path):
    (folder / "inner").symlink_to("config.json")
    (folder / "loop").symlink_to("loop")
    (tmp_path / "link").symlink_to(folder)
    refuse_links(tmp_path / "link")
    refuse_links(tmp_path / "absent")
    (folder / "up").symlink_to("..")
    with pytest.raises(RunFolderError, match="up' is a link that leads out"):
        refuse_links(tmp_path / "link")


def test_paths_that_leave_a_folder_are_refused(ctrkit, folder, tmp_path, clicks):
    secret = tmp_path / "secret"
    secret.write_text("x")
    edit(folder / "checksums.json", "", **{"../secret": 1})
    result = ctrkit("predict", folder, clicks, "-o", tmp_path / "p.csv")
    fails_in_one_line(result, "checksums.json")
    (folder / "checksums.json").unlink()
    (folder / "plugins").mkdir()
    entry = {"file": "../../secret.py", "sha256": "0"}
    (folder / "plugins/index.json").write_text(json.dumps({"format": 1, "plugins": [entry]}))
    result = ctrkit("predict", folder, clicks, "-o", tmp_path / "p.csv", "--trust-plugins")
    fails_in_one_line(result, "secret.py")


@pytest.mark.parametrize("text", ["[]", "null", '{"x": 1}', '{"metrics": 5, "unseen": [1]}'])
@pytest.mark.parametrize("name", ["record.json", "dataset.json", "config.json", "tracking.json"])
def test_files_of_another_shape_are_one_line(ctrkit, folder, tmp_path, clicks, name, text):
    (folder / "checksums.json").unlink(missing_ok=True)
    (folder / name).write_text(text)
    verbs = [] if name == "dataset.json" else [["report", folder, "-o", tmp_path / "out.html"]]
    if name in ("dataset.json", "config.json"):
        verbs.append(["predict", folder, clicks, "-o", tmp_path / "p.csv"])
    for verb in verbs:
        result = ctrkit(*verb)
        assert result.code in (0, 2), result
        assert "Traceback" not in result.err
        if result.code:
            fails_in_one_line(result)
    train = ("train", clicks, *LABEL, *FAST, "-o", folder, "--set=track.uri=none")
    if name == "record.json":
        fails_in_one_line(ctrkit(*train), "is not the record of a run", "--force")
        fails_in_one_line(ctrkit("sync", folder), "is not the record of a run")


def test_numbers_out_of_range_are_one_line(ctrkit, folder, tmp_path, clicks):
    huge = 10**400
    edit(folder / "dataset.json", "", unseen={"user": huge})
    result = ctrkit("predict", folder, clicks, "-o", tmp_path / "p.csv")
    fails_in_one_line(result, "dataset.json", "shares from 0 to 1")
    lines = [{"logloss": 0.5}, {"step": 1, "logloss": huge}, {"step": 2, "logloss": "x"}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text + "[" * 100_000 + "\n")
    assert ctrkit("report", folder, "-o", tmp_path / "r.html").code == 0
