"""Outcomes and records as plain data."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from ctrkit.search.outcome import Outcome, PairedDifference, Scores, SearchRecord


@dataclass(frozen=True, kw_only=True)
class Timed(Outcome):
    seconds: float | None = None


def outcome(**more) -> Timed:
    scores = Scores(float("nan"), 0.5)
    return Timed(
        seed=0, folder="a/run", parameters=3, bytes=12, validation=scores, test=scores, **more
    )


def test_outcome_is_read_back_from_json():
    written = json.loads(json.dumps(outcome(seconds=1.5).to_json()))
    read = Timed.from_json(written)
    assert (read.folder, read.seconds, read.test.logloss) == ("a/run", 1.5, 0.5)
    assert math.isnan(read.test.auc)


def test_what_is_none_has_no_key():
    assert "seconds" not in outcome().to_json()
    assert Timed.from_json(outcome().to_json()).seconds is None


def test_record_is_plain_data():
    class Record(SearchRecord):
        kind = "other"

    difference = PairedDifference(-0.1, 0.01, 0.0, -0.12, -0.08)
    record = Record(
        model="fm",
        config_sha256="ab",
        rows={"ours": (outcome(),)},
        paired={"control": (difference,)},
        warnings=("one",),
    )
    data = json.loads(json.dumps(record.to_json()))
    assert (data["format"], data["kind"], data["warnings"]) == (1, "other", ["one"])
    assert data["rows"]["ours"][0]["test"]["logloss"] == 0.5
    assert data["paired"]["control"][0]["high"] == -0.08
