"""Verbs that read records: reports, the replay to a tracking server, the contract suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctrkit.errors import CtrkitError, RunFolderError
from ctrkit.jobs.inputs import PathLike
from ctrkit.jobs.outputs import refuse_existing
from ctrkit.records import run_of
from ctrkit.registry import load_plugin, registry
from ctrkit.report import summarise_run, summarise_runs, write_report
from ctrkit.testing import Verdict, check_interaction
from ctrkit.track import sync as sync_run


def report(runs: Sequence[PathLike], *, out: PathLike = "report.html", force: bool = False) -> None:
    """Write one page about a run, or a comparison of several.

    Args:
        runs: Run folders; of a search folder, its winner's.
        out: ``.html``, ``.md`` or ``.json`` file to write.
        force: Replace ``out`` where it exists.
    """
    path = Path(out)
    if path.suffix not in (".html", ".md", ".json"):
        raise CtrkitError(f"a report is a .html, .md or .json file; got {str(out)!r}")
    refuse_existing(path, force=force)
    folders = [run_of(run) for run in runs]
    for folder in folders:
        if not (folder / "record.json").is_file():
            raise RunFolderError(f"{str(folder)!r} is no finished run: it has no record.json")
    summary = summarise_run(folders[0]) if len(folders) == 1 else summarise_runs(folders)
    write_report(summary, path)


def sync(run: PathLike) -> int:
    """Replay to MLflow what a dead tracking server missed; return the number of lines."""
    return sync_run(Path(run))


def check(file: PathLike) -> list[Verdict]:
    """Run the contract suite on every component of a plug-in file; return the verdicts."""
    entry = load_plugin(Path(file))
    added = [e for e in registry if e.module == entry.module]
    return [verdict for e in added for verdict in check_interaction(e.name)]
