"""The progress bar of long verbs."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from ctrkit.cli.printing import stderr
from ctrkit.printable import one_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressBar:
    """A bar on a terminal, nothing elsewhere: evaluations are logged there, one line each.

    Usage: ``with ProgressBar() as progress: jobs.train(data, progress=progress)``.
    """

    def __init__(self) -> None:
        self.bar: Progress | None = None
        self.task: TaskID | None = None
        self.stage = ""

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def update(self, stage: str, done: int, total: int | None, text: str = "") -> None:
        """Show that ``done`` of ``total`` steps of a stage are done.

        Args:
            stage: Name of the stage; a new name starts a new bar.
            done: Steps done so far.
            total: Steps of the stage; None: unknown.
            text: Shown next to the bar, such as the last loss.
        """
        if not stderr().is_terminal:
            return
        stage, text = one_line(stage), one_line(text)
        if self.bar is None:
            self.bar = _start_bar()
        if self.task is None or stage != self.stage:
            if self.task is not None:
                self.bar.remove_task(self.task)
            self.task = self.bar.add_task(stage, total=total, text=text)
            self.stage = stage
        self.bar.update(self.task, completed=done, total=total, text=text)


def _start_bar() -> Progress:
    from rich import progress

    bar = progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        "{task.completed}/{task.total}",
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[text]}", markup=False),
        console=stderr(),
        transient=True,
    )
    bar.start()
    return bar
