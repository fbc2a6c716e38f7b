"""The rules of the house that a machine can hold: who imports whom, what is never written."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ctrkit"
FILES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted(p for d in ("datasets", "experiments") for p in (ROOT / d).rglob("*.py"))

LEVELS = {
    "errors": 0,
    "files": 0,
    "schema": 0,
    "layout": 0,
    "records": 0,
    "components": 0,
    "registry": 0,
    "config": 1,
    "metrics": 1,
    "data": 1,
    "nn": 1,
    "rank": 2,
    "models": 2,
    "bundle": 3,
    "train": 4,
    "evaluate": 4,
    "track": 5,
    "report": 5,
    "runs": 6,
    "search": 7,
    "testing": 7,
    "jobs": 8,
    "cli": 9,
    "__main__": 10,
    "__init__": 11,  # the package's face: jobs and load on first use; the last test keeps it light
}
"""Package -> level; a package imports itself and lower levels (level 0: also each other)."""

ONLY_IN = {
    "torch": {"nn", "models", "bundle", "train", "evaluate", "testing", "runs", "search"},
    "mlflow": {"track"},
    "optuna": {"search"},
    "polars_hash": {"data/hashing.py"},
    "typer": {"cli"},
    "rich": {"cli"},
}
"""Library -> the rooms or files that may import it."""

"""Library -> rooms that import it inside functions only."""

PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
HEAVY = ("torch", "mlflow", "polars", "optuna", "matplotlib")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def imports(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Every imported module, wherever in the file; ``from ctrkit import x`` gives ``ctrkit.x``."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{place(path, node)}: relative import"
            module = node.module or ""
            if module == "ctrkit":
                yield from ((node, f"ctrkit.{alias.name}") for alias in node.names)
            else:
                yield node, module


def calls(path: Path) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def test_every_room_has_a_level() -> None:
    assert {room(path) for path in FILES} <= set(LEVELS)


def test_rooms_import_lower_levels_only() -> None:
    upward = []
    for path in FILES:
        own = room(path)
        for node, module in imports(path):
            if module == "ctrkit.__version__":
                continue
            other = module.split(".")[1] if module.startswith("ctrkit.") else own
            other = other if other in LEVELS else "__init__"  # e.g. from ctrkit import Range
            if other == own or LEVELS[other] < LEVELS[own] or LEVELS[own] == LEVELS[other] == 0:
                continue
            upward.append(f"{place(path, node)}: {own} ({LEVELS[own]}) imports {module}")
    assert upward == []


def test_libraries_stay_in_their_rooms() -> None:
    strays = []
    for path in FILES:
        own = {room(path), path.relative_to(PACKAGE).as_posix()}
        for node, module in imports(path):
            allowed = ONLY_IN.get(module.split(".")[0])
            if allowed is not None and not own & allowed:
                strays.append(f"{place(path, node)}: {module} belongs in {sorted(allowed)}")
    assert strays == []


def test_no_eval_exec_pickle_or_print() -> None:
    found = []
    for path in [*FILES, *SCRIPTS]:
        may_print = path in SCRIPTS or path == PACKAGE / "cli.py"
        for call, name in calls(path):
            if name in ("eval", "exec", "compile", "__import__") or (
                name == "print" and not may_print
            ):
                found.append(f"{place(path, call)}: {name}()")
            if name == "torch.load" and "weights_only=True" not in ast.unparse(call):
                found.append(f"{place(path, call)}: torch.load without weights_only=True")
        for node, module in imports(path):
            if module.split(".")[0] in PICKLES:
                found.append(f"{place(path, node)}: {module}")
    assert found == []


def test_no_bare_except() -> None:
    bare = [
        place(path, node)
        for path in [*FILES, *SCRIPTS]
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert bare == []


def test_public_constructors_name_their_parameters() -> None:
    starred = [
        f"{place(path, node)}: {cls.name}.__init__(**{node.args.kwarg.arg})"
        for path in FILES
        for cls in ast.walk(tree(path))
        if isinstance(cls, ast.ClassDef) and not cls.name.startswith("_")
        for node in cls.body
        if isinstance(node, ast.FunctionDef) and node.name == "__init__" and node.args.kwarg
    ]
    assert starred == []


def test_no_room_for_leftovers() -> None:
    names = {part.removesuffix(".py") for path in FILES for part in path.relative_to(ROOT).parts}
    assert not names & {"utils", "util", "helpers", "misc", "common"}


def test_data_sets_and_experiments_are_no_packages() -> None:
    """With an ``__init__.py``, ``import datasets`` of Hugging Face would break from here."""
    assert [p for d in ("datasets", "experiments") for p in (ROOT / d).rglob("__init__.py")] == []


def test_the_tests_mirror_the_package() -> None:
    rooms = {p.name for p in PACKAGE.iterdir() if any(p.glob("*.py"))}
    modules = {p.stem for p in PACKAGE.glob("*.py")}
    besides = {"datasets", "experiments", "golden", "conformance", "plugins"}
    folders = {p.name for p in (ROOT / "tests").iterdir() if any(p.rglob("test_*.py"))}
    assert folders <= rooms | modules | besides
    files = {p.stem for p in (ROOT / "tests").glob("test_*.py")}
    bare = [r for r in sorted(rooms) if r not in folders and f"test_{r}" not in files]
    assert bare == [], "rooms without tests"


@pytest.mark.parametrize("module", ["ctrkit", "ctrkit.cli"])
def test_importing_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*[m for m in {HEAVY} if m in sys.modules])"
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
