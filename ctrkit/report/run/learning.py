"""Learning curves."""

from __future__ import annotations

from collections.abc import Iterator

from ctrkit.checksums import check_files
from ctrkit.records import RETRAIN, read_lines
from ctrkit.report.charts import Line
from ctrkit.report.run.files import RunFiles


def learning_curves(run: RunFiles) -> Iterator[Line]:
    """Yield log loss and AUC by step, where the folder holds ``metrics.jsonl``."""
    path = run.folder / "metrics.jsonl"
    check_files(run.folder, [path.name], RETRAIN)
    if not path.is_file():
        return
    logged = read_lines(path)
    losses = {
        name: [[line["step"], line[key]] for line in logged if line.get(key) is not None]
        for name, key in (("training", "train_loss"), ("validation", "logloss"))
    }
    aucs = {"validation": [[line["step"], line["auc"]] for line in logged if "auc" in line]}
    yield Line("Log loss during training", "step", "log loss", losses)
    yield Line("AUC during training", "step", "AUC", aucs)
