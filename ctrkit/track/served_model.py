"""A run as an MLflow model. MLflow runs this file to load it; nothing is pickled.

Requests are ``{"inputs": [{"column": value, ...}, ...]}``: plain rows, since a table of them would
turn integers into floats in columns that have nulls.
"""

from __future__ import annotations

import warnings
from typing import Any

import mlflow
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from ctrkit.bundle import load
from ctrkit.track.server import refuse

warnings.filterwarnings("ignore", ".*Any type hint is inferred")  # the encoder checks types


class ServedModel(PythonModel):
    """A model that takes raw rows and returns click probabilities."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the run folder in the model."""
        trust = bool((context.model_config or {}).get("trust_plugins", False))
        self.predictor = load(context.artifacts["run"], trust_plugins=trust)

    def predict(self, model_input: list[dict[str, Any]]) -> list[float]:  # type: ignore[override]
        """Return the probability of each row."""
        try:
            probabilities: list[float] = self.predictor.predict(model_input).tolist()
        except Exception as error:
            refuse(error)
            raise
        return probabilities


mlflow.models.set_model(ServedModel())
