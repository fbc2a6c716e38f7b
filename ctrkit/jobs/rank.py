"""``ctrkit rank``: features and crosses by what they tell about the label."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from ctrkit.errors import RunFolderError
from ctrkit.runs.inputs import DataOptions, PathLike, open_job, text_options
from ctrkit.runs.ranking import run_ranking

if TYPE_CHECKING:
    from ctrkit.rank import Ranking
SAMPLE_ROWS = 20_000


def rank(
    data: PathLike,
    *,
    out: PathLike = "rank",
    score: str = "gain",
    order: int = 1,
    evaluate: int | None = None,
    seconds: float | None = None,
    noise_controls: bool = False,
    three_mr: int = 0,
    missing: Sequence[str] = ("",),
    rare: int = 5,
    redundant: float = 0.8,
    tokens: int = 20,
    replicates: int = 10,
    seed: int = 0,
    crosses: int = 0,
    report: bool = True,
    force: bool = False,
    executor: Executor | None = None,
    progress: Any = None,
    **options: Unpack[DataOptions],
) -> Ranking:
    """Rank every feature of raw rows, and crosses of two, without training or encoding.

    Args:
        data: File, glob, directory or URL.
        out: Folder to write: ``rank.parquet``, ``rank.csv``, ``rank.json``, the narrowed
            ``schema.toml`` and ``report.html``. An earlier ranking needs ``force``.
        score: ``gain``, ``adj``, ``ami``, ``mi``, ``z``, ``outrank`` or ``randomised``.
        order: 1: features; 2: also crosses of two.
        evaluate: Crosses whose gain is computed; None: the best twentieth of the screen.
        seconds: Time for the crosses.
        noise_controls: Plant columns without meaning; what scores below the best is noise.
        three_mr: Features, the best that are not noise, to put in 3MR order.
        missing: Texts that mean a missing value, besides null.
        rare: A value is rare below this many rows.
        redundant: Adjusted mutual information from which two features count as one.
        tokens: Tokens of a list that are ranked as 0/1 features.
        replicates: Permutations of the ``randomised`` score.
        seed: Of the ``randomised`` score.
        crosses: Best crosses that the narrowed schema declares as fields.
        report: Write ``report.html`` and ``report.md``.
        force: Replace an earlier ranking in ``out``.
        executor: Counts the files side by side; any ``concurrent.futures.Executor``.
        progress: Object with ``update(stage, done, total, text)``.
        **options: See :class:`~ctrkit.runs.inputs.DataOptions`.
    """
    folder = Path(out)
    _refuse_folder(folder, force=force)
    place = text_options(data, options)
    with ThreadPoolExecutor(1) as pool:  # imports take as long as rows to read
        rooms = [pool.submit(import_module, name) for name in ("ctrkit.rank", "numpy.ma")]
        rows = open_job(place, options, hold=True, rows=SAMPLE_ROWS)
    for room in rooms:
        room.result()
    from ctrkit.rank import RankOptions

    chosen = RankOptions(
        score=score,
        order=order,
        evaluate=evaluate,
        seconds=seconds,
        noise_controls=noise_controls,
        three_mr=three_mr,
        missing=tuple(missing),
        rare=rare,
        redundant=redundant,
        tokens=tokens,
        replicates=replicates,
        seed=seed,
    )
    return run_ranking(
        rows.source,
        rows.schema,
        folder,
        chosen,
        crosses=crosses,
        report=report,
        executor=executor,
        progress=progress,
    )


def _refuse_folder(folder: Path, *, force: bool) -> None:
    if folder.is_file():
        raise RunFolderError(f"{str(folder)!r} is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / "rank.json").is_file():
            raise RunFolderError(f"{str(folder)!r} holds other files; name a new folder")
        if not force:
            raise RunFolderError(
                f"{str(folder)!r} holds another ranking; name a new folder or give --force"
            )
