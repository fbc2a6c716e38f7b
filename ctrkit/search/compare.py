"""Fair comparisons: the result of a search against its controls, on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from ctrkit.checksums import check_files
from ctrkit.metrics import paired_logloss_test
from ctrkit.records import RETRAIN
from ctrkit.search.outcome import Outcome, PairedDifference

Z95 = 1.96
"""Standard errors from the mean to either end of a 95 % interval."""


def paired_test(
    folder: Path, control: Outcome, ours: Outcome, split: str = "test"
) -> PairedDifference:
    """Test our log loss against a control's, row by row.

    Args:
        folder: The search folder, which holds both runs.
        control: The run to compare with.
        ours: The run that is judged.
        split: ``validation`` or ``test``.
    """
    a, b = (_predictions(folder / outcome.folder, split) for outcome in (control, ours))
    test = paired_logloss_test(a["label"], a["logit"], b["logit"])
    reach = Z95 * test.error
    return PairedDifference(
        difference=test.difference,
        error=test.error,
        p=test.p,
        low=test.difference - reach,
        high=test.difference + reach,
    )


def _predictions(run: Path, split: str) -> pl.DataFrame:
    """Return the label and the logit of each row of a split, by row."""
    name = f"predictions/{split}.parquet"
    check_files(run, [name], RETRAIN)
    return pl.read_parquet(run / name, columns=["row", "label", "logit"], glob=False).sort("row")


def paired_tests(
    folder: Path, ours: str, rows: Mapping[str, Sequence[Outcome]]
) -> dict[str, list[PairedDifference]]:
    """Test our runs against those of every control on the test rows, seed by seed.

    Args:
        folder: The search folder.
        ours: Name of our runs in ``rows``.
        rows: Outcomes by name, one for each seed.
    """
    return {
        name: [paired_test(folder, a, b) for a, b in zip(controls, rows[ours], strict=True)]
        for name, controls in rows.items()
        if name != ours
    }


def prefers(folder: Path, control: Outcome, ours: Outcome) -> bool:
    """Return whether a control is significantly better (95 % CI) than ours on validation."""
    return paired_test(folder, control, ours, "validation").low > 0


def better_control(
    folder: Path, name: str, control: Outcome, ours: Outcome, advice: str = ""
) -> str | None:
    """Return a warning if validation significantly prefers a control; None if it does not.

    Args:
        folder: The search folder.
        name: What the warning calls the control.
        control: The control's run.
        ours: The search's run.
        advice: What the user can do, apart from using the control's run.
    """
    if not prefers(folder, control, ours):
        return None
    return (
        f"on validation, {name} is significantly better (95 % CI) than the search: log loss "
        f"{control.validation.logloss:.5f} against {ours.validation.logloss:.5f}; its run is in "
        f"{control.folder}{f'; {advice}' if advice else ''}"
    )
