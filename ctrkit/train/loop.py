"""The training loop. It names no method: those are callbacks."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.modules.batchnorm import _BatchNorm

from ctrkit.config.sections import TrainConfig
from ctrkit.errors import ConfigError, CtrkitError, DataError
from ctrkit.records import Progress
from ctrkit.train.callbacks import Callback, Context
from ctrkit.train.checkpoint import load_checkpoint, remove_checkpoint, save_checkpoint
from ctrkit.train.device import pick_device, split_batch, to_tensors
from ctrkit.train.optimizers import build_optimizers
from ctrkit.train.precision import autocast, choose_precision
from ctrkit.train.schedule import learning_rate

if TYPE_CHECKING:
    from ctrkit.data.store.batches import Batch, Batches

logger = logging.getLogger(__name__)

CHECK_EVERY = 100
"""Steps between looks at the loss: each waits for the device."""


@dataclass(frozen=True)
class FitResult:
    """What training did.

    Attributes:
        epochs: Epochs begun.
        best_step: Step of the evaluation whose weights were kept; -1: none could be compared.
        best_metrics: Its metrics on validation.
        stopped: ``epochs``, ``patience`` or a callback's reason.
        examples_s: Rows per second in training alone.
    """

    steps: int
    epochs: int
    best_step: int
    best_metrics: dict[str, float]
    stopped: str
    examples_s: float
    precision: str
    device: str
    threads: int

    def facts(self) -> dict[str, Any]:
        """Return plain data, for ``record.json``."""
        return asdict(self)


@dataclass
class _Cursor:
    """What is saved beside weights and optimisers."""

    step: int = 0
    evaluated: int = 0
    best_step: int = -1
    best_metrics: dict[str, float] = field(default_factory=dict)
    waited: int = 0
    stopped: str = ""
    precision: str = "fp32"
    lines: int = 0
    seconds: float = 0.0
    rows: int = 0
    since_rows: int = 0
    since_seconds: float = 0.0


def fit(
    model: nn.Module,
    batches: Batches,
    config: TrainConfig,
    *,
    evaluate: Callable[[Any], dict[str, float]],
    callbacks: Sequence[Callback] = (),
    folder: Path | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Train; leave the best weights by ``config.monitor`` in the model.

    With a folder, ``metrics.jsonl`` gets a line per evaluation, and ``checkpoint/`` all that a
    cut run needs: the same call goes on where it was cut, with the same result bit for bit (fp32
    on the CPU). Ctrl-C waits for the end of the step, writes a checkpoint and is raised again.

    Args:
        model: ``forward(codes, numbers, bags) -> logits (B,)``.
        batches: Training batches: ``steps()`` and ``epoch(epoch, start)``.
        config: How to train.
        evaluate: Judges the model on validation; gives at least ``config.monitor``.
        callbacks: In the order in which they run.
        folder: The run folder.
        progress: Hears of every step.

    Raises:
        ConfigError: Micro-batches with batch normalisation, an unknown device.
        CtrkitError: The loss is no longer finite.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    device = pick_device(config.device)
    seeded = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=seeded):
        torch.manual_seed(config.seed)
        run = _Run(model.to(device), batches, config, device, evaluate, callbacks, folder, progress)
        run.resume()
        with run.interruptible():
            return run.train()


class _Run:
    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        config: TrainConfig,
        device: torch.device,
        evaluate: Callable[[Any], dict[str, float]],
        callbacks: Sequence[Callback],
        folder: Path | None,
        progress: Progress | None,
    ) -> None:
        if config.micro_batch and any(isinstance(m, _BatchNorm) for m in model.modules()):
            raise ConfigError(
                "batch normalisation needs the whole batch: set train.micro_batch = 0 "
                f"(now {config.micro_batch})"
            )
        self.model, self.batches, self.config, self.device = model, batches, config, device
        self.evaluate, self.callbacks, self.folder = evaluate, callbacks, folder
        self.progress = progress
        self.per_epoch = batches.steps()
        if not self.per_epoch:
            raise DataError("the training split has no rows")
        self.optimizers = build_optimizers(model, config)
        self.context = Context(model, self.optimizers, self.per_epoch * config.epochs)
        self.cursor = _Cursor()
        self.best: dict[str, Tensor] = {}
        self.loss = torch.zeros(2, dtype=torch.float64, device=device)  # (2,) sums: loss, weight
        self.busy = self.interrupted = False
        self.saved_at = time.monotonic()
        per, k = self.per_epoch, config.evals_per_epoch
        self.due = {math.ceil(per * i / k) for i in range(1, k + 1)}

    # ---- the loop

    def train(self) -> FitResult:
        """Run epochs until one of the reasons to stop."""
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
            if not self.busy:
                self._save()
            raise
        cursor.stopped = cursor.stopped or "epochs"
        return self._finish()

    def _epoch(self) -> None:
        cursor = self.cursor
        epoch, start = divmod(cursor.step, self.per_epoch)
        self.context.epoch = epoch
        if not start:
            self._guarded(self._epoch_start)
        stream = self.batches.epoch(epoch, start)
        try:
            for batch in stream:
                self._step(batch)
                self._after_step()
                if cursor.stopped:
                    return
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()

    def _epoch_start(self) -> None:
        for callback in self.callbacks:
            callback.epoch_start(self.context)

    def _step(self, batch: Batch) -> None:
        started = time.perf_counter()
        cursor, context = self.cursor, self.context
        self.busy = True
        context.lr = learning_rate(self.config, cursor.step, context.total_steps)
        for callback in self.callbacks:
            callback.step_start(context, batch)
        self.optimizers.zero_grad()
        self.loss += self._backward(batch, cursor.precision)
        for callback in self.callbacks:
            callback.after_backward(context)
        self.optimizers.step(context.lr)
        cursor.step += 1
        context.step = cursor.step
        cursor.rows += len(batch.label)
        cursor.since_rows += len(batch.label)
        for callback in self.callbacks:
            callback.step_end(context)
        seconds = time.perf_counter() - started
        cursor.seconds += seconds
        cursor.since_seconds += seconds
        self._boundary()

    def _backward(self, batch: Batch, precision: str) -> Tensor:
        """Leave the gradient of the batch's (weighted) mean loss; return sums (2,)."""
        weights = batch.weight
        total = float(len(batch.label) if weights is None else weights.sum(dtype="float64"))
        summed = torch.zeros((), dtype=torch.float64, device=self.device)  # ()
        for part in split_batch(batch, self.config.micro_batch or 0):
            codes, numbers, bags, label, weight = to_tensors(part, self.device)
            with autocast(self.device, precision):
                logit = self.model(codes, numbers, bags)  # (B,)
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
            self._check_loss()
        evaluated = self._evaluate_if_due()
        if not evaluated and time.monotonic() - self.saved_at >= self.config.checkpoint_s:
            self._save()

    def _text(self) -> str:
        loss = self.cursor.best_metrics.get(self.config.monitor)
        best = f", best {self.config.monitor} {loss:.4f}" if loss is not None else ""
        return f"epoch {self.context.epoch + 1} of {self.config.epochs}{best}"

    def _check_loss(self) -> float:
        loss, weight = self.loss.tolist()
        if not math.isfinite(loss):
            raise CtrkitError(
                f"the training loss is {loss} by step {self.cursor.step}: lower train.lr "
                f"(now {self.config.lr:g}), or set train.clip_norm"
            )
        return float(loss / weight) if weight else 0.0

    # ---- evaluation

    def _evaluate_if_due(self) -> bool:
        cursor = self.cursor
        in_epoch = (cursor.step - 1) % self.per_epoch + 1
        if not cursor.step or cursor.evaluated == cursor.step or in_epoch not in self.due:
            return False
        train_loss = self._check_loss()
        self.model.eval()
        try:
            metrics = {name: float(v) for name, v in self.evaluate(self.model).items()}
        finally:
            self.model.train()
        self._guarded(lambda: self._judged(metrics, train_loss))
        return True

    def _judged(self, metrics: dict[str, float], train_loss: float) -> None:
        cursor, monitor = self.cursor, self.config.monitor
        if monitor not in metrics:
            raise ConfigError(f"the evaluation gives no {monitor!r}: it gives {sorted(metrics)}")
        cursor.evaluated = cursor.step
        line: dict[str, Any] = {
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
        self._write(line)
        logger.info("step %d: %s", cursor.step, ", ".join(_said(line)))
        self._keep_best(metrics)
        for callback in self.callbacks:
            reason = callback.evaluated(self.context, line)
            cursor.stopped = cursor.stopped or reason or ""
        self._save()

    def _keep_best(self, metrics: dict[str, float]) -> None:
        cursor, monitor = self.cursor, self.config.monitor
        sign = 1 if monitor == "auc" else -1
        value = sign * metrics[monitor]
        best = sign * cursor.best_metrics.get(monitor, -sign * math.inf)
        cursor.waited += 1
        if value > best:
            cursor.best_step, cursor.best_metrics, cursor.waited = cursor.step, dict(metrics), 0
            state = self.model.state_dict()
            self.best = {k: v.detach().to("cpu", copy=True) for k, v in state.items()}
        if self.config.patience and cursor.waited >= self.config.patience:
            cursor.stopped = "patience"

    def _write(self, line: Mapping[str, Any]) -> None:
        if self.folder is None:
            return
        finite = {k: None if _odd(v) else v for k, v in line.items()}
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(finite, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
            self.cursor.lines = file.tell()

    # ---- state

    def _save(self) -> None:
        if self.folder is None:
            return
        self._check_loss()
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
        """Take up the folder's checkpoint; without one, start with an empty ``metrics.jsonl``."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        state = load_checkpoint(self.folder / "checkpoint")
        if state is not None:
            self.cursor = _Cursor(**state["cursor"])
            self.model.load_state_dict(state["model"])
            self.optimizers.load_state_dict(state["optimizers"])
            self.best = state["best"]
            self.loss.copy_(state["loss"])
            torch.set_rng_state(state["rng"])
            if state["cuda_rng"] is not None and self.device.type == "cuda":
                torch.cuda.set_rng_state(state["cuda_rng"], self.device)
            for callback, part in zip(self.callbacks, state["callbacks"], strict=True):
                callback.load_state_dict(part)
            self.context.step, self.context.lr = self.cursor.step, state["lr"]
            self.context.epoch = max(0, self.cursor.step - 1) // self.per_epoch
        with (self.folder / "metrics.jsonl").open("ab") as file:
            file.truncate(self.cursor.lines)

    def _finish(self) -> FitResult:
        cursor = self.cursor
        if self.best:
            self.model.load_state_dict(self.best)
        self.optimizers.zero_grad()
        self.model.eval()
        if self.folder is not None:
            remove_checkpoint(self.folder / "checkpoint")
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

    def _choose_precision(self) -> None:
        stream = self.batches.epoch(0, 0)
        batch = next(iter(stream))
        self.model.train()
        self.cursor.precision = choose_precision(
            self.model,
            self.device,
            lambda p: cast(None, self._backward(batch, p)),
            self.optimizers.zero_grad,
        )
        getattr(stream, "close", lambda: None)()
        self._save()

    # ---- interruption

    def _guarded(self, work: Callable[[], Any]) -> None:
        """Run what must not be cut in the middle."""
        self.busy = True
        work()
        self._boundary()

    def _boundary(self) -> None:
        self.busy = False
        if self.interrupted:
            raise KeyboardInterrupt

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let the first Ctrl-C wait for a step's end; the second one cuts at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)

        def note(number: int, frame: Any) -> None:
            signal.signal(signal.SIGINT, before)
            self.interrupted = True
            if not self.busy:
                raise KeyboardInterrupt

        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _said(line: Mapping[str, Any]) -> Iterator[str]:
    for name in ("train_loss", "logloss", "auc"):
        if name in line:
            yield f"{name} {line[name]:.5f}"


def _odd(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
