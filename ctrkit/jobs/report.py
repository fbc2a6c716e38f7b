"""``ctrkit report``: a report on one run, or a comparison of several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctrkit.errors import CtrkitError, RunFolderError
from ctrkit.files import refuse_existing, refuse_links
from ctrkit.records import run_of
from ctrkit.report import Summary, summarise_run, summarise_runs, write_report
from ctrkit.runs.inputs import PathLike


def report(runs: Sequence[PathLike], *, out: PathLike = "report.html", force: bool = False) -> None:
    """Write a report on a run, or a comparison of several.

    Args:
        runs: Run folders, or search folders (their winners).
        out: The ``.html``, ``.md`` or ``.json`` file to write.
        force: Overwrite ``out`` if it exists.
    """
    path = Path(out)
    if path.suffix not in (".html", ".md", ".json"):
        raise CtrkitError(f"the report file must end in .html, .md or .json; got {str(out)!r}")
    folders = [run_of(run) for run in runs]
    for folder in folders:
        refuse_links(folder)
        if not (folder / "record.json").is_file():
            raise RunFolderError(f"{str(folder)!r} is not a finished run: it has no record.json")
    refuse_existing(path, force=force)
    write_report(_summary(folders), path)


def _summary(folders: Sequence[Path]) -> Summary:
    """Summarise runs.

    Raises:
        RunFolderError: A file in their folders is damaged.
    """
    try:
        return summarise_run(folders[0]) if len(folders) == 1 else summarise_runs(folders)
    except CtrkitError:
        raise
    except (OSError, AttributeError, LookupError, TypeError, ValueError) as error:
        names = ", ".join(repr(str(folder)) for folder in folders)
        raise RunFolderError(f"a file in {names} is damaged: {error}") from error
