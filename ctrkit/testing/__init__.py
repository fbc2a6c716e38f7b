"""Contract suites that plug-in authors can run on their components, and generated data."""

from ctrkit.testing.field_encoders import check_field_encoder
from ctrkit.testing.flags import check_flag
from ctrkit.testing.metrics import check_metric
from ctrkit.testing.models import check_head, check_interaction, check_model
from ctrkit.testing.optimizers import check_optimizer, check_schedule
from ctrkit.testing.scores import check_score
from ctrkit.testing.splits import check_split
from ctrkit.testing.tables import check_table
from ctrkit.testing.verdicts import Verdict

__all__ = [
    "Verdict",
    "check_field_encoder",
    "check_flag",
    "check_head",
    "check_interaction",
    "check_metric",
    "check_model",
    "check_optimizer",
    "check_schedule",
    "check_score",
    "check_split",
    "check_table",
]
