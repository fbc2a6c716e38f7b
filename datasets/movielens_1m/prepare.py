"""MovieLens-1M with AutoInt's labels: ratings, users and movies to a ctrkit data set.

Usage: python datasets/movielens_1m/prepare.py [--source ml-1m.zip or its folder] -o data/movielens
Without --source the archive is downloaded from GroupLens; using it means accepting its licence.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import recipe

from ctrkit.errors import DataError

HERE = Path(__file__).resolve().parent
URL = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
MD5 = "c4d9eecfca2ab87c1945afe126590906"
ROWS, KEPT = 1_000_209, 739_012
RATINGS = ("ratings.dat", "ratings.dat.gz", "ratings_notime.dat.gz", "ratings_notime.dat")
LABELS = {"1": 0, "2": 0, "3": None, "4": 1, "5": 1}
BATCH = 131_072
SCHEMA = pa.schema(
    {
        "label": pa.int8(),
        "user": pa.int32(),
        "movie": pa.int32(),
        "gender": pa.string(),
        "age": pa.int8(),
        "occupation": pa.int8(),
        "zip": pa.string(),
        "year": pa.string(),
        "genres": pa.list_(pa.string()),
    }
)


def prepare(arguments: recipe.Arguments) -> recipe.Written:
    recipe.check_free(arguments.out, force=arguments.force)
    source = arguments.source if arguments.source is not None else download()
    users, movies = read_users(source), read_movies(source)
    ratings = Ratings(source)
    with recipe.data_folder(arguments.out, HERE / "schema.toml", force=arguments.force) as folder:
        written = recipe.write_parts(join(ratings, users, movies), folder)
        recipe.check_rows(source, ratings.rows, ROWS, full=arguments.full)
        if ratings.rows == ROWS and written.rows != KEPT:
            raise DataError(
                f"MovieLens-1M must have {KEPT:,} ratings other than 3; got {written.rows:,}"
            )
    return written


def download() -> Path:
    """Download the archive to ``CTRKIT_HOME/downloads`` (once) and verify its checksum."""
    import pooch

    folder = Path(os.environ.get("CTRKIT_HOME", "~/.ctrkit")).expanduser() / "downloads"
    try:
        return Path(pooch.retrieve(URL, f"md5:{MD5}", fname="ml-1m.zip", path=folder))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{URL} could not be downloaded ({error}); download it by hand, then give "
            "--source ml-1m.zip"
        ) from error


@contextmanager
def open_text(source: Path, names: Sequence[str]) -> Iterator[tuple[Path, Iterable[str]]]:
    """Open the first of the names, in a folder or a zip archive; yield its path and lines.

    Where the source is the file of ratings, users and movies are looked up in its folder.
    """
    if source.suffix == ".zip" and source.is_file():
        with zipfile.ZipFile(source) as archive:
            members = [m for m in archive.namelist() if m.rpartition("/")[2] in names]
            if not members:
                raise DataError(f"{str(source)!r} has none of {', '.join(names)}")
            with archive.open(members[0]) as stream:
                yield source / members[0], io.TextIOWrapper(stream, "latin-1")
        return
    if source.is_file() and names != RATINGS:
        source = source.parent
    path = recipe.find_file(source, names)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="latin-1") as lines:
        yield path, lines


def cells(source: Path, names: Sequence[str], *widths: int) -> Iterator[tuple[str, list[str]]]:
    """Split the lines of a file at ``::``; yield the place of a line, and its cells.

    Raises:
        DataError: The number of cells is none of ``widths``; names the line.
    """
    with open_text(source, names) as (path, lines):
        for number, line in enumerate(lines, 1):
            where = f"{path}, line {number}"
            row = line.rstrip("\r\n").split("::")
            if len(row) not in widths:
                rule = " or ".join(map(str, widths))
                raise DataError(f"{where}: expected {rule} cells separated by '::', got {len(row)}")
            yield where, row


def integer(where: str, text: str) -> int:
    """Return an id as an integer.

    Raises:
        DataError: The text is not an integer.
    """
    if not text.isdecimal():
        raise DataError(f"{where}: ids, ages and occupations must be integers; got {text!r}")
    return int(text)


def read_users(source: Path) -> dict[str, dict[str, Any]]:
    """Read ``user::gender::age::occupation::zip``."""
    return {
        user: {
            "user": integer(where, user),
            "gender": gender,
            "age": integer(where, age),
            "occupation": integer(where, job),
            "zip": code,
        }
        for where, (user, gender, age, job, code) in cells(source, ("users.dat",), 5)
    }


def read_movies(source: Path) -> dict[str, dict[str, Any]]:
    """Read ``movie::title (year)::Genre|Genre``."""
    return {
        movie: {"movie": integer(where, movie), "year": release(title), "genres": text.split("|")}
        for where, (movie, title, text) in cells(source, ("movies.dat",), 3)
    }


def release(title: str) -> str | None:
    """Return AutoInt's bucket of the year at the end of a title: 1919-1929, a decade, a year."""
    match = re.search(r"\((\d{4})\)\s*$", title)
    if match is None:
        return None
    year = int(match[1])
    if year < 1930:
        return "1919-1929"
    return f"{year // 10 * 10}s" if year < 1970 else str(year)


class Ratings:
    """Ratings ``user::movie::rating`` or ``user::movie::rating::timestamp``, in file order.

    Attributes:
        rows: Lines read so far, including those that are dropped.
    """

    def __init__(self, source: Path) -> None:
        self.source = source
        self.rows = 0

    def __iter__(self) -> Iterator[tuple[str, str, str, int]]:
        """Yield the place of a line, user, movie and label; rating 3 is left out."""
        for where, row in cells(self.source, RATINGS, 3, 4):
            self.rows += 1
            user, movie, rating = row[:3]
            if rating not in LABELS:
                raise DataError(f"{where}: a rating must be 1, 2, 3, 4 or 5; got {rating!r}")
            label = LABELS[rating]
            if label is not None:
                yield where, user, movie, label


def join(
    ratings: Ratings, users: Mapping[str, dict[str, Any]], movies: Mapping[str, dict[str, Any]]
) -> Iterator[pa.RecordBatch]:
    """Join each rating with its user and movie, in batches."""
    rows: list[dict[str, Any]] = []
    for where, user, movie, label in ratings:
        if user not in users or movie not in movies:
            unknown = f"user {user!r}" if user not in users else f"movie {movie!r}"
            raise DataError(f"{where}: {unknown} is not in users.dat or movies.dat")
        rows.append({"label": label, **users[user], **movies[movie]})
        if len(rows) == BATCH:
            yield pa.RecordBatch.from_pylist(rows, SCHEMA)
            rows = []
    yield pa.RecordBatch.from_pylist(rows, SCHEMA)


if __name__ == "__main__":
    sys.exit(recipe.run(__doc__, prepare))
