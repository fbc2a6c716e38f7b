"""The training loop, its optimisers, checkpoints and callbacks."""

from ctrkit.train.callbacks import Callback, Context, Pruned
from ctrkit.train.checkpoint import load_checkpoint, remove_checkpoint, save_checkpoint
from ctrkit.train.device import pick_device
from ctrkit.train.loop import fit
from ctrkit.train.optimizers import Optimizers, build_optimizers
from ctrkit.train.progress import FitResult

__all__ = [
    "Callback",
    "Context",
    "FitResult",
    "Optimizers",
    "Pruned",
    "build_optimizers",
    "fit",
    "load_checkpoint",
    "pick_device",
    "remove_checkpoint",
    "save_checkpoint",
]
