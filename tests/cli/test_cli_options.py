"""Options and help: declared once, shared by the verbs, described for a new user."""

from __future__ import annotations

import inspect
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated, TypedDict, Unpack, get_type_hints

import pytest
import typer

from ctrkit.cli.app import VERBS, load_verb, make_app, verbs_in
from ctrkit.cli.command import with_shared_options
from ctrkit.cli.options import DataOptions
from ctrkit.cli.search.interactions import parse_bytes
from ctrkit.errors import ConfigError
from ctrkit.runs import inputs


class Group(TypedDict, total=False):
    label: Annotated[str, typer.Option(help="The label.")]
    seed: Annotated[int, typer.Option(help="The seed.")]
    header: Annotated[bool, typer.Option("--header", help="A header.")]
    names: Annotated[list[str], typer.Option(help="Names.")]


def test_a_verb_receives_the_shared_options_that_were_given():
    received = {}

    def verb(data: str, rows: int = 3, **options: Unpack[Group]) -> None:
        """Do something."""
        received.update(options, data=data, rows=rows)

    command = with_shared_options(verb)
    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["data", "rows", "label", "seed", "header", "names"]
    assert [p.default for p in parameters.values()][1:] == [3, None, None, False, None]
    assert command.__doc__ == "Do something."
    command(data="x", rows=4, label=None, seed=0, header=False, names=[])
    assert received == {"data": "x", "rows": 4, "seed": 0}


def test_a_verb_without_shared_options_stays_as_it_is():
    def verb(data: str) -> None:
        """Do something."""

    assert with_shared_options(verb) is verb


def test_the_data_options_are_those_of_the_python_interface():
    assert set(get_type_hints(DataOptions)) == set(get_type_hints(inputs.DataOptions))


@pytest.mark.parametrize("name", VERBS)
def test_help_describes_every_option_and_has_an_example_that_parses(ctrkit, name):
    code, out, _ = ctrkit(*name.split(), "--help")
    assert code == 0
    text = " ".join(out.split())
    assert f"Example: ctrkit {name}" in text
    command = typer.main.get_command(make_app())
    for word in name.split():
        command = command.commands[word]
    for parameter in command.params:
        assert parameter.help, parameter.name
        assert parameter.help.endswith((".", "...")), parameter.name
        assert " ".join(parameter.help.split()) in text.replace("- ", "-"), parameter.name
    example = inspect.getdoc(load_verb(name)).split("Example: ctrkit ")[1]
    command.make_context(name, shlex.split(example)[len(name.split()) :])


def test_only_the_verb_of_the_command_line_is_imported():
    code = "import sys; from ctrkit.cli.app import make_app; make_app('rank'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "ctrkit.cli.rank" in loaded
    assert not {"ctrkit.cli.train", "ctrkit.cli.search", "ctrkit.jobs", "rich"} & loaded


@pytest.mark.parametrize("name", ["encode", "train", "search params"])
def test_help_groups_the_options_in_panels(ctrkit, name):
    _, out, _ = ctrkit(*name.split(), "--help")
    titles = [line for line in out.splitlines() if line.endswith(":") and line[0] != " "]
    expected = ["Arguments:", "Options:", "Data:", "Model and training:"]
    assert titles == expected[: 3 if name == "encode" else 4]
    data = out[out.index("Data:") :]
    assert "--label" in data
    assert "--no-header" in data


def test_names_are_split_at_commas_and_may_be_repeated(ctrkit, clicks, tmp_path):
    out = tmp_path / "schema.toml"
    args = ["--label", "click", "--ignore", "user,site", "--ignore", "time", "-o", out]
    assert ctrkit("schema", clicks, *args).code == 0
    assert not {"user", "site", "time"} & set(Path(out).read_text().split('"'))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("200MB", 200_000_000), ("1.5 gb", 1_500_000_000), ("2KiB", 2048), ("17", 17)],
)
def test_parse_bytes_reads_numbers_with_units(text, expected):
    assert parse_bytes(text) == expected
    with pytest.raises(ConfigError, match="number of bytes"):
        parse_bytes(f"{text}X")


def test_a_verb_is_a_file_of_one_name_in_two_folders(tmp_path):
    for path in ("jobs/fit.py", "jobs/__init__.py", "jobs/hidden.py", "cli/fit.py", "cli/app.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    assert verbs_in(tmp_path / "jobs", tmp_path / "cli") == {"fit": "ctrkit.cli.fit:fit"}


def test_each_verb_is_a_function_of_the_python_interface():
    from ctrkit import jobs

    named = {name.replace(" ", "_") for name in VERBS} - {"list"}  # its data are the registry
    assert {name for name in named if not callable(getattr(jobs, name, None))} <= {"version"}
