"""Contract suites that an outsider can run on a component, and generated data."""

from ctrkit.testing.contracts import check_interaction, check_model
from ctrkit.testing.flags import check_flag
from ctrkit.testing.metrics import check_metric
from ctrkit.testing.scores import check_score
from ctrkit.testing.splits import check_split
from ctrkit.testing.verdicts import Verdict

__all__ = [
    "Verdict",
    "check_flag",
    "check_interaction",
    "check_metric",
    "check_model",
    "check_score",
    "check_split",
]
