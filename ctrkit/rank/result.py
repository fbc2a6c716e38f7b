"""The outcome of a ranking: the rows of ``rank.*``, their details, and facts of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import polars as pl

FORMAT = 1
Evidence = Mapping[str, Any]
"""Evidence of a flag: figures by name, or a sentence as ``why``; the names differ by flag."""


@dataclass(frozen=True)
class RankRow:
    """A row of ``rank.parquet``, ``rank.csv`` and ``rank.json``: a feature, or a cross of two.

    All information is in nats per row of data. The fields are the stable columns of ``rank.*``.

    Attributes:
        rank: Place among the features, or among the crosses, from 1.
        name: Name of the field; ``field=token`` of a token; ``a x b`` of a cross.
        members: Fields that the feature is made of.
        order: Number of members: 1 or 2.
        score: What the rows are sorted by; None: not computed.
        gain: Log loss saved by a shrunk rate per value; of a cross, beyond an additive model of
            its members, or None where the cross was screened but not evaluated.
        mi: Plug-in mutual information with the label.
        emi: Expectation of ``mi`` under permuted labels.
        adj: ``mi - emi``.
        ami: ``adj / (H(label) - emi)``.
        sd: Standard deviation of ``mi`` under permuted labels.
        z: ``adj / sd``; None where sd is 0.
        p: Probability of at least this ``mi`` under permuted labels.
        q: False discovery rate (Benjamini and Hochberg).
        synergy: Of a cross: its ``adj`` minus those of its members.
        interaction: Of a cross: ``synergy / adj``, in -1..1; None where ``adj`` is not significant.
        cardinality: Distinct values, missing not counted.
        coverage: Share of the rows where the feature is not missing.
        rare_share: Share of the rows with a value seen fewer than ``rare`` times.
        redundancy_group: Number of the group of redundant features; None: in none.
        drift: Divergence between the first and the last part (third or split) of the rows.
        flags: Names of the flags, the most severe first.
    """

    rank: int
    name: str
    members: tuple[str, ...]
    order: int
    score: float | None
    gain: float | None
    mi: float
    emi: float
    adj: float
    ami: float
    sd: float
    z: float | None
    p: float
    q: float
    synergy: float | None = None
    interaction: float | None = None
    cardinality: int = 0
    coverage: float | None = None
    rare_share: float | None = None
    redundancy_group: int | None = None
    drift: float | None = None
    flags: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain data, by column."""
        return vars(self) | {"members": list(self.members), "flags": list(self.flags)}


_DTYPES: dict[str, pl.DataType] = {
    "int": pl.Int64(),
    "int | None": pl.Int64(),
    "float": pl.Float64(),
    "float | None": pl.Float64(),
    "str": pl.String(),
    "tuple[str, ...]": pl.List(pl.String()),
}
SCHEMA = {f.name: _DTYPES[str(f.type)] for f in fields(RankRow)}
"""Column of ``rank.parquet`` -> its type, in order."""


@dataclass(frozen=True)
class Signal:
    """The main scores of a part of a feature: its missing rows against the others, or the others.

    Attributes:
        gain: Log loss saved per row.
        adj: Mutual information minus its expectation under permuted labels.
        p: Probability of at least this mutual information under permuted labels.
    """

    gain: float
    adj: float
    p: float


@dataclass(frozen=True)
class Thirds:
    """A feature in each third of the rows; None where a third has no rows or one class.

    Attributes:
        coverage: Share of the rows where the feature is not missing.
        adj: Mutual information minus its expectation under permuted labels.
        gain: Log loss saved per row.
    """

    coverage: list[float | None]
    adj: list[float | None]
    gain: list[float | None]


