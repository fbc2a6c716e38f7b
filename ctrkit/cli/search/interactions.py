"""``ctrkit search interactions``: an operation for each pair of fields."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Unpack

from typer import Option

from ctrkit.cli.options import DataOrConfig, Json, OutFolder, Seeds, TrainOptions
from ctrkit.cli.printing import Table, show
from ctrkit.cli.progress import ProgressBar
from ctrkit.cli.search.results import comparison, files_of, megabytes, result_of
from ctrkit.errors import ConfigError

if TYPE_CHECKING:
    from ctrkit.search.base import Search

UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
"""Unit -> bytes."""
SHOWN = 5
"""Memorized pairs that are printed."""


def interactions(
    data: DataOrConfig = None,
    out: OutFolder = Path("search"),
    budget: Annotated[
        str | None,
        Option(metavar="BYTES", help="Memory limit of the memorized crosses, such as 200MB."),
    ] = None,
    exact: Annotated[
        bool,
        Option(
            "--exact",
            help="Give each cross seen in training its own row, instead of hashing.",
        ),
    ] = False,
    pairs: Annotated[
        Path | None,
        Option(
            metavar="RANK",
            help="Search only the best pairs of this ranking (ctrkit rank --order 2).",
        ),
    ] = None,
    seeds: Seeds = 1,
    controls: Annotated[
        str,
        Option(
            help="Models to compare with. default: no pairs, and operations randomly reassigned; "
            "all: also each operation for all pairs; none."
        ),
    ] = "default",
    json: Json = False,
    **options: Unpack[TrainOptions],
) -> None:
    """Choose how to model each pair of fields (OptInter).

    Each pair is memorized, factorized, or left out; the resulting model is then trained. Re-run
    the same command to resume.

    Example: ctrkit search interactions clicks.parquet --label click
    """
    from ctrkit import jobs

    with ProgressBar() as progress:
        search = jobs.search_interactions(
            data,
            out=out,
            budget=None if budget is None else parse_bytes(budget),
            exact=exact,
            pairs=pairs,
            seeds=seeds,
            controls=controls,
            progress=progress,
            **options,
        )
    show(result_of(search), _text(search), as_json=json)


def parse_bytes(text: str) -> int:
    """Return a number of bytes.

    Raises:
        ConfigError: The text is not a number with a known unit.

    Example:
        >>> parse_bytes("200MB"), parse_bytes("1.5 GiB")
        (200000000, 1610612736)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].upper() not in UNITS:
        raise ConfigError(
            f"--budget must be a number of bytes such as 200MB or 1.5GB; got {text!r}"
        )
    return int(float(match[1]) * UNITS[match[2].upper()])


def _text(search: Search) -> Iterator[Table | str]:
    operations = ("memorize", "factorize", "naive")
    yield comparison(
        search,
        "pairs",
        {"optinter": "the search"},
        {**dict.fromkeys(operations, ""), "parameters": ",", "crosses MB": ",.2f", "": ""},
        lambda row: [
            *(row["pairs"][operation] for operation in operations),
            row["parameters"],
            megabytes(row["cross_bytes"]),
            row["label"],
        ],
    )
    memorized = [pair for pair in search.record["pairs"] if pair["op"] == "memorize"]
    memorized.sort(key=lambda pair: -pair["probability"][0])
    names = ", ".join(" x ".join(pair["fields"]) for pair in memorized[:SHOWN])
    yield f"memorized {names or 'none'}{', ...' if len(memorized) > SHOWN else ''}"
    yield from files_of(search)
