"""Training warns of fields that leak the label: in the log, in the record and in the report."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from ctrkit import jobs
from ctrkit.data.infer import Overrides, infer_schema
from ctrkit.data.read.sources import frame_source
from ctrkit.data.sample import DataSampler
from ctrkit.data.split.plan import plan_split
from ctrkit.rank.leaks import leak_warnings
from ctrkit.testing.generated import planted_clicks
from ctrkit.testing.leaks import FIELD, KINDS, LeakCase, plant_leak


def case_of(rows: int) -> LeakCase:
    frame, _ = planted_clicks(rows, 5)
    return LeakCase(frame.drop("interests", "price", "slot"), "click", "time")


def warnings_of(case: LeakCase) -> list[str]:
    """Return the warnings of a sample that is taken as by an encoding."""
    source = frame_source(case.frame)
    ignored = (case.split.column,) if case.split else ()
    overrides = Overrides(label=case.label, time=case.time, ignore=ignored)
    schema = replace(infer_schema(source, overrides)[0], split=case.split)
    plan, sampler = plan_split(source, schema), DataSampler(schema)
    for chunk in source.chunks():
        sampler.add(chunk, plan.assign(chunk), chunk.frame[case.label].to_numpy())
    by_chance = plan.split.by == "random"
    return leak_warnings(sampler.sampled(), schema, by_chance=by_chance)


def test_clean_rows_cause_no_warning():
    case = case_of(8_000)
    assert warnings_of(case) == []
    assert warnings_of(replace(case, time=None, frame=case.frame.drop("time"))) == []


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_leak_is_one_line_with_the_way_out(kind):
    lines = warnings_of(plant_leak(kind, case_of(8_000)))
    assert len(lines) == 1
    if kind == "duplicates across splits":
        assert "copies of another row" in lines[0]
        assert "--key" in lines[0]
    else:
        assert lines[0].startswith(f"'{FIELD}' is ")
        assert f"--ignore {FIELD}" in lines[0]


def test_a_target_encoding_is_found_in_more_rows_than_are_sampled():
    lines = warnings_of(plant_leak("target-encoded over all rows", case_of(200_000)))
    assert [FIELD in line and "target encoding" in line for line in lines] == [True]


def test_training_logs_records_and_reports_a_leak(tmp_path, caplog):
    case = plant_leak("near copy", case_of(1_500))
    path = tmp_path / "clicks.parquet"
    case.frame.write_parquet(path)
    options = ["train.epochs=1"]
    with caplog.at_level(logging.WARNING):
        run = jobs.train(path, model="lr", out=tmp_path / "run", label="click", set=options)
    (line,) = [w for w in run.record.warnings if FIELD in w]
    assert line in caplog.text
    assert "tells much of the label" in line
    report = (tmp_path / "run" / "report.html").read_text()
    assert "tells much of the label" in report
    again = jobs.train(path, model="lr", out=tmp_path / "again", label="click", set=options)
    assert again.record.data["cache_hit"]
    assert line in again.record.warnings
