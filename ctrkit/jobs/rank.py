"""``ctrkit rank``: features and crosses, ranked by how well they predict the label."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from ctrkit.records import Progress
from ctrkit.runs.inputs import DataOptions, PathLike, open_job, text_options
from ctrkit.runs.lock import folder_lock
from ctrkit.runs.ranking import RankFiles, claim_ranking, run_ranking

if TYPE_CHECKING:
    from ctrkit.rank import Ranking
SAMPLE_ROWS = 20_000
"""Rows that a schema is inferred from."""


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
    safe_csv: bool = False,
    force: bool = False,
    executor: Executor | None = None,
    progress: Progress | None = None,
    **options: Unpack[DataOptions],
) -> Ranking:
    """Rank every feature of raw rows, and crosses of two, without training or encoding.

    Args:
        data: File, glob, directory or URL.
        out: Folder to write: ``rank.parquet``, ``rank.csv``, ``rank.json``, the narrowed
            ``schema.toml`` and ``report.html``. An earlier ranking needs ``force``.
        score: Name of a score, such as ``gain``; see ``ctrkit list scores``.
        order: 1: features; 2: also crosses of two.
        evaluate: Number of crosses whose gain is computed; None: the best 5 % of the screening.
        seconds: Time limit of the crosses.
        noise_controls: Add random columns; a feature that scores below the best one is noise.
        three_mr: Number of the best features above noise that are put in 3MR order.
        missing: Texts that mean a missing value, besides null.
        rare: Number of rows below which a value is rare.
        redundant: Adjusted mutual information from which two features count as redundant.
        tokens: Number of tokens of a list that are ranked as 0/1 features.
        replicates: Number of permutations of the ``randomised`` score.
        seed: Seed of the permutations of the ``randomised`` score; nothing is trained.
        crosses: Number of the best crosses that the narrowed schema declares as fields.
        report: Whether to write ``report.html`` and ``report.md``.
        safe_csv: Keep spreadsheets from reading names in ``rank.csv`` as formulas.
        force: Overwrite an earlier ranking in ``out``.
        executor: Counts the files in parallel; any ``concurrent.futures.Executor``.
        progress: Shows how far the job is.
        **options: See :class:`~ctrkit.runs.inputs.DataOptions`.
    """
    folder = Path(out)
    with folder_lock(folder):
        claim_ranking(folder, force=force)
        text = text_options(data, options)
        with ThreadPoolExecutor(1) as pool:  # importing takes as long as reading: do both at once
            imports = [pool.submit(import_module, name) for name in ("ctrkit.rank", "numpy.ma")]
            rows = open_job(text, options, hold=True, rows=SAMPLE_ROWS)
        for module in imports:
            module.result()
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
            RankFiles(crosses, report, safe_csv),
            executor=executor,
            progress=progress,
        )
