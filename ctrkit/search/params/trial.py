"""Trials as plain data: attempts in the study, and how a trial ended (``trials/NNNN.json``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctrkit.files import write_json

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial
COMPLETE, PRUNED, FAIL = "COMPLETE", "PRUNED", "FAIL"
FINISHED = (COMPLETE, PRUNED, FAIL)


@dataclass(frozen=True)
class Attempt:
    """One attempt at a trial of the search, which is one trial of Optuna's study.

    Attributes:
        number: Optuna's number of the attempt.
        slot: Number of the first attempt at the same trial; it names the trial's folder.
        retries: How many workers died in earlier attempts, while their command went on.
        state: Optuna's name of the state, such as ``RUNNING`` or ``COMPLETE``.
        params: The drawn point, as Optuna stores it.
        fixed: What of the point was given before it was drawn.
        drawn: Whether all of the point was drawn.
        values: The objectives; empty unless complete.
        evaluations: Evaluations reported to the pruner.
        begun: When a worker took the attempt.
        ended: When the attempt ended.
        retry_of: Number of the attempt whose worker died.
        home: Host and folder of the worker.
        command: Process number of the command that the worker belongs to.
        surplus: Whether another machine had taken the last slot first; it is not run.
        failure: Why the attempt failed by its own fault.
        config_sha256: Identity of the trial's resolved configuration.
        seconds: How long the trial took.
        epochs: Epochs trained.
        parameters: Parameters allocated.
    """

    number: int
    slot: int
    retries: int
    state: str
    params: Mapping[str, Any]
    fixed: Mapping[str, Any]
    drawn: bool
    values: tuple[float, ...]
    evaluations: int
    begun: datetime | None
    ended: datetime | None
    retry_of: int | None
    home: str | None
    command: int | None
    surplus: bool
    failure: str | None
    config_sha256: str | None
    seconds: float | None
    epochs: float | None
    parameters: int | None

    @classmethod
    def of(cls, trial: FrozenTrial) -> Attempt:
        """Read one of Optuna's trials."""
        notes, state = trial.user_attrs, trial.state.name
        return cls(
            number=trial.number,
            slot=int(notes.get("slot", trial.number)),
            retries=int(notes.get("attempt", 0)),
            state=state,
            params=trial.params,
            fixed=trial.system_attrs.get("fixed_params", {}),
            drawn="drawn" in notes,
            values=tuple(trial.values) if state == COMPLETE else (),
            evaluations=len(trial.intermediate_values),
            begun=trial.datetime_start,
            ended=trial.datetime_complete,
            retry_of=notes.get("retry_of"),
            home=notes.get("home"),
            command=notes.get("command"),
            surplus="surplus" in notes,
            failure=notes.get("failure"),
            config_sha256=notes.get("config_sha256"),
            seconds=notes.get("seconds"),
            epochs=notes.get("epochs"),
            parameters=notes.get("parameters"),
        )

    def next(self, retries: int) -> dict[str, Any]:
        """Return the user attributes of the attempt that follows this one."""
        return {"retry_of": self.number, "slot": self.slot, "attempt": retries}


@dataclass(frozen=True)
class TrialResult:
    """What a complete trial resulted in.

    Attributes:
        values: The objectives, in order.
        config_sha256: Identity of the trial's resolved configuration.
        seconds: How long the trial took.
        epochs: Epochs trained.
        parameters: Parameters allocated.
        validation: ``logloss`` and ``auc`` on the validation rows.
    """

    values: tuple[float, ...]
    config_sha256: str
    seconds: float
    epochs: float
    parameters: int
    validation: Mapping[str, float]

    def note(self, trial: Trial) -> None:
        """Write the result into Optuna's trial, as user attributes."""
        for name in ("seconds", "epochs", "parameters", "validation"):
            trial.set_user_attr(name, getattr(self, name))


@dataclass(frozen=True)
class TrialNote:
    """``trials/NNNN.json``: how a trial ended, written before Optuna's study is updated.

    Attributes:
        slot: Number of the trial.
        number: Optuna's number of the attempt that ended.
        state: ``COMPLETE``, ``PRUNED`` or ``FAIL``.
        reason: Why the trial was pruned or failed.
        traceback: Where it failed.
        result: What it resulted in, if complete.
    """

    slot: int
    number: int
    state: str
    reason: str = ""
    traceback: str = ""
    result: TrialResult | None = None

    def save(self, path: Path) -> None:
        """Write the note; its folder is made."""
        data: dict[str, Any] = {"slot": self.slot, "number": self.number, "state": self.state}
        data |= {k: v for k, v in (("said", self.reason), ("traceback", self.traceback)) if v}
        if self.result is not None:
            data |= asdict(self.result)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, data)

    @classmethod
    def load(cls, path: Path) -> TrialNote | None:
        """Read a note; None if there is none."""
        if not path.is_file():
            return None
        data = json.loads(path.read_text(encoding="utf-8"))
        result = None
        if data["state"] == COMPLETE:
            names = TrialResult.__dataclass_fields__
            result = TrialResult(**{**{n: data[n] for n in names}, "values": tuple(data["values"])})
        return cls(
            data["slot"],
            data["number"],
            data["state"],
            reason=data.get("said", ""),
            traceback=data.get("traceback", ""),
            result=result,
        )
