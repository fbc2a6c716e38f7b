"""Searches that are killed at some moment: the same command ends in the same result."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from killing import left_over, photograph, search_result

from ctrkit import jobs
from ctrkit.testing.generated import planted_clicks

TRAIN = ["train.epochs=1", "train.batch_size=256", "train.evals_per_epoch=1"]
Run = Callable[[Path, Path, bool], jobs.Search]


def features(data: Path, out: Path, force: bool) -> jobs.Search:
    return jobs.search_features(
        data,
        label="click",
        model="lr",
        out=out,
        target_ratio=[0.5, 0.25],
        controls="default",
        force=force,
        set=[*TRAIN, "search.epochs=1"],
    )


def interactions(data: Path, out: Path, force: bool) -> jobs.Search:
    return jobs.search_interactions(
        data,
        label="click",
        model="lr",
        out=out,
        controls="default",
        force=force,
        set=[*TRAIN, "search.epochs=1", "model.second_dim=2"],
    )


def params(data: Path, out: Path, force: bool) -> jobs.Search:
    return jobs.search_params(
        data, label="click", model="lr", out=out, trials=2, force=force, set=TRAIN
    )


def pipeline(data: Path, out: Path, force: bool) -> jobs.Search:
    more = ["features.target_ratio=[0.5]", "features.epochs=1", "interactions.epochs=1"]
    return jobs.search_pipeline(
        data,
        label="click",
        model="fm",
        out=out,
        trials=1,
        controls="none",
        force=force,
        set=[*TRAIN, *more, "model.dim=2", "model.second_dim=2"],
    )


SEARCHES: dict[str, Run] = {
    "features": features,
    "interactions": interactions,
    "params": params,
    "pipeline": pipeline,
}


@pytest.fixture(scope="module")
def clicks(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clicks") / "clicks.parquet"
    frame = planted_clicks(1_200, seed=3)[0]
    frame.select("click", "site", "device", "ad", "segment", "age").write_parquet(path)
    return path


def same_again(
    run: Run, data: Path, out: Path, expected: dict[str, object], *, force: bool = False
) -> None:
    run(data, out, force)
    ours = search_result(out)
    for name, value in expected.items():
        assert ours[name] == value, name
    # several processes write the clock of a study: what one that was killed left of it stays
    assert [name for name in left_over(out) if not name.startswith(".clock.json.")] == []


STEPS = ("features", "interactions", "params")
"""Steps of the pipeline that are searches: kills within them have tests of their own."""


def inside_a_step(photo: Path, following: Path) -> bool:
    def started(place: Path) -> list[str]:
        return [s for s in STEPS if (place / s / "search.json").is_file()]

    def done(place: Path) -> list[str]:
        return [s for s in STEPS if (place / s / "record.json").is_file()]

    return started(photo) == started(following) != done(photo) == done(following)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "moments"),
    [
        *((kind, 1) for kind in ("interactions", "params")),
        *(pytest.param(kind, 20, marks=SLOW, id=f"{kind}-20") for kind in SEARCHES),
    ],
)
@pytest.mark.timeout(1_200)
def test_a_search_that_is_killed_at_any_file_operation_is_finished_by_the_same_command(
    kind, moments, clicks, tmp_path
):
    run, out, photos = SEARCHES[kind], tmp_path / "out", tmp_path / "photos"
    with pytest.MonkeyPatch.context() as patch:
        photograph(patch, out, photos)
        run(clicks, out, False)
    expected = search_result(out)
    all_kills = sorted(photos.iterdir())
    assert len(all_kills) > 50
    kills = [
        photo
        for photo, following in zip(all_kills, [*all_kills[1:], all_kills[-1]], strict=True)
        if kind != "pipeline" or not inside_a_step(photo, following)
    ]
    every = max(1, len(kills) // (moments + 1))
    for photo in kills[every::every][:moments]:
        shutil.rmtree(out)
        shutil.copytree(photo, out, symlinks=True)
        same_again(run, clicks, out, expected)
