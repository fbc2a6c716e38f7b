"""Rank every feature, and crosses of two, of any columnar source: no training, no encoding.

The default ranker: OutRank (arXiv 2309.01552) in its exact, mergeable form (outrank.md 2).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import combinations
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from ctrkit.data.read.sources import Source
from ctrkit.errors import ConfigError, DataError, nearest
from ctrkit.metrics.mapped import MappedColumn
from ctrkit.rank.null import Ints, over_classes
from ctrkit.rank.outrank import outrank_scores, randomised
from ctrkit.rank.pairs import (
    Coded,
    Codes,
    Joint,
    cells_of,
    gain_over_additive,
    likeness,
    log_odds,
    parallel,
    screen,
    shared_information,
)
from ctrkit.rank.quality import (
    SERIOUS,
    Drift,
    drift_flags,
    flags_of,
    identical,
    missing_table,
    row_profile,
    shape_of,
)
from ctrkit.rank.result import (
    SCHEMA,
    Chosen,
    CrossCounts,
    FeatureDetails,
    RankFacts,
    Ranking,
    RankRow,
    RedundantPair,
    RowMeasure,
    RowProfile,
    Signal,
    Thirds,
)
from ctrkit.rank.rows import RowClasses, row_classes
from ctrkit.rank.scores import (
    Score,
    Scorer,
    Spectrum,
    benjamini_hochberg,
    interval,
    sampling_interval,
)
from ctrkit.rank.tables import CONTROL, MISSING_TEXT, Counting, Table, count, tables
from ctrkit.rank.three_mr import three_mr
from ctrkit.schema import Schema

ScoreName = Literal["gain", "adj", "ami", "mi", "z", "outrank", "randomised"]
SCORES: tuple[ScoreName, ...] = get_args(ScoreName)
COLUMNS = tuple(SCHEMA)
NOISE_Q = 0.05
LEAST_EVALUATED = 50
LEAST_EVIDENCE = 3.0
LEAST_SYNERGY = 2.0
PROFILE_ROWS = 1_000
Row = dict[str, Any]


@dataclass(frozen=True)
class RankOptions:
    """What a ranking does beyond the defaults.

    Attributes:
        score: What features are sorted by.
        order: 1: features; 2: also crosses of two.
        evaluate: Crosses whose gain is computed; None: the best twentieth, at least 50.
        seconds: Time for the crosses; what is not reached is said.
        noise_controls: Plant columns without meaning; what scores below the best is noise.
        three_mr: Features, the best that are not noise, to put in 3MR order; 0: none.
        missing: Texts that mean a missing value, besides null.
        rare: A value is rare below this many rows.
        redundant: Adjusted mutual information from which two features are one.
        tokens: Tokens of a list that become 0/1 features.
        replicates: Permutations of the ``randomised`` score.
        seed: Of the ``randomised`` score.
    """

    score: ScoreName = "gain"
    order: int = 1
    evaluate: int | None = None
    seconds: float | None = None
    noise_controls: bool = False
    three_mr: int = 0
    missing: tuple[str, ...] = MISSING_TEXT
    rare: int = 5
    redundant: float = 0.8
    tokens: int = 20
    replicates: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            hint = nearest(self.score, SCORES)
            raise ConfigError(f"a score is one of {', '.join(SCORES)}; got {self.score!r}{hint}")
        for name, low, high in (
            ("order", 1, 2),
            ("evaluate", 0, math.inf),
            ("seconds", 0, math.inf),
            ("three_mr", 0, math.inf),
            ("rare", 1, math.inf),
            ("redundant", 0, 1),
            ("tokens", 0, math.inf),
            ("replicates", 1, math.inf),
            ("seed", 0, 2**32 - 1),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                upto = "" if high == math.inf else f" to {high}"
                raise ConfigError(
                    f"{name} is {'' if upto else 'at least '}{low}{upto}; got {value}"
                )
        if self.score == "outrank" and self.order == 2:
            raise ConfigError("score 'outrank' ranks single features; leave --order at 1")


def rank_source(
    source: Source,
    schema: Schema,
    options: RankOptions = RankOptions(),
    *,
    executor: Executor | None = None,
    progress: Callable[[str, int, int | None], None] = lambda stage, done, total: None,
) -> Ranking:
    """Rank the features of raw rows.

    Args:
        source: The rows.
        schema: What columns mean; names the label.
        options: What is ranked, and how.
        executor: Counts files side by side; any ``concurrent.futures.Executor``.
        progress: Is told the stage, what is done and of how much.

    Raises:
        DataError: The rows cannot be ranked: no label, one class, no rows.
    """
    return _Job(source, schema, options, progress).run(executor)


@dataclass
class _Feature:
    """A feature on its way through the job."""

    table: Table
    row: Row
    score: Score
    evidence: dict[str, Any]
    flags: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.table.name


class _Job:
    def __init__(
        self,
        source: Source,
        schema: Schema,
        options: RankOptions,
        progress: Callable[[str, int, int | None], None],
    ) -> None:
        self.source, self.schema, self.options, self.progress = source, schema, options, progress
        self.timings: dict[str, float] = {}
        self.facts: dict[str, Any] = {}

    def run(self, executor: Executor | None) -> Ranking:
        self.started = time.perf_counter()
        self.rows = row_classes(self.source, self.schema)
        counting = Counting(self.source, self.schema, self.rows, self.options.noise_controls)
        self.progress("counting", 0, None)
        counts = count(counting, executor)
        self._lap("count_s")
        self.totals = counts.totals.reshape(-1, self.rows.classes)
        self._check()
        self.scorer = Scorer(self.totals.sum(axis=0))
        found = tables(counts, self.rows, self.options.missing, self.options.tokens)
        del counts  # emptied
        features = self._singles([t for t in found if not t.name.startswith(CONTROL)])
        controls = self._singles([t for t in found if t.name.startswith(CONTROL)])
        self._lap("score_s")
        self._profile()
        self._noise(features, controls)
        self._alike(counting, features)
        self._lap("redundancy_s")
        crosses = self._crosses() if self.options.order == 2 else []
        self._three_mr()
        self._lap("crosses_s")
        return self._finish(features, controls, crosses)

    def _lap(self, name: str) -> None:
        now = time.perf_counter()
        self.timings[name] = now - self.started - sum(self.timings.values())

    def _check(self) -> None:
        by_class = self.totals.sum(axis=0)
        if not by_class.sum():
            raise DataError("the data has no rows")
        if (by_class == 0).any():
            only = self.rows.names[int(by_class.argmax())]
            raise DataError(
                f"label {self.schema.label!r} is {only} in all {int(by_class.sum())} rows: "
                "nothing to rank by; name another label"
            )

    # --- single features ------------------------------------------------------------------------

    def _singles(self, found: Sequence[Table]) -> list[_Feature]:
        scores = self.scorer.score([Spectrum.of(t.by_class) for t in found])
        drift = Drift(self.totals) if len(self.totals) > 1 else None
        features = []
        for table, score in zip(found, scores, strict=True):
            shape = shape_of(table, self.options.rare)
            row: Row = dict.fromkeys(COLUMNS)
            row |= {
                "name": table.name,
                "members": [table.field.name],
                "order": 1,
                "cardinality": shape.cardinality,
                "coverage": shape.coverage,
                "rare_share": shape.rare_share,
                **{k: v for k, v in asdict(score).items() if k != "strength"},
            }
            evidence: dict[str, Any] = {
                "kind": "token" if table.token is not None else table.field.kind,
                "strength": score.strength,
                "top_share": shape.top_share,
                "repetitions": shape.repetitions,
                "interval": sampling_interval(table.by_class, score.adj),
                "noise_interval": interval(score.emi, score.sd),
                **self._missing(table),
            }
            flags = flags_of(table, shape, score.gain, score.adj, self.scorer)
            if drift is not None:
                row["drift"], parts = drift.of(table)
                evidence["by_third"] = parts
                flags |= drift_flags(row["drift"], parts)
            features.append(_Feature(table, row, score, evidence, flags))
        return features

    def _missing(self, table: Table) -> dict[str, Any]:
        """Score a feature without its missing rows, and the missingness by itself."""
        if not table.missing.any():
            return {}
        indicator = self.scorer.score([Spectrum.of(missing_table(table))])[0]
        found: dict[str, Any] = {
            "missing": {k: getattr(indicator, k) for k in ("gain", "adj", "p")}
        }
        known = table.known
        if len(known) and (known.sum(axis=0) > 0).all():
            apart = Scorer(known.sum(axis=0)).score([Spectrum.of(known)])[0]
            found["known"] = {k: getattr(apart, k) for k in ("gain", "adj", "p")}
        return found

    def _noise(self, features: list[_Feature], controls: list[_Feature]) -> None:
        """Set score and q of every feature, and flag the noise among them."""
        self._set_scores([*features, *controls])
        for f, q in zip(features, benjamini_hochberg([f.score.p for f in features]), strict=True):
            f.row["q"] = q
        floor = max((f.row["score"] for f in controls if f.row["score"] is not None), default=None)
        self.floor = floor
        for f in features:
            below = floor is not None and (f.row["score"] is None or f.row["score"] <= floor)
            if f.row["q"] > NOISE_Q or below:
                f.flags["noise"] = {"q": f.row["q"], "best_control": floor}
        for group in identical([f.table for f in features]):
            for i in group[1:]:
                features[i].evidence["like"] = features[group[0]].name

    def _set_scores(self, features: Sequence[_Feature]) -> None:
        name = self.options.score
        if name == "outrank":
            singles = [f for f in features if f.table.token is None]
            found = outrank_scores(self.source, self.schema, [f.table.field for f in singles])
            for f, value in zip(singles, found, strict=True):
                f.row["score"] = value
            return
        for f in features:
            if name == "randomised":
                spectrum_of = f.table.by_class
                f.row["score"] = randomised(
                    spectrum_of, self.scorer, self.options.replicates, self.options.seed
                )
            else:
                f.row["score"] = getattr(f.score, name)

    # --- pairs ----------------------------------------------------------------------------------

    def _code(self, counting: Counting, chosen: list[Table]) -> Coded:
        """Read the rows once more as dense codes of the chosen features."""
        columns = [MappedColumn(np.min_scalar_type(t.size - 1)) for t in chosen]
        label, weight = MappedColumn(np.uint8), MappedColumn(np.int64)
        for chunk in counting.all_chunks([t.field.name for t in chosen]):
            found = parallel(partial(_codes, chunk.frame), chosen)
            for column, codes in zip(columns, found, strict=True):
                column.add(codes)
            label.add(self.rows.label_of(chunk))
            weight.add(self.rows.weight_of(chunk))
        return Coded(
            columns=[column.array() for column in columns],
            sizes=[t.size for t in chosen],
            label=label.array(),
            classes=self.rows.classes,
            weight=weight.array(),
        )

    def _alike(self, counting: Counting, features: list[_Feature]) -> None:
        """Find identical and redundant features; keep the codes for the crosses."""
        fields = [f for f in features if f.table.token is None and f.table.size > 2]
        alike = [f for f in fields if "like" in f.evidence]
        every = self.options.order == 2 or self.options.three_mr
        wanted = fields if every else self._close(fields)
        names = {f.name for f in [*wanted, *alike]} | {f.evidence["like"] for f in alike}
        self.coded_features = [f for f in features if f.name in names and f.table.token is None]
        if len(self.coded_features) < 2:
            return
        self.progress("reading again", 0, None)
        tables = [f.table for f in self.coded_features]
        self.coded = self._code(counting, tables)
        self._flag_identical()
        self._group()

    def _close(self, fields: list[_Feature]) -> list[_Feature]:
        """Return the features whose entropies allow redundancy with another."""
        live = [f for f in fields if "noise" not in f.flags]
        entropy = [_entropy(over_classes(f.table.by_class)) for f in live]
        near = set()
        for i, j in combinations(range(len(live)), 2):
            low, high = sorted((entropy[i], entropy[j]))
            if low > 0 and low >= self.options.redundant * (low + high) / 2:
                near |= {i, j}
        return [live[i] for i in sorted(near)]

    def _flag_identical(self) -> None:
        place = {f.name: i for i, f in enumerate(self.coded_features)}
        for f in self.coded_features:
            other = f.evidence.pop("like", None)
            if other is None or other not in place:
                continue
            twin = self.coded_features[place[other]].table
            same = np.array_equal(
                self.coded.columns[place[f.name]], self.coded.columns[place[other]]
            )
            assert twin.keys is not None
            assert f.table.keys is not None
            if same and f.table.keys.sort().equals(twin.keys.sort()):
                f.flags["identical"] = {"to": other}

    def _group(self) -> None:
        """Number the redundancy groups: single linkage; the best of a group is not flagged."""
        live = [i for i, f in enumerate(self.coded_features) if "noise" not in f.flags]
        counts = [f.table.sizes for f in self.coded_features]
        pairs = list(combinations(live, 2))
        found = likeness(self.coded, counts, self.options.redundant, pairs)
        groups: dict[int, set[int]] = {}
        for alike in found:
            joined = set(alike.pair)
            for i in alike.pair:
                joined |= groups.get(i, set())
            groups |= dict.fromkeys(joined, joined)
        distinct = sorted({tuple(sorted(g)) for g in groups.values()})
        self.facts["redundant_pairs"] = [
            {
                "features": [self.coded_features[i].name for i in a.pair],
                "ami": a.ami,
                "exact": a.exact,
            }
            for a in found
        ]
        for number, members in enumerate(distinct, 1):
            best = max(members, key=lambda i: _sort_value(self.coded_features[i].row))
            for i in members:
                f = self.coded_features[i]
                f.row["redundancy_group"] = number
                if i != best:
                    f.flags["redundant"] = {"with": self.coded_features[best].name}

    def _crosses(self) -> list[Row]:
        fields = self.coded_features if len(self.coded_features) > 1 else []
        usable = [i for i, f in enumerate(fields) if not {"identical", "near_copy"} & set(f.flags)]
        pairs = list(combinations(usable, 2))
        pairs.sort(key=lambda p: fields[p[0]].table.size * fields[p[1]].table.size)
        deadline = math.inf if self.options.seconds is None else self.options.seconds
        began = time.perf_counter()

        def go_on(stage: str, done: int, total: int) -> bool:
            self.progress(stage, done, total)
            return time.perf_counter() - began < deadline

        joints: list[Joint] = []
        if pairs:
            adjusted = [f.score.adj for f in fields]
            joints = screen(
                self.coded,
                adjusted,
                pairs,
                self.scorer,
                lambda done: go_on("screening crosses", done, len(pairs)),
            )
        joints.sort(key=lambda j: (-j.synergy_z, j.pair))
        most = self.options.evaluate
        most = max(LEAST_EVALUATED, math.ceil(len(pairs) / 20)) if most is None else most
        gains: list[float] = []
        for start in range(0, min(most, len(joints)), 16):
            batch = joints[start : min(start + 16, most)]
            gains += parallel(lambda pair: self._gain(pair), [j.pair for j in batch])
            if not go_on("evaluating crosses", len(gains), min(most, len(joints))):
                break
        self.facts["crosses"] = {
            "pairs": len(pairs),
            "screened": len(joints),
            "evaluated": len(gains),
            "not_screened": len(pairs) - len(joints),
        }
        q = benjamini_hochberg([j.p for j in joints])
        return [
            self._cross_row(j, q[i], gains[i] if i < len(gains) else None)
            for i, j in enumerate(joints)
        ]

    def _three_mr(self) -> None:
        """Put the best features in 3MR order, by adjusted scores in place of the published."""
        live = [i for i, f in enumerate(self.coded_features) if "noise" not in f.flags]
        live.sort(key=lambda i: (-_sort_value(self.coded_features[i].row), i))
        live = live[: self.options.three_mr]
        if len(live) < 2:
            return
        relevance = np.array([self.coded_features[i].score.adj for i in live])
        redundancy, relation = (np.zeros((len(live), len(live))) for _ in range(2))
        pairs = list(combinations(range(len(live)), 2))
        joints = screen(
            self.coded,
            [0.0] * len(self.coded_features),
            [(live[i], live[j]) for i, j in pairs],
            self.scorer,
        )
        counts = [f.table.sizes for f in self.coded_features]
        shared = parallel(
            lambda p: shared_information(self.coded, counts, p), [j.pair for j in joints]
        )
        for (i, j), joint, both in zip(pairs, joints, shared, strict=True):
            relation[i, j] = relation[j, i] = joint.adj
            redundancy[i, j] = redundancy[j, i] = both
        order, values = three_mr(relevance, redundancy, relation)
        self.facts["three_mr"] = [
            {"name": self.coded_features[live[i]].name, "value": v}
            for i, v in zip(order, values, strict=True)
        ]

    def _gain(self, pair: tuple[int, int]) -> float:
        """Return the gain over additive: of the second class, or the largest of one against all."""
        a, b = (self.coded_features[i] for i in pair)
        key, counts = cells_of(self.coded, pair)
        gains = []
        for c in range(1 if self.rows.classes == 2 else 0, self.rows.classes):
            share = float(self.scorer.null.shares[c])
            effects = [
                log_odds(_against(f.table.code_counts, c), f.score.strength, share) for f in (a, b)
            ]
            cells = key, _against(counts, c)
            rows = self.scorer.null.rows
            gains.append(gain_over_additive(cells, b.table.size, effects[0], effects[1], rows)[0])
        return max(gains)

    def _cross_row(self, j: Joint, q: float, gain: float | None) -> Row:
        a, b = (self.coded_features[i] for i in j.pair)
        row: Row = dict.fromkeys(COLUMNS)
        sure = j.sd > 0 and j.adj >= 2 * j.sd
        row |= {
            "name": f"{a.name} x {b.name}",
            "members": [a.name, b.name],
            "order": 2,
            "gain": gain,
            "mi": j.mi,
            "emi": j.emi,
            "adj": j.adj,
            "ami": j.ami,
            "sd": j.sd,
            "z": j.z,
            "p": j.p,
            "q": q,
            "synergy": j.synergy,
            "cardinality": j.cells,
            "interaction": min(1.0, max(-1.0, j.synergy / j.adj)) if sure else None,
        }
        score = self.options.score
        row["score"] = None if score == "randomised" else row[score]
        if gain is None:
            noise = q > NOISE_Q or j.synergy_z < LEAST_SYNERGY
        else:  # in nats of all rows, beyond what the best of so many crosses reaches by luck
            least = LEAST_EVIDENCE + math.log(self.facts["crosses"]["pairs"])
            noise = gain * self.scorer.null.rows < least
        row["flags"] = ["noise"] if noise else []
        return row

    # --- the end --------------------------------------------------------------------------------

    def _profile(self) -> None:
        """Profile the quality of the first rows."""
        names = [n for n in self.schema.names if n in self.source.columns]
        columns = list(dict.fromkeys([*names, *self.rows.columns]))
        chunk = next(self.source.file_frames(0, columns, rows=1))
        head = chunk._replace(frame=chunk.frame.head(PROFILE_ROWS))
        label = self.rows.label_of(head)
        self.facts["row_profile"] = {
            "rows": head.frame.height,
            "means": row_profile(head.frame.select(names), label, list(self.rows.names)),
        }

    def _finish(
        self, features: list[_Feature], controls: list[_Feature], crosses: list[Row]
    ) -> Ranking:
        for f in features:
            f.evidence.pop("like", None)
            f.row["flags"] = sorted(f.flags, key=_severity)
        singles = sorted((f.row for f in features), key=_sort_key)
        crosses = sorted(crosses, key=_sort_key)
        for rows in (singles, crosses):
            for number, row in enumerate(rows, 1):
                row["rank"] = number
        totals = self.totals.sum(axis=0)
        self.facts |= {
            "rows": int(totals.sum()),
            "files": len(self.source.files),
            "label": self.schema.label,
            "classes": dict(zip(self.rows.names, totals.tolist(), strict=True)),
            "label_entropy": self.scorer.null.entropy,
            "score": self.options.score,
            "periods": _periods(self.rows),
            "controls": {f.name: f.row["score"] for f in controls},
            "best_control": self.floor,
            "timings": self.timings,
        }
        order = {row["name"]: row["rank"] for row in singles}
        features = sorted(features, key=lambda f: order[f.name])
        return Ranking(
            tuple(_typed(row) for row in (*singles, *crosses)),
            {f.name: _details(f) for f in features},
            _typed_facts(self.facts),
            tuple(_warnings(features)),
            tuple(self._kept(features, crosses)),
        )

    def _kept(self, features: list[_Feature], crosses: list[Row]) -> list[str]:
        """Return the fields worth training on: those with signal, alone or in a cross."""
        bad = {"constant", "identical", "near_copy", "leaking", "redundant", "broken"}
        alive = {m for row in crosses if row["gain"] and not row["flags"] for m in row["members"]}
        kept = {
            f.table.field.name
            for f in features
            if not bad & set(f.flags) and "noise" not in f.flags
        }
        kept |= {f.name for f in features if f.name in alive and not bad & set(f.flags)}
        out = {f.name for f in features if f.table.token is None and bad & set(f.flags)}
        return [n for n in self.schema.names if n in kept - out]


def _typed(row: Row) -> RankRow:
    return RankRow(**row | {"members": tuple(row["members"]), "flags": tuple(row["flags"])})


def _details(f: _Feature) -> FeatureDetails:
    evidence = dict(f.evidence)
    for name, kind in (("missing", Signal), ("known", Signal), ("by_third", Thirds)):
        if name in evidence:
            evidence[name] = kind(**evidence[name])
    return FeatureDetails(**evidence, flags=f.flags)


def _typed_facts(facts: dict[str, Any]) -> RankFacts:
    profile = facts["row_profile"]
    means = [
        RowMeasure(m["measure"], {k: v for k, v in m.items() if k != "measure"})
        for m in profile["means"]
    ]
    pairs, crosses, chosen = (facts.get(k) for k in ("redundant_pairs", "crosses", "three_mr"))
    return RankFacts(
        **facts
        | {
            "row_profile": RowProfile(profile["rows"], means),
            "redundant_pairs": None if pairs is None else [RedundantPair(**p) for p in pairs],
            "crosses": None if crosses is None else CrossCounts(**crosses),
            "three_mr": None if chosen is None else [Chosen(**c) for c in chosen],
        }
    )


def _codes(frame: pl.DataFrame, table: Table) -> Codes:
    return table.codes(frame)


def _against(counts: Ints, c: int) -> Ints:
    """Return the counts of all other classes, and of one."""
    return np.stack([over_classes(counts) - counts[:, c], counts[:, c]], axis=1)


def _entropy(counts: Ints) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def _sort_value(row: Row) -> float:
    return -math.inf if row["score"] is None else float(row["score"])


def _sort_key(row: Row) -> tuple[float, float, str]:
    """Sort by score, the unscored by synergy, ties by name."""
    synergy = -math.inf if row["synergy"] is None else float(row["synergy"])
    return -_sort_value(row), -synergy if row["score"] is None else 0.0, row["name"]


def _severity(flag: str) -> int:
    order = (*SERIOUS, "redundant", "noise", "rare")
    return order.index(flag)


def _periods(rows: RowClasses) -> str | None:
    if rows.bounds is None:
        return None
    return "thirds by file order" if rows.time is None else "thirds by time"


def _warnings(features: Sequence[_Feature]) -> list[str]:
    found = []
    for flag in SERIOUS:
        for f in features:
            if flag in f.flags:
                what = f.flags[flag]
                told = what.get("why") or ", ".join(
                    f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in what.items()
                )
                found.append(f"{f.name!r} is {flag.replace('_', ' ')}: {told}")
    return found
