"""Rank every feature, and crosses of two, of any columnar source: no training, no encoding.

The default ranker: OutRank (arXiv 2309.01552) in an exact, mergeable form; see
``docs/methods.md``, section OutRank.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from itertools import combinations

import numpy as np

from ctrkit.data.read.sources import Source
from ctrkit.data.sample import hashed_columns
from ctrkit.errors import DataError, SchemaError
from ctrkit.rank.coded import parallel
from ctrkit.rank.coding import CodedFeatures, code_features
from ctrkit.rank.controls import CONTROL
from ctrkit.rank.counting import Counting, count
from ctrkit.rank.crosses import CrossRanker, Progress
from ctrkit.rank.describe import describe
from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import Flag, all_flags
from ctrkit.rank.flags.noise import flag_noise
from ctrkit.rank.likeness import shared_information
from ctrkit.rank.null import Ints
from ctrkit.rank.options import DEFAULTS, RankOptions
from ctrkit.rank.redundancy import (
    compared_features,
    flag_identical,
    flag_redundant,
    possible_twins,
)
from ctrkit.rank.result import (
    Chosen,
    CrossCounts,
    RankFacts,
    Ranking,
    RankRow,
    RedundantPair,
)
from ctrkit.rank.row_flags import flag_rows
from ctrkit.rank.row_profile import first_rows, row_profile
from ctrkit.rank.rows import RowClasses, row_classes
from ctrkit.rank.scores.base import RankingScore, ScoreContext
from ctrkit.rank.screen import screen
from ctrkit.rank.statistics import Scorer
from ctrkit.rank.tables import tables
from ctrkit.rank.three_mr import three_mr
from ctrkit.registry import registry
from ctrkit.schema import Schema


def rank_source(
    source: Source,
    schema: Schema,
    options: RankOptions = DEFAULTS,
    *,
    executor: Executor | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Ranking:
    """Rank the features of raw rows.

    Args:
        source: Rows.
        schema: What columns mean; names the label.
        options: What is ranked, and how.
        executor: Counts files in parallel; any ``concurrent.futures.Executor``.
        progress: Called with the stage, the number done, and the total (None: not known).

    Raises:
        SchemaError: The schema declares no label.
        DataError: The rows cannot be ranked: no label, one class, no rows.
    """
    clock = _Clock()
    reserved = [name for name in schema.names if name.startswith(CONTROL)]
    if reserved:
        raise SchemaError(
            f"field {reserved[0]!r} has a name that noise controls need; rename the column, or "
            "leave it out: --ignore"
        )
    rows = row_classes(source, schema)
    head = first_rows(source, schema, rows)
    hashed = tuple(hashed_columns(head.frame, str(schema.label)))
    counting = Counting(source, schema, rows, options.noise_controls, hashed)
    progress("counting", 0, None)
    counted = count(counting, executor)
    counts, sample = counted.counts, counted.sample
    del counted
    clock.lap("count_s")
    totals = counts.totals.reshape(-1, rows.classes)
    scorer = _scorer(totals.sum(axis=0), rows, schema)
    count_tables = tables(counts, rows, options.missing, options.tokens)  # empties the counts
    parts = [[t for t in count_tables if t.name.startswith(CONTROL) is c] for c in (False, True)]
    features, controls = (describe(p, scorer, totals, options.rare) for p in parts)
    clock.lap("score_s")
    profile = row_profile(head, schema, rows)
    score = _set_scores([*features, *controls], source, schema, scorer, options)
    best_control = max((f.score for f in controls if f.score is not None), default=None)
    flag_noise(features, best_control)
    duplicates = flag_rows(features, sample, schema, scorer)
    compared, pairs = _compare(counting, features, options, progress)
    clock.lap("redundancy_s")
    crosses, crossed = _rank_crosses(compared, scorer, score, options, progress)
    chosen = _three_mr_order(compared, scorer, options.three_mr)
    clock.lap("crosses_s")
    facts = RankFacts(
        row_profile=profile,
        duplicates=duplicates,
        redundant_pairs=pairs,
        crosses=crossed,
        three_mr=chosen,
        rows=scorer.null.rows,
        files=len(source.files),
        label=str(schema.label),
        classes=dict(zip(rows.names, scorer.null.totals.tolist(), strict=True)),
        label_entropy=scorer.null.entropy,
        score=options.score,
        periods=rows.periods,
        controls={f.name: f.score for f in controls},
        best_control=best_control,
        timings=clock.timings,
    )
    ranking = _ranking(features, crosses, facts, schema)
    ranking = _with_warning(ranking, duplicates.message() if duplicates else None)
    return _with_warning(ranking, rows.weights.warning if rows.weights else None)


def _with_warning(ranking: Ranking, text: str | None) -> Ranking:
    return replace(ranking, warnings=(*ranking.warnings, text)) if text else ranking


def _scorer(by_class: Ints, rows: RowClasses, schema: Schema) -> Scorer:
    if not by_class.sum():
        raise DataError("the data has no rows")
    if (by_class == 0).any():
        only = rows.names[int(by_class.argmax())]
        raise DataError(
            f"label {schema.label!r} must have at least two classes; got {only} in all "
            f"{int(by_class.sum())} rows: name another label"
        )
    return Scorer(by_class)


def _set_scores(
    features: Sequence[Feature],
    source: Source,
    schema: Schema,
    scorer: Scorer,
    options: RankOptions,
) -> RankingScore:
    score: RankingScore = registry.get("score", options.score)()
    context = ScoreContext(source, schema, scorer, options.replicates, options.seed)
    for f, value in zip(features, score.of_features(features, context), strict=True):
        f.score = value
    return score


def _compare(
    counting: Counting, features: Sequence[Feature], options: RankOptions, progress: Progress
) -> tuple[CodedFeatures | None, list[RedundantPair] | None]:
    """Flag identical and redundant features; return the codes, and the redundant pairs."""
    twins = possible_twins(features)
    all_pairs = options.order == 2 or options.three_mr > 0
    chosen = compared_features(features, twins, options.redundant, pairs=all_pairs)
    if len(chosen) < 2:
        return None, None
    progress("reading again", 0, None)
    compared = code_features(counting, chosen)
    flag_identical(compared, twins)
    return compared, flag_redundant(compared, options.redundant)


def _rank_crosses(
    compared: CodedFeatures | None,
    scorer: Scorer,
    score: RankingScore,
    options: RankOptions,
    progress: Progress,
) -> tuple[list[RankRow], CrossCounts | None]:
    if options.order == 1:
        return [], None
    if compared is None:
        return [], CrossCounts(0, 0, 0, 0)
    return CrossRanker(compared, scorer, score, options, progress).rank()


def _three_mr_order(
    compared: CodedFeatures | None, scorer: Scorer, count: int
) -> list[Chosen] | None:
    """Put the best features in 3MR order, by adjusted scores in place of the published ones."""
    if compared is None:
        return None
    features, coded = compared.features, compared.coded
    best = sorted(compared.live, key=lambda i: (-_sortable(features[i].score), i))[:count]
    if len(best) < 2:
        return None
    places = list(combinations(range(len(best)), 2))
    pairs = [(best[i], best[j]) for i, j in places]
    joints = screen(coded, [0.0] * len(features), pairs, scorer)
    sizes = compared.sizes
    shared = parallel(lambda pair: shared_information(coded, sizes, pair), pairs)
    relevance = np.array([features[i].statistics.information.adj for i in best])
    redundancy, relation = (np.zeros((len(best), len(best))) for _ in range(2))
    for (i, j), joint, both in zip(places, joints, shared, strict=True):
        relation[i, j] = relation[j, i] = joint.information.adj
        redundancy[i, j] = redundancy[j, i] = both
    order, values = three_mr(relevance, redundancy, relation)
    return [Chosen(features[best[i]].name, value) for i, value in zip(order, values, strict=True)]


def _ranking(
    features: Sequence[Feature], crosses: Sequence[RankRow], facts: RankFacts, schema: Schema
) -> Ranking:
    """Sort the features and their flags; add warnings, and the fields worth keeping."""
    severity = list(all_flags())
    for f in features:
        f.flags = dict(sorted(f.flags.items(), key=lambda item: severity.index(item[0])))
    ranked = sorted(features, key=lambda f: (-_sortable(f.score), f.name))
    return Ranking(
        features=(*(f.row(rank) for rank, f in enumerate(ranked, 1)), *crosses),
        details={f.name: f.details() for f in ranked},
        facts=facts,
        warnings=tuple(_warnings(ranked)),
        kept=tuple(_kept(features, crosses, schema)),
    )


def _warnings(features: Sequence[Feature]) -> list[str]:
    flags = all_flags()
    covered = {f.name: {c for name in f.flags for c in flags[name].covers} for f in features}
    return [
        f"{f.name!r} is {flag.phrase or name}: {flag.message(f.flags[name])}{_way_out(flag, f)}"
        for name, flag in flags.items()
        if flag.warns
        for f in features
        if name in f.flags and name not in covered[f.name]
    ]


def _way_out(flag: Flag, feature: Feature) -> str:
    """Return what to do about a field that may leak the label."""
    if not flag.leaks or feature.is_token:
        return ""
    if flag.drops == "always":
        return "; the narrowed schema leaves it out"
    return f"; leave it out with --ignore {feature.name}, unless it is known when a model predicts"


def _kept(features: Sequence[Feature], crosses: Sequence[RankRow], schema: Schema) -> list[str]:
    """Return the fields worth training on: those with signal, alone or in a cross."""
    flags = all_flags()
    crossed = {m for row in crosses if row.gain and not row.flags for m in row.members}
    kept, dropped = set(), set()
    for f in features:
        drops = {flags[name].drops for name in f.flags}
        if "always" in drops:
            if not f.is_token:
                dropped.add(f.name)
        elif "alone" not in drops or f.name in crossed:
            kept.add(f.table.field.name)
    return [name for name in schema.names if name in kept - dropped]


def _sortable(score: float | None) -> float:
    return -math.inf if score is None else score


class _Clock:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.timings[name], self._last = now - self._last, now
