"""Criteo display advertising (Kaggle 2014): ``train.txt`` to a ctrkit data set.

Usage: python datasets/criteo/prepare.py --source train.txt -o data/criteo
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import recipe

from ctrkit.errors import DataError

HERE = Path(__file__).resolve().parent
ROWS = 45_840_617
FILES = ("train.txt", "train.txt.gz", "train_*.txt")
TYPES = {
    "label": pa.int8(),
    **{f"I{i}": pa.int64() for i in range(1, 14)},
    **{f"C{i}": pa.string() for i in range(1, 27)},
}


def prepare(arguments: recipe.Arguments) -> recipe.Written:
    if arguments.source is None:
        raise DataError(
            "Criteo must be downloaded by hand, after accepting its terms: get the archive from "
            "https://ailab.criteo.com/ressources/ (Kaggle Display Advertising Challenge), unpack "
            "it, then give --source train.txt"
        )
    path = recipe.find_file(arguments.source, FILES)
    with recipe.data_folder(arguments.out, HERE / "schema.toml", force=arguments.force) as folder:
        batches = recipe.read_text(path, TYPES, separator="\t", header=False)
        written = recipe.write_parts(batches, folder)
        recipe.check_rows(path, written.rows, ROWS, full=arguments.full)
    return written


if __name__ == "__main__":
    sys.exit(recipe.run(__doc__, prepare))
