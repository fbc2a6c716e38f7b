"""Contract suites that an outsider can run on a component, and generated data."""

from ctrkit.testing.contracts import check_interaction, check_model
from ctrkit.testing.splits import check_split
from ctrkit.testing.verdicts import Verdict

__all__ = ["Verdict", "check_interaction", "check_model", "check_split"]
