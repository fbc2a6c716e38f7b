"""A feature on its way through a ranking."""

from __future__ import annotations

from dataclasses import dataclass, field

from ctrkit.rank.result import Evidence, FeatureDetails, RankRow, Signal, Thirds
from ctrkit.rank.shape import Shape
from ctrkit.rank.statistics import Statistics, noise_interval, sampling_interval
from ctrkit.rank.tables import Table


@dataclass
class Feature:
    """A field or a token, with what is known of it so far.

    Attributes:
        table: Its counts.
        shape: How its values are spread.
        statistics: Gain and mutual information with the label.
        missing: Signal of missing against known, where rows are missing.
        known: Signal without the missing rows, where rows are missing.
        drift: Divergence between the first and the last part; None: not computed.
        by_third: Coverage and scores by part; None: not computed.
        score: What features are sorted by; None: not computed.
        q: False discovery rate.
        group: Number of its redundancy group; None: in none.
        flags: Flag -> evidence.
    """

    table: Table
    shape: Shape
    statistics: Statistics
    missing: Signal | None = None
    known: Signal | None = None
    drift: float | None = None
    by_third: Thirds | None = None
    score: float | None = None
    q: float = 1.0
    group: int | None = None
    flags: dict[str, Evidence] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the feature."""
        return self.table.name

    @property
    def is_token(self) -> bool:
        """Whether the feature is a token of a list."""
        return self.table.token is not None

    def row(self, rank: int) -> RankRow:
        """Return the row of ``rank.*``; flags must be sorted."""
        return RankRow(
            rank=rank,
            name=self.name,
            members=(self.table.field.name,),
            order=1,
            score=self.score,
            gain=self.statistics.gain,
            **vars(self.statistics.information),
            q=self.q,
            cardinality=self.shape.cardinality,
            coverage=self.shape.coverage,
            rare_share=self.shape.rare_share,
            redundancy_group=self.group,
            drift=self.drift,
            flags=tuple(self.flags),
        )

    def details(self) -> FeatureDetails:
        """Return what ``rank.json`` holds beyond the row."""
        information = self.statistics.information
        return FeatureDetails(
            kind="token" if self.is_token else self.table.field.kind,
            strength=self.statistics.strength,
            top_share=self.shape.top_share,
            repetitions=self.shape.repetitions,
            interval=sampling_interval(self.table.by_class, information.adj),
            noise_interval=noise_interval(information.emi, information.sd),
            missing=self.missing,
            known=self.known,
            by_third=self.by_third,
            flags=self.flags,
        )
