"""What every search prints: the comparison with its controls, and where its files are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ctrkit.cli.printing import Table

if TYPE_CHECKING:
    from ctrkit.search.base import Search

Row = Mapping[str, Any]
"""A row of ``record.json``: one trained model of the comparison."""


def result_of(search: Search) -> dict[str, Any]:
    """Return a search as the data that ``--json`` prints."""
    return {
        "folder": search.folder,
        "config": search.folder / "run.toml",
        "report": search.folder / "report.html",
        "record": search.record,
    }


def comparison(
    search: Search,
    title: str,
    names: Mapping[str, str],
    columns: Mapping[str, str],
    cells: Callable[[Row], list[object]],
) -> Table:
    """Return a row per model of the comparison: test AUC, test log loss, and more.

    Args:
        search: The search.
        title: Title of the first column, which names the model.
        names: Name in ``record.json`` -> name to print, where they differ.
        columns: Title -> format of the further columns.
        cells: The cells of the further columns.
    """
    rows = [
        [names.get(name, name), row["test"]["auc"], row["test"]["logloss"], *cells(row)]
        for name, members in search.record["rows"].items()
        for row in members
    ]
    return Table({title: "", "test auc": ".5f", "test logloss": ".5f", **columns}, rows)


def megabytes(count: int) -> float:
    """Return bytes as megabytes."""
    return count / 1e6


def files_of(search: Search) -> tuple[str, str]:
    """Return the last lines of every search: how to train the winner again, and the report."""
    folder = search.folder
    consent = " --trust-plugins" if search.job.config.plugins else ""
    retrain = f"ctrkit train {folder / 'run.toml'}{consent}"
    return f"retrain {retrain}", f"report  {folder / 'report.html'}"
