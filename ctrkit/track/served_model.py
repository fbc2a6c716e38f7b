"""A run as an MLflow model: MLflow runs this file to load it. No pickle holds any of it.

Requests are ``{"inputs": [{"column": value, ...}, ...]}``: rows as they are, for a table made of
them would turn ids beside nulls into floats.
"""

from __future__ import annotations

import warnings
from typing import Any

import mlflow
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from ctrkit.bundle import load

warnings.filterwarnings("ignore", ".*Any type hint is inferred")  # the encoder checks the values


class ServedModel(PythonModel):
    """Raw rows in, click probabilities out."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the run folder that the model holds."""
        trust = bool((context.model_config or {}).get("trust_plugins", False))
        self.predictor = load(context.artifacts["run"], trust_plugins=trust)

    def predict(self, model_input: list[dict[str, Any]]) -> list[float]:  # type: ignore[override]
        """Return the probability of each row."""
        found: list[float] = self.predictor.predict(model_input).tolist()
        return found


mlflow.models.set_model(ServedModel())
