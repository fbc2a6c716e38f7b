"""Contract suites that an outsider can run on a component, and generated data."""

from ctrkit.testing.contracts import Verdict, check_interaction, check_model

__all__ = ["Verdict", "check_interaction", "check_model"]
