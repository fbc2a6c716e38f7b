"""The report that compares several runs."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrkit.report.numbers import mean_and_spread
from ctrkit.report.run.files import RunFiles
from ctrkit.report.summary import Summary, Table

COLUMNS = (
    "model",
    "seeds",
    "test AUC",
    "test log loss",
    "NE",
    "ECE",
    "validation log loss",
    "parameters",
    "rows/s",
)


@dataclass(frozen=True)
class SameConfig:
    """Runs of one configuration, which differ by seed alone."""

    runs: Sequence[RunFiles]

    def values(self, split: str, metric: str) -> list[float]:
        """Return a metric of each run."""
        return [float(run.record.metrics[split][metric]) for run in self.runs]

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self.runs[0].config["model"]["name"])

    @property
    def logloss(self) -> float:
        """Mean log loss on the test split."""
        return statistics.fmean(self.values("test", "logloss"))

    def cells(self) -> list[str]:
        """Return the cells of :data:`COLUMNS`."""
        test = ((m, self.values("test", m)) for m in ("auc", "logloss", "ne", "ece"))
        speed = statistics.median(r.record.timings["train_examples_s"] for r in self.runs)
        return [
            self.model,
            str(len(self.runs)),
            *(mean_and_spread(values, 4) for _, values in test),
            mean_and_spread(self.values("validation", "logloss"), 4),
            f"{self.runs[0].record.parameters['allocated']:,}",
            f"{speed:,.0f}",
        ]

    def data(self) -> dict[str, Any]:
        """Return means and the values of each seed as plain data."""
        return {
            "model": self.model,
            "seeds": [run.record.seed for run in self.runs],
            "auc": statistics.fmean(self.values("test", "auc")),
            "logloss": self.logloss,
            "per_seed": {m: self.values("test", m) for m in ("auc", "logloss", "ne", "ece")},
        }


def summarise_runs(folders: Sequence[Path]) -> Summary:
    """Compare runs: one row per configuration, mean and standard deviation over its seeds.

    Raises:
        RunFolderError: A folder holds no ``record.json``.
    """
    runs = [RunFiles.read(folder) for folder in folders]
    by_config: dict[str, list[RunFiles]] = defaultdict(list)
    for run in runs:
        by_config[_config_but_seed(run)].append(run)
    groups = sorted(map(SameConfig, by_config.values()), key=lambda group: group.logloss)
    note = "Mean ± standard deviation over seeds; ordered by log loss on the test split."
    return Summary(
        title=f"Comparison of {len(folders)} runs",
        facts={"runs": str(len(folders)), "configurations": str(len(groups))},
        warnings=_different_data(runs),
        tables=[Table("Models, best first", COLUMNS, [group.cells() for group in groups], note)],
        data={"rows": [group.data() for group in groups]},
    )


def _config_but_seed(run: RunFiles) -> str:
    ignored = ("track", "plugins")
    config = {section: keys for section, keys in run.config.items() if section not in ignored}
    config["train"] = {k: v for k, v in config["train"].items() if k != "seed"}
    return json.dumps(config, sort_keys=True)


def _different_data(runs: Iterable[RunFiles]) -> list[str]:
    fingerprints = {str(run.record.data.get("fingerprint")) for run in runs}
    if len(fingerprints) < 2:
        return []
    return ["the runs were evaluated on different data: their metrics are not comparable"]
