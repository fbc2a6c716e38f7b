"""Flags that need whole rows, or the other features."""

from __future__ import annotations

from collections.abc import Sequence

from ctrkit.data.sample import RowSample
from ctrkit.rank.duplicates import find_duplicates
from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import all_flags
from ctrkit.rank.flags.leaking import flag_dominant
from ctrkit.rank.result import Duplicates
from ctrkit.rank.sampled import SampledRows
from ctrkit.rank.statistics import Scorer
from ctrkit.schema import Schema


def flag_rows(
    features: Sequence[Feature], sample: RowSample | None, schema: Schema, scorer: Scorer
) -> Duplicates | None:
    """Set the flags that whole rows show, by a sample of them; return what copies it holds.

    Args:
        features: Features with the flag of noise.
        sample: The sampled rows; None: there are none.
        schema: What the columns mean.
        scorer: Scorer against the label.
    """
    if sample is None:
        return None
    by_name = {f.name: f for f in features if not f.is_token}
    rows = SampledRows(sample, schema, by_name, scorer.null.entropy)
    for name, flag in all_flags().items():
        for field, evidence in flag.of_rows(rows).items():
            by_name[field].flags[name] = evidence
    flag_dominant(features, scorer)
    return find_duplicates(rows)
