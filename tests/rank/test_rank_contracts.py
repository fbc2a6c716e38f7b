"""Every registered score and flag keeps its contract, and the contracts find what breaks them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ctrkit.data.read.sources import frame_source
from ctrkit.rank import RankOptions, rank_source
from ctrkit.rank.flags.base import Flag
from ctrkit.rank.scores.base import CountScore, RankingScore
from ctrkit.registry import register, registry
from ctrkit.schema import Field, Schema
from ctrkit.testing.flags import check_flag
from ctrkit.testing.scores import check_score


@pytest.mark.parametrize("name", registry.names("score"))
def test_every_score_keeps_the_contract(name):
    assert [v for v in check_score(name) if not v.ok] == []


@pytest.mark.parametrize("name", registry.names("flag"))
def test_every_flag_keeps_the_contract(name):
    assert [v for v in check_flag(name) if not v.ok] == []


@pytest.mark.usefixtures("temporary")
def test_a_new_score_is_one_class():
    @register("score", "share")
    class Share(CountScore):
        """Half of mutual information."""

        def read(self, gain, information):
            return information.adj / 2

    assert [v for v in check_score("share") if not v.ok] == []
    frame = pl.DataFrame({"a": [0, 1] * 50, "b": [1, 2, 3, 4] * 25, "label": [0, 1] * 50})
    schema = Schema((Field("a", "categorical"), Field("b", "categorical")), label="label")
    rows = rank_source(frame_source(frame), schema, RankOptions(score="share")).features
    assert [row.score for row in rows] == [row.adj / 2 for row in rows]


@pytest.mark.usefixtures("temporary")
def test_a_new_flag_is_one_class():
    @register("flag", "tiny")
    class Tiny(Flag):
        """Two values or fewer."""

        drops = "always"

        def of_column(self, feature, scorer):
            few = feature.shape.cardinality <= 2
            return {"values": feature.shape.cardinality} if few else None

    assert [v for v in check_flag("tiny") if not v.ok] == []
    frame = pl.DataFrame({"a": ["x", "y", "y"] * 40, "label": [0, 1, 1, 0] * 30})
    ranking = rank_source(
        frame_source(frame), Schema((Field("a", "categorical"),), label="label"), RankOptions()
    )
    assert "tiny" in ranking.features[0].flags
    assert "'a' is tiny: values 2" in ranking.warnings
    assert ranking.kept == ()


@pytest.mark.usefixtures("temporary")
def test_faults_of_scores_are_found():
    @register("score", "faulty")
    class Faulty(RankingScore):
        """The hash of the first row's key: changes with order, names and files."""

        def of_features(self, features, context):
            first = next(context.source.file_frames(0, [f.name for f in features], rows=1)).frame
            return [
                float(len(context.source.files)) + float(first[f.name].hash()[0] % 1000)
                for f in features
            ]

        def of_cross(self, gain, information):
            return float("nan")

    failed = {v.name for v in check_score("faulty") if not v.ok}
    assert failed >= {"any order", "relabelling", "merging", "crosses"}


@pytest.mark.usefixtures("temporary")
def test_faults_of_flags_are_found():
    @register("flag", "faulty")
    class Faulty(Flag):
        """Flags everything, with evidence that is not JSON."""

        def of_column(self, feature, scorer):
            return {"share": np.float32(0.5), "why": "two\nlines"}

    assert {v.name for v in check_flag("faulty") if not v.ok} == {"evidence", "clean column"}
