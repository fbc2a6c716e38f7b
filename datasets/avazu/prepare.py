"""Avazu click-through rate (Kaggle 2014): ``train`` (csv) to a ctrkit data set.

Usage: python datasets/avazu/prepare.py --source train.gz -o data/avazu
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import recipe

from ctrkit.errors import DataError

HERE = Path(__file__).resolve().parent
ROWS = 40_428_967
FILES = ("train", "train.csv", "train.gz", "train.csv.gz", "train_*.csv")
CATEGORIES = (
    *("C1", "banner_pos", "site_id", "site_domain", "site_category"),
    *("app_id", "app_domain", "app_category"),
    *("device_id", "device_ip", "device_model", "device_type", "device_conn_type"),
    *(f"C{i}" for i in range(14, 22)),
)
TYPES = {
    "id": pa.string(),
    "click": pa.int8(),
    "hour": pa.string(),
    **dict.fromkeys(CATEGORIES, pa.string()),
}


def prepare(arguments: recipe.Arguments) -> recipe.Written:
    if arguments.source is None:
        raise DataError(
            "Avazu must be downloaded with a Kaggle account: get train.gz from "
            "https://www.kaggle.com/c/avazu-ctr-prediction/data, then give --source train.gz"
        )
    path = recipe.find_file(arguments.source, FILES)
    with recipe.data_folder(arguments.out, HERE / "schema.toml", force=arguments.force) as folder:
        batches = recipe.read_text(path, TYPES, separator=",", header=True)
        written = recipe.write_parts(derive(batches), folder)
        recipe.check_rows(path, written.rows, ROWS, full=arguments.full)
    return written


def derive(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Drop the row id; derive a time, an hour of day and a weekday from ``hour`` (YYMMDDHH)."""
    for batch in batches:
        text = batch["hour"]
        bad = pc.invert(pc.fill_null(pc.match_substring_regex(text, r"^\d{8}$"), False))
        if pc.any(bad, min_count=0).as_py():
            raise DataError(f"hour must be YYMMDDHH; got {text.filter(bad)[0].as_py()!r}")
        time = pc.strptime(text, format="%y%m%d%H", unit="s")
        columns = {
            "label": batch["click"],
            "time": time,
            "hour": pc.cast(pc.hour(time), pa.int8()),
            "weekday": pc.cast(pc.day_of_week(time), pa.int8()),
            **{name: batch[name] for name in CATEGORIES},
        }
        yield pa.RecordBatch.from_pydict(columns)


if __name__ == "__main__":
    sys.exit(recipe.run(__doc__, prepare))
