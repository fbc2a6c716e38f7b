"""The training loop. Methods such as gates and pruning are callbacks."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.modules.batchnorm import _BatchNorm

from ctrkit.bundle.inputs import model_inputs, targets
from ctrkit.config.sections import TrainConfig
from ctrkit.errors import ConfigError, CtrkitError, DataError
from ctrkit.records import Progress
from ctrkit.train.callbacks import Callback, Context
from ctrkit.train.checkpoint import load_checkpoint, save_checkpoint
from ctrkit.train.device import pick_device
from ctrkit.train.interrupts import Interrupts
from ctrkit.train.journal import Journal
from ctrkit.train.optimizers import build_optimizers
from ctrkit.train.precision import autocast, choose_precision
from ctrkit.train.progress import Cursor, FitResult
from ctrkit.train.schedule import learning_rate

if TYPE_CHECKING:
    from ctrkit.data.store.batch import Batch

logger = logging.getLogger(__name__)
M = TypeVar("M", bound=nn.Module)

CHECK_EVERY = 100
"""Steps between checks of the loss: each waits for the device."""


class BatchSource(Protocol):
    """Training batches, the same in every run."""

    def steps(self) -> int:
        """Return the batches per epoch."""

    def epoch(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]:
        """Yield the batches of an epoch from step ``start`` on."""


def fit(
    model: M,
    batches: BatchSource,
    config: TrainConfig,
    *,
    evaluate: Callable[[M], Mapping[str, float]],
    callbacks: Sequence[Callback] = (),
    folder: Path | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Train; leave the best weights by ``config.monitor`` in the model.

    With a folder, ``metrics.jsonl`` gets a line per evaluation, and ``checkpoint/`` all that is
    needed to resume: the same call continues an interrupted run, with the same result bit for bit
    (fp32 on the CPU). After the last step it only returns that result again, until the caller has
    saved it and calls :func:`ctrkit.train.remove_checkpoint`. Ctrl-C waits for the end of the
    step, writes a checkpoint and is raised again.

    Args:
        model: ``forward(codes, numbers, bags) -> logits (B,)``.
        batches: Training batches.
        config: How to train.
        evaluate: Return the metrics of the model on validation, ``config.monitor`` among them.
        callbacks: Run in this order.
        folder: The run folder.
        progress: Updated after every step.

    Raises:
        ConfigError: Micro-batches with batch normalisation, or an unknown device.
        DataError: There are no training rows.
        CtrkitError: The loss is no longer finite.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    device = pick_device(config.device)
    if config.micro_batch and any(isinstance(m, _BatchNorm) for m in model.modules()):
        raise ConfigError(
            "train.micro_batch must be 0 with batch normalisation, which needs the whole batch: "
            f"set train.micro_batch = 0 (now {config.micro_batch})"
        )
    if not batches.steps():
        raise DataError("the training split must have rows; it has none")
    seeded = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=seeded):
        torch.manual_seed(config.seed)
        model = model.to(device)
        loop = _Loop(model, batches, config, device, evaluate, callbacks, folder, progress)
        loop.resume()
        with loop.interrupts.delayed():
            return loop.train()


@dataclass
class _Loop(Generic[M]):
    model: M
    batches: BatchSource
    config: TrainConfig
    device: torch.device
    evaluate: Callable[[M], Mapping[str, float]]
    callbacks: Sequence[Callback]
    folder: Path | None
    progress: Progress | None

    def __post_init__(self) -> None:
        self.per_epoch = self.batches.steps()
        self.optimizers = build_optimizers(self.model, self.config)
        self.context = Context(self.model, self.optimizers, self.per_epoch * self.config.epochs)
        self.cursor = Cursor()
        self.best: dict[str, Tensor] = {}
        self.loss = torch.zeros(2, dtype=torch.float64, device=self.device)  # (2,) loss, weight
        self.interrupts = Interrupts()
        self.journal = None if self.folder is None else Journal(self.folder / "metrics.jsonl")
        self.saved_at = time.monotonic()
        per_epoch, evals = self.per_epoch, self.config.evals_per_epoch
        self.due = {math.ceil(per_epoch * i / evals) for i in range(1, evals + 1)}

    # ---- steps

    def train(self) -> FitResult:
        """Run epochs until there is a reason to stop."""
        cursor, total = self.cursor, self.context.total_steps
        if self.config.precision != "auto":
            cursor.precision = self.config.precision
        elif not cursor.step:
            self._choose_precision()
        self.model.train()
        try:
            self._evaluate_if_due()
            while not cursor.stopped and cursor.step < total:
                self._epoch()
        except KeyboardInterrupt:
            if not self.interrupts.busy:
                self._save()
            raise
        cursor.stopped = cursor.stopped or "epochs"
        return self._finish()

    def _epoch(self) -> None:
        epoch, start = divmod(self.cursor.step, self.per_epoch)
        self.context.epoch = epoch
        if not start:
            self.interrupts.begin()
            for callback in self.callbacks:
                callback.epoch_start(self.context)
            self.interrupts.end()
        with closing(self.batches.epoch(epoch, start)) as stream:
            for batch in stream:
                self._step(batch)
                self._after_step()
                if self.cursor.stopped:
                    return

    def _step(self, batch: Batch) -> None:
        started = time.perf_counter()
        cursor, context = self.cursor, self.context
        self.interrupts.begin()
        context.lr = learning_rate(self.config, cursor.step, context.total_steps, cursor.plateaus)
        for callback in self.callbacks:
            callback.step_start(context, batch)
        self.optimizers.zero_grad()
        self.loss += self._backward(batch, cursor.precision)
        for callback in self.callbacks:
            callback.after_backward(context)
        self.optimizers.step(context.lr)
        cursor.count(len(batch.label))
        context.step = cursor.step
        for callback in self.callbacks:
            callback.step_end(context)
        cursor.spend(time.perf_counter() - started)
        self.interrupts.end()

    def _backward(self, batch: Batch, precision: str) -> Tensor:
        """Compute the gradient of the (weighted) mean loss; return sums of loss and weight (2,)."""
        weights = batch.weight
        total = float(len(batch.label) if weights is None else weights.sum(dtype="float64"))
        summed = torch.zeros((), dtype=torch.float64, device=self.device)  # ()
        for micro_batch in batch.slices(self.config.micro_batch or 0):
            inputs = model_inputs(micro_batch, self.device)
            label, weight = targets(micro_batch, self.device)  # (B,)
            with autocast(self.device, precision):
                logit = self.model(*inputs)  # (B,)
            loss = binary_cross_entropy_with_logits(
                logit.float(), label, weight, reduction="sum"
            )  # ()
            (loss / max(total, 1e-30)).backward()  # type: ignore[no-untyped-call]
            summed += loss.detach()
        return torch.stack([summed, torch.full_like(summed, total)])  # (2,)

    def _after_step(self) -> None:
        step = self.cursor.step
        if self.progress is not None:
            self.progress.update("train", step, self.context.total_steps, self._text())
        if step % CHECK_EVERY == 0:
            self._mean_loss()
        evaluated = self._evaluate_if_due()
        if not evaluated and time.monotonic() - self.saved_at >= self.config.checkpoint_s:
            self._save()

    def _text(self) -> str:
        monitor = self.config.monitor
        value = self.cursor.best_metrics.get(monitor)
        best = f", best {monitor} {value:.4f}" if value is not None else ""
        return f"epoch {self.context.epoch + 1} of {self.config.epochs}{best}"

    def _mean_loss(self) -> float:
        """Return the mean training loss since the last evaluation.

        Raises:
            CtrkitError: It is not finite.
        """
        loss, weight = self.loss.tolist()
        if not math.isfinite(loss):
            raise CtrkitError(
                f"the training loss is {loss} by step {self.cursor.step}: lower train.lr "
                f"(now {self.config.lr:g}), or set train.clip_norm"
            )
        return float(loss / weight) if weight else 0.0

    def _choose_precision(self) -> None:
        with closing(self.batches.epoch(0, 0)) as stream:
            batch = next(stream)
        self.model.train()
        self.cursor.precision = choose_precision(
            self.model,
            self.device,
            lambda precision: self._backward(batch, precision),
            self.optimizers.zero_grad,
        )
        self._save()

    # ---- evaluation

    def _evaluate_if_due(self) -> bool:
        cursor = self.cursor
        in_epoch = (cursor.step - 1) % self.per_epoch + 1
        if not cursor.step or cursor.evaluated == cursor.step or in_epoch not in self.due:
            return False
        train_loss = self._mean_loss()
        self.model.eval()
        try:
            metrics = {name: float(v) for name, v in self.evaluate(self.model).items()}
        finally:
            self.model.train()
        self.interrupts.begin()
        self._take_metrics(metrics, train_loss)
        self.interrupts.end()
        return True

    def _take_metrics(self, metrics: dict[str, float], train_loss: float) -> None:
        """Write a line, keep the best weights, let callbacks and patience stop, save."""
        cursor, monitor = self.cursor, self.config.monitor
        if monitor not in metrics:
            names = ", ".join(sorted(metrics))
            raise ConfigError(f"train.monitor must be of the metrics {names}; got {monitor!r}")
        cursor.evaluated = cursor.step
        line: dict[str, float] = {
            "step": cursor.step,
            "epoch": self.context.epoch,
            "train_loss": train_loss,
            **metrics,
            "lr": self.context.lr,
            "examples_s": cursor.since_rows / (cursor.since_seconds or 1),
            "seconds": cursor.seconds,
        }
        cursor.since_rows, cursor.since_seconds = 0, 0.0
        self.loss.zero_()
        if self.journal is not None:
            self.journal.append(line)
            cursor.lines = self.journal.size
        shown = [f"{n} {line[n]:.5f}" for n in ("train_loss", "logloss", "auc") if n in line]
        logger.info("step %d: %s", cursor.step, ", ".join(shown))
        if cursor.compare(metrics, monitor, self.config.evals_per_epoch):
            state = self.model.state_dict()
            self.best = {k: v.detach().to("cpu", copy=True) for k, v in state.items()}
        if self.config.patience and cursor.waited >= self.config.patience:
            cursor.stopped = "patience"
        for callback in self.callbacks:
            reason = callback.evaluated(self.context, line)
            cursor.stopped = cursor.stopped or reason or ""
        self._save()

    # ---- state

    def _save(self) -> None:
        """Write a checkpoint, if there is a folder."""
        if self.folder is None:
            return
        self._mean_loss()
        cuda = self.device.type == "cuda"
        state = {
            "model": self.model.state_dict(),
            "optimizers": self.optimizers.state_dict(),
            "cursor": asdict(self.cursor),
            "best": self.best,
            "loss": self.loss,
            "lr": self.context.lr,
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.device) if cuda else None,
            "callbacks": [c.state_dict() for c in self.callbacks],
        }
        save_checkpoint(self.folder / "checkpoint", state)
        self.saved_at = time.monotonic()

    def resume(self) -> None:
        """Restore the folder's checkpoint; without one, start with an empty ``metrics.jsonl``."""
        if self.folder is None or self.journal is None:
            return
        state = load_checkpoint(self.folder / "checkpoint")
        if state is not None:
            self.cursor = Cursor(**state["cursor"])
            self.model.load_state_dict(state["model"])
            self.optimizers.load_state_dict(state["optimizers"])
            self.best = state["best"]
            self.loss.copy_(state["loss"])
            torch.set_rng_state(state["rng"])
            if state["cuda_rng"] is not None and self.device.type == "cuda":
                torch.cuda.set_rng_state(state["cuda_rng"], self.device)
            for callback, saved in zip(self.callbacks, state["callbacks"], strict=True):
                callback.load_state_dict(saved)
            self.context.step, self.context.lr = self.cursor.step, state["lr"]
            self.context.epoch = max(0, self.cursor.step - 1) // self.per_epoch
        self.journal.truncate(self.cursor.lines)

    def _finish(self) -> FitResult:
        cursor = self.cursor
        if self.best:
            self.model.load_state_dict(self.best)
        self.optimizers.zero_grad()
        self.model.eval()
        return FitResult(
            steps=cursor.step,
            epochs=-(-cursor.step // self.per_epoch),
            best_step=cursor.best_step,
            best_metrics=cursor.best_metrics,
            stopped=cursor.stopped,
            examples_s=cursor.rows / (cursor.seconds or 1.0),
            precision=cursor.precision,
            device=str(self.device),
            threads=torch.get_num_threads(),
        )
