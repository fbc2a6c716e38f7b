"""``ctrkit check``: the contract suite, run on a plug-in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ctrkit.components import Kind
from ctrkit.registry import load_plugin, registry
from ctrkit.runs.inputs import PathLike
from ctrkit.testing.field_encoders import check_field_encoder
from ctrkit.testing.flags import check_flag
from ctrkit.testing.metrics import check_metric
from ctrkit.testing.models import check_head, check_interaction
from ctrkit.testing.optimizers import check_optimizer, check_schedule
from ctrkit.testing.scores import check_score
from ctrkit.testing.splits import check_split
from ctrkit.testing.tables import check_table
from ctrkit.testing.verdicts import Verdict

SUITES: dict[Kind, Callable[[str], list[Verdict]]] = {
    "interaction": check_interaction,
    "head": check_head,
    "table": check_table,
    "optimizer": check_optimizer,
    "schedule": check_schedule,
    "encoding": partial(check_field_encoder, "encoding"),
    "transform": partial(check_field_encoder, "transform"),
    "bucket": partial(check_field_encoder, "bucket"),
    "split": check_split,
    "score": check_score,
    "flag": check_flag,
    "metric": check_metric,
}
"""Contract suite of each kind of component that has one."""


def check(file: PathLike) -> list[Verdict]:
    """Run the contract suite on every component that a plug-in file registers."""
    entry = load_plugin(Path(file))
    added = [e for e in registry if e.module == entry.module and e.kind in SUITES]
    return [verdict for e in added for verdict in SUITES[e.kind](e.name)]
