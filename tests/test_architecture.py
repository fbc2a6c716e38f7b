"""The rules of the house that a machine can hold: who imports whom, what is never written."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ctrkit"
FILES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted(p for d in ("datasets", "experiments") for p in (ROOT / d).rglob("*.py"))

LEVELS = {
    "errors": 0,
    "files": 0,
    "checksums": 0,
    "printable": 0,
    "secrets": 0,
    "version": 0,
    "schema": 0,
    "layout": 0,
    "locks": 0,
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

WRITES = {
    *("write_text", "write_bytes", "write_parquet", "write_csv", "write_ipc", "pq.write_table"),
    *("save_file", "json.dump", "np.save", "np.savez", "torch.save", "open", "tofile"),
    *("CSVWriter", "ParquetWriter", "copyfile", "copytree"),
}
"""Calls that write files: methods by their last name, functions by their last two."""
MAY_WRITE = {
    "data/encode/state.py:save_tables": "fills the folder that Encoder.save renames as a whole",
    "data/encode/cross_keys.py:save_crosses": "fills a folder that is renamed as a whole",
    "data/read/sources.py:fingerprint": "writes to memory",
    "runs/ranking.py:_write": "fills a hidden folder whose files are then renamed",
    "testing/models.py:_round_trip": "writes to a temporary folder",
    "testing/splits.py:_write": "writes to a temporary folder",
    "testing/scores.py:_merging": "writes to a temporary folder",
    "bundle/predictor.py:_writer": "is given the path of atomic_path",
    "train/checkpoint.py:save_checkpoint": "renamed after fsync, which atomic_path does without",
    "train/journal.py:append": "appends a line to a journal",
    "train/journal.py:truncate": "truncates the journal to the checkpoint",
    "search/params/history.py:_write": "appends a line to a journal",
    "search/params/workers.py:_start": "appends to a log",
}
"""``file:function`` -> why it may write without ``ctrkit.files``."""

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
            if module.split(".")[0] != "ctrkit":
                continue
            other = module.partition(".")[2].split(".")[0]  # none of `import ctrkit`
            other = other if other in LEVELS else "__init__"  # e.g. from ctrkit import Range
            if other == own or LEVELS[other] < LEVELS[own] or LEVELS[own] == LEVELS[other] == 0:
                continue
            upward.append(f"{place(path, node)}: {own} ({LEVELS[own]}) imports {module}")
    assert upward == []


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def test_no_files_import_each_other() -> None:
    """Directly or in a circle; imports in functions and for type checkers count too."""
    modules = {module_of(path): path for path in FILES}
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        targets = set()
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                targets |= {n if n in modules else node.module for n in names}
            elif isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
        graph[name] = (targets & modules.keys()) - {name}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_no_formatting_islands() -> None:
    """``# fmt: skip`` is for tables of numbers."""
    words = []
    for path in [*FILES, *SCRIPTS, *sorted((ROOT / "tests").rglob("*.py"))]:
        lines = path.read_text(encoding="utf-8").splitlines()
        skipped = {n for n, line in enumerate(lines, 1) if line.endswith("# fmt: " + "skip")}
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.stmt) and node.end_lineno in skipped:
                inner = list(ast.walk(node))
                numbers = sum(
                    isinstance(n, ast.Constant) and isinstance(n.value, int | float) for n in inner
                )
                if numbers < 10:
                    words.append(place(path, node))
    assert words == []


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
        may_print = path in SCRIPTS
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
    besides = {"datasets", "experiments", "golden", "conformance", "plugins", "properties"}
    folders = {p.name for p in (ROOT / "tests").iterdir() if any(p.rglob("test_*.py"))}
    assert folders <= rooms | modules | besides
    files = {p.stem for p in (ROOT / "tests").glob("test_*.py")}
    bare = [r for r in sorted(rooms) if r not in folders and f"test_{r}" not in files]
    assert bare == [], "rooms without tests"


def writing_calls(module: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Yield ``function, call`` of each call that writes to a path that is not an atomic one."""

    def walk(
        node: ast.AST, function: str, atomic: frozenset[str]
    ) -> Iterator[tuple[str, ast.Call]]:
        if isinstance(node, ast.FunctionDef):
            function = node.name
        if isinstance(node, ast.With):
            atomic |= {
                item.optional_vars.id
                for item in node.items
                if isinstance(item.context_expr, ast.Call)
                and ast.unparse(item.context_expr.func) in ("atomic_path", "atomic_folder")
                and isinstance(item.optional_vars, ast.Name)
            }
            atomic |= {  # with atomic_path(path) as beside, beside.open("wb") as file
                item.optional_vars.id
                for item in node.items
                if isinstance(item.optional_vars, ast.Name) and names(item.context_expr) & atomic
            }
        if isinstance(node, ast.Call) and writes(node) and not names(node) & atomic:
            yield function, node
        for child in ast.iter_child_nodes(node):
            yield from walk(child, function, atomic)

    def names(node: ast.AST) -> set[str]:
        return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}

    def writes(call: ast.Call) -> bool:
        *owner, name = ast.unparse(call.func).split(".")
        if name == "open":
            modes = [
                a.value
                for a in (*call.args, *(k.value for k in call.keywords))
                if isinstance(a, ast.Constant) and isinstance(a.value, str)
            ]
            return any(set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in modes)
        if name == "write_text" and not owner:  # that of ctrkit.files
            return False
        return name in WRITES or ".".join([*owner, name][-2:]) in WRITES

    yield from walk(module, "", frozenset())


def test_every_file_is_written_whole_or_not_at_all():
    strays, used = [], set()
    for path in FILES:
        file = path.relative_to(PACKAGE).as_posix()
        if file == "files.py":
            continue
        for function, call in writing_calls(tree(path)):
            place = f"{file}:{function}"
            used.add(place)
            if place not in MAY_WRITE:
                strays.append(f"{place} (line {call.lineno}): {ast.unparse(call)[:80]}")
    assert strays == [], "use write_atomic, write_json, atomic_path or atomic_folder"
    assert set(MAY_WRITE) - used == set(), "MAY_WRITE lists calls that are gone or moved"


@pytest.mark.parametrize(
    "line",
    [
        'path.write_text("x")',
        'open(path, "w")',
        'path.open(mode="wb")',
        "frame.write_parquet(folder / name)",
        "np.save(path, array)",
        "json.dump(data, file)",
        "save_file(state, path)",
        "with atomic_path(path) as beside:\n    frame.write_csv(path)",
    ],
)
def test_the_search_for_writes_sees_them(line):
    assert len(list(writing_calls(ast.parse(line)))) == 1


@pytest.mark.parametrize(
    "line",
    [
        'open(path, "r")',
        "path.open()",
        "with atomic_path(path) as beside:\n    frame.write_csv(beside)",
        "with atomic_folder(path) as beside:\n    np.save(beside / name, array)",
        'with atomic_path(path) as beside, beside.open("wb") as file:\n    np.savez(file)',
        "write_text(path, text, force=True)",
    ],
)
def test_the_search_for_writes_leaves_the_rest_alone(line):
    assert list(writing_calls(ast.parse(line))) == []


@pytest.mark.parametrize("module", ["ctrkit", "ctrkit.cli"])
def test_importing_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*[m for m in {HEAVY} if m in sys.modules])"
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
