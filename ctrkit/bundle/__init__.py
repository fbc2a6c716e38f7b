"""A run folder as a predictor of raw rows: written, and read back.

A *bundle* is the run folder itself: ``config.json``, ``schema.toml``, ``layout.json``,
``encoder/``, ``model.safetensors``, ``plugins/``. No part of it is pickled.
"""

from ctrkit.bundle.load import load, load_weights
from ctrkit.bundle.predictor import Predictor
from ctrkit.bundle.save import save_inputs, save_weights

__all__ = ["Predictor", "load", "load_weights", "save_inputs", "save_weights"]
