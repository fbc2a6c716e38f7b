"""The report of one run. To add a section: a function in a file here, and a row in SECTIONS."""

from __future__ import annotations

from pathlib import Path

from ctrkit.records import RunRecord
from ctrkit.report.run.calibration import calibration
from ctrkit.report.run.configuration import configuration
from ctrkit.report.run.files import RunFiles
from ctrkit.report.run.learning import learning_curves
from ctrkit.report.run.metrics import metrics_table
from ctrkit.report.run.pairs import field_pairs
from ctrkit.report.summary import Section, Summary, tables_and_charts

SECTIONS: tuple[Section[RunFiles], ...] = (
    metrics_table,
    configuration,
    learning_curves,
    calibration,
    field_pairs,
)
"""Sections of the report, in order."""
_TRAINING = ("steps", "epochs", "best_step", "stopped", "device", "precision")


def summarise_run(folder: Path) -> Summary:
    """Summarise one run folder; sections without data are left out.

    Raises:
        RunFolderError: The folder holds no ``record.json``.
    """
    run = RunFiles.read(folder)
    tables, charts = tables_and_charts(SECTIONS, run)
    record = run.record
    return Summary(
        title=f"{run.config['model']['name']}, seed {record.seed}",
        facts={
            "data": run.config["data"]["path"],
            "rows": ", ".join(f"{split} {n:,}" for split, n in record.data.get("rows", {}).items()),
            "parameters": f"{record.parameters['allocated']:,}",
            "training": _training(record),
            "speed": f"{record.timings['train_examples_s']:,.0f} rows/s in training",
            "peak memory": f"{record.memory['peak_bytes'] / 1e6:,.0f} MB",
            "config": record.config_sha256[:12],
        },
        warnings=record.warnings,
        tables=tables,
        curves=charts,
        data={"metrics": record.metrics, "config_sha256": record.config_sha256},
    )


def _training(record: RunRecord) -> str:
    facts = record.training
    return ", ".join(f"{k.replace('_', ' ')}: {facts[k]}" for k in _TRAINING if k in facts)