@dataclass(frozen=True)
class FeatureDetails:
    """What ``rank.json`` holds of a single feature beyond its row.

    Attributes:
        kind: Kind of the field, or ``token``.
        strength: Prior strength of the model behind ``gain``.
        top_share: Share of the known rows with the most frequent value.
        repetitions: ``{r: values that occur at least r times}``.
        interval: 95 % interval of ``adj`` over samples of rows.
        noise_interval: 95 % interval of ``adj`` if the feature meant nothing.
        missing: Scores of missing against known, where rows are missing.
        known: Scores without the missing rows, where rows are missing.
        by_third: Coverage and scores by third, or by split where a column names it.
        flags: Flag -> evidence.
    """

    kind: str
    strength: float
    top_share: float
    repetitions: Mapping[str, int]
    interval: tuple[float, float]
    noise_interval: tuple[float, float]
    missing: Signal | None = None
    known: Signal | None = None
    by_third: Thirds | None = None
    flags: Mapping[str, Evidence] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the details as plain data; what does not apply is left out."""
        values = {k: v for k, v in asdict(self).items() if v is not None}
        why = values.pop("flags")
        return {**values, "why": why}


@dataclass(frozen=True)
class RowMeasure:
    """A measure of the quality of single rows, averaged by class of the label."""

    measure: str
    means: Mapping[str, float | None]

    def to_json(self) -> dict[str, Any]:
        """Return the measure as plain data."""
        return {"measure": self.measure, **self.means}


@dataclass(frozen=True)
class RowProfile:
    """Quality of the first rows."""

    rows: int
    means: Sequence[RowMeasure]

    def to_json(self) -> dict[str, Any]:
        """Return the profile as plain data."""
        return {"rows": self.rows, "means": [m.to_json() for m in self.means]}


@dataclass(frozen=True)
class Duplicates:
    """Rows that repeat another one.

    Attributes:
        share: Share of the sampled rows that equal an earlier one in all fields and the label.
        same_label: Share of pairs of rows with equal fields that have equal labels.
        by_chance: The same if labels were drawn at random among these rows.
        across: Share of the repeated rows that lie in several parts (splits or thirds).
        ignored: Columns with one value per row, which were not compared.
    """

    share: float
    same_label: float
    by_chance: float
    across: float
    ignored: tuple[str, ...]

    def message(self) -> str:
        """Return a warning of one line."""
        across = f", {self.across:.0%} of them in another part of the rows" if self.across else ""
        besides = f" (apart from {', '.join(self.ignored[:3])})" if self.ignored else ""
        return (
            f"{self.share:.1%} of the rows are copies of another row in all fields and the label"
            f"{besides}{across}; of the rows with equal fields {self.same_label:.0%} have equal "
            f"labels, {self.by_chance:.0%} are expected by chance: remove the copies, or name a "
            "column whose rows must stay in one split with --key"
        )


@dataclass(frozen=True)
class RedundantPair:
    """Two features with high adjusted mutual information.

    Attributes:
        features: Names of both.
        ami: Adjusted mutual information, by the mean of the entropies.
        exact: Whether every term of its expectation is exact.
    """

    features: list[str]
    ami: float
    exact: bool


@dataclass(frozen=True)
class CrossCounts:
    """How many crosses there are, and how far each stage got."""

    pairs: int
    screened: int
    evaluated: int
    not_screened: int


@dataclass(frozen=True)
class Chosen:
    """A feature in 3MR order, and the value it was chosen at."""

    name: str
    value: float


@dataclass(frozen=True)
class RankFacts:
    """Facts of the data and of the ranking.

    Attributes:
        row_profile: Quality of the first rows.
        duplicates: Copied rows; None: few, or explained by chance.
        redundant_pairs: Redundant features; None: fewer than two were compared.
        crosses: Counts of crosses; None: only features were ranked.
        three_mr: Features in 3MR order; None: not asked for, or fewer than two.
        rows: Rows of data, by weight.
        files: Files read.
        label: Name of the label.
        classes: Class of the label -> its rows.
        label_entropy: Entropy of the label in nats.
        score: Name of the score.
        periods: What the parts of the rows are; None: drift was not computed.
        controls: Noise control -> its score.
        best_control: The largest of these.
        timings: Stage -> seconds.
    """

    row_profile: RowProfile
    duplicates: Duplicates | None
    redundant_pairs: list[RedundantPair] | None
    crosses: CrossCounts | None
    three_mr: list[Chosen] | None
    rows: int
    files: int
    label: str
    classes: Mapping[str, int]
    label_entropy: float
    score: str
    periods: str | None
    controls: Mapping[str, float | None]
    best_control: float | None
    timings: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return the facts as plain data; stages that did not run are left out."""
        optional = ("duplicates", "redundant_pairs", "crosses", "three_mr")
        values = asdict(self) | {"row_profile": self.row_profile.to_json()}
        return {k: v for k, v in values.items() if v is not None or k not in optional}


@dataclass(frozen=True)
class Ranking:
    """The outcome of a ranking.

    Attributes:
        features: Features by rank, then crosses by rank.
        details: Feature -> its details.
        facts: Facts of the data and of the ranking.
        warnings: One line each, the most severe first.
        kept: Fields that the narrowed schema keeps; empty: none is distinguishable from noise.
    """

    features: tuple[RankRow, ...]
    details: Mapping[str, FeatureDetails]
    facts: RankFacts
    warnings: tuple[str, ...]
    kept: tuple[str, ...]

    @property
    def singles(self) -> tuple[RankRow, ...]:
        """Rows of single features, by rank."""
        return tuple(row for row in self.features if row.order == 1)

    @property
    def crosses(self) -> tuple[RankRow, ...]:
        """Rows of crosses, by rank."""
        return tuple(row for row in self.features if row.order == 2)

    def frame(self) -> pl.DataFrame:
        """Return the rows as a frame with the columns of ``rank.*``."""
        return pl.DataFrame([row.to_json() for row in self.features], schema=SCHEMA)

    def to_json(self) -> dict[str, Any]:
        """Return the ranking as ``rank.json`` holds it."""
        features = []
        for row in self.features:
            details = self.details.get(row.name) if row.order == 1 else None
            features.append({**row.to_json(), **(details.to_json() if details else {"why": {}})})
        return {
            "format": FORMAT,
            "facts": self.facts.to_json(),
            "warnings": list(self.warnings),
            "kept": list(self.kept),
            "features": features,
        }
