"""Arguments and options that several verbs share, each declared once.

A verb that reads raw rows takes ``**options: Unpack[DataOptions]`` and hands them to its function
of :mod:`ctrkit.jobs`, which has the same names. :func:`ctrkit.cli.command.with_shared_options`
writes the options of such a group into the verb's signature, where typer reads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypedDict

from typer import Argument, Option

DATA = "Data"
"""Help panel of the options that say what the columns mean and how text files are read."""
MODEL = "Model and training"
"""Help panel of the options of every verb that trains."""


def split_commas(texts: list[str] | None) -> list[str] | None:
    """Split each text at its commas: an option may be repeated, or hold several names."""
    return texts and [name for text in texts for name in text.split(",") if name]


def data_option(text: str, *names: str) -> Any:
    """Return an option of the data panel, with its help text."""
    return Option(*names, help=text, rich_help_panel=DATA)


def data_columns(text: str) -> Any:
    """Return an option of the data panel that holds column names."""
    return Option(metavar="NAME,...", callback=split_commas, help=text, rich_help_panel=DATA)


class DataOptions(TypedDict, total=False):
    """Options of every verb that reads raw rows; see :class:`ctrkit.runs.inputs.DataOptions`."""

    label: Annotated[str, data_option("Column that holds the label: 0 or 1.")]
    schema: Annotated[
        Path,
        data_option(
            "A schema.toml that says what the columns mean; default: the one in the folder of "
            "DATA, else inferred."
        ),
    ]
    numeric: Annotated[list[str], data_columns("Columns to read as numbers.")]
    categorical: Annotated[list[str], data_columns("Columns to read as categories.")]
    multi: Annotated[list[str], data_columns("Columns that hold lists of categories.")]
    ignore: Annotated[list[str], data_columns("Columns to leave out.")]
    time: Annotated[str, data_option("Column of the event time; rows are then split by time.")]
    group: Annotated[
        str, data_option("Column to group rows by for the group AUC, such as the user.")
    ]
    weight: Annotated[str, data_option("Column of row weights.")]
    key: Annotated[
        str, data_option("Column of keys; a random split keeps rows with the same key together.")
    ]
    columns: Annotated[list[str], data_columns("Column names of a text file, in order.")]
    no_header: Annotated[bool, data_option("The text file has no header row.", "--no-header")]
    set: Annotated[
        list[str],
        Option(
            metavar="SECTION.KEY=VALUE",
            help="Set a configuration key, such as train.lr=3e-4; may be repeated.",
        ),
    ]


class TrainOptions(DataOptions, total=False):
    """Options of every verb that trains a model."""

    model: Annotated[
        str,
        Option(
            help="Model, or a single interaction layer: see ctrkit list.", rich_help_panel=MODEL
        ),
    ]
    seed: Annotated[
        int,
        Option(
            help="Seed of the weights and batches, and of the sampler of a search (train.seed); "
            "the split has its own seed, data.split_seed.",
            rich_help_panel=MODEL,
        ),
    ]
    plugins: Annotated[
        list[Path],
        Option("--plugin", help="Python file that registers a component.", rich_help_panel=MODEL),
    ]
    trust_plugins: Annotated[
        bool,
        Option(
            "--trust-plugins",
            help="Allow the plug-in code that a configuration file names to run.",
            rich_help_panel=MODEL,
        ),
    ]
    force: Annotated[bool, Option("--force", help="Overwrite the folder's contents.")]


Data = Annotated[
    str,
    Argument(metavar="DATA", help="File, glob, directory or URL of CSV, Parquet or Arrow rows."),
]
DataOrConfig = Annotated[
    str | None,
    Argument(
        metavar="DATA|CONFIG.toml",
        help="File, glob, directory or URL of CSV, Parquet or Arrow rows; or a configuration file "
        "with data.path.",
    ),
]
Run = Annotated[Path, Argument(metavar="RUN", help="Run folder, or search folder (its winner).")]
OutFolder = Annotated[Path, Option("-o", "--out", help="Folder to write.")]
Force = Annotated[bool, Option("--force", help="Overwrite the folder's contents.")]
ForceFile = Annotated[bool, Option("--force", help="Overwrite the file.")]
Plugins = Annotated[
    list[Path] | None, Option("--plugin", help="Python file that registers a component.")
]
Trust = Annotated[
    bool, Option("--trust-plugins", help="Allow the run folder's plug-in code to run.")
]
SafeCsv = Annotated[
    bool,
    Option(
        "--safe-csv",
        help="Put an apostrophe before texts of a .csv file that a spreadsheet would compute.",
    ),
]
Json = Annotated[
    bool, Option("--json", help="Print the result as JSON on stdout, and nothing else there.")
]
Seeds = Annotated[
    int, Option(min=1, help="Number of seeds that the winner and the controls are trained with.")
]
Trials = Annotated[int | None, Option(min=1, help="Total number of trials; default: 50.")]
Workers = Annotated[int | None, Option("--jobs", min=1, help="Number of worker processes.")]
Store = Annotated[
    str | None,
    Option(
        "--uri",
        help="MLflow store; default: CTRKIT_TRACKING_URI, which keeps a password out of the "
        "process list, else SQLite in CTRKIT_HOME.",
    ),
]
Host = Annotated[str, Option(help="Address to listen on; 0.0.0.0 accepts other machines.")]
Port = Annotated[int, Option(min=1, max=65_535, help="Port to listen on.")]
