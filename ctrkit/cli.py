"""Arguments in, exit code out; every verb is one function of :mod:`ctrkit.jobs`.

Exit codes: 0 done, 2 a mistake of the user's (one line on stderr), 130 interrupted.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import re
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ctrkit.errors import CtrkitError

app = typer.Typer(
    name="ctrkit",
    help="Feature-interaction models for click-through rates: train, judge, explain, predict.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
out = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True, soft_wrap=True)

Names = Annotated[list[str] | None, typer.Option(metavar="NAME,...")]
DataArg = Annotated[
    str, typer.Argument(metavar="DATA", help="File, glob, directory or URL; csv, parquet or Arrow.")
]
RunArg = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
Label = Annotated[str | None, typer.Option(help="Column of the 0/1 label.")]
SchemaFile = Annotated[Path | None, typer.Option("--schema", help="A schema.toml.")]
Numeric = Annotated[list[str] | None, typer.Option(help="Columns that are quantities.")]
Categorical = Annotated[list[str] | None, typer.Option(help="Columns that are categories.")]
Multi = Annotated[list[str] | None, typer.Option(help="Columns that hold lists of categories.")]
Ignore = Annotated[list[str] | None, typer.Option(help="Columns to leave out.")]
Time = Annotated[str | None, typer.Option(help="Column of the event time; splits by it.")]
Group = Annotated[str | None, typer.Option(help="Column that group metrics are computed over.")]
Weight = Annotated[str | None, typer.Option(help="Column of row weights.")]
Key = Annotated[str | None, typer.Option(help="Column whose rows a random split keeps together.")]
Columns = Annotated[list[str] | None, typer.Option(help="Names of the columns of a text file.")]
NoHeader = Annotated[bool, typer.Option("--no-header", help="The text file has no line of names.")]
Seed = Annotated[int | None, typer.Option(help="Seed of split, weights and batches.")]
Out = Annotated[Path, typer.Option("-o", "--out", help="Folder to write.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what stands in the folder.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="A setting, e.g. train.lr=3e-4."),
]
Plugin = Annotated[list[Path] | None, typer.Option(help="Python file that registers a component.")]
Trust = Annotated[
    bool, typer.Option("--trust-plugins", help="Run the plug-in code that the run folder holds.")
]
Trials = Annotated[int | None, typer.Option(min=1, help="Trials in all; default 50.")]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, help="Worker processes.")]
ModelName = Annotated[str | None, typer.Option("--model", help="A model, or an interaction alone.")]


def _options(**given: Any) -> dict[str, Any]:
    """Split comma lists; leave out what was not given."""
    lists = (
        "numeric",
        "categorical",
        "multi",
        "ignore",
        "columns",
        "objectives",
        "interactions",
        "skip",
    )
    for name in lists:
        if given.get(name):
            given[name] = tuple(part for text in given[name] for part in text.split(",") if part)
    return {name: value for name, value in given.items() if value not in (None, [], ())}


class _Progress:
    """A bar on a terminal, nothing elsewhere (evaluations are logged as lines there)."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.task: Any = None
        self.stage = ""

    def update(self, stage: str, done: int, total: int | None, text: str = "") -> None:
        if not err.is_terminal:
            return
        if self.bar is None:
            from rich import progress as bars

            columns = ("{task.description}", bars.BarColumn(), "{task.completed}/{task.total}")
            self.bar = bars.Progress(
                *columns,
                bars.TimeRemainingColumn(),
                "{task.fields[text]}",
                console=err,
                transient=True,
            )
            self.bar.start()
        if stage != self.stage:
            if self.task is not None:
                self.bar.remove_task(self.task)
            self.task, self.stage = self.bar.add_task(stage, total=total, text=text), stage
        self.bar.update(self.task, completed=done, total=total, text=text)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.5f}"


def _print_metrics(metrics: dict[str, dict[str, Any]]) -> None:
    names = ("rows", "auc", "logloss", "ne", "calibration", "ece", "group_auc")
    shown = [n for n in names if any(n in m for m in metrics.values())]
    table = Table("", *shown, box=None, pad_edge=False)
    for split, values in metrics.items():
        cells = ["–" if values.get(n) is None else _number(values[n]) for n in shown]
        table.add_row(split, *cells)
    out.print(table)


@app.command()
def schema(
    data: DataArg,
    label: Label = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--out", help="File to write; without it: print.")
    ] = None,
    schema_file: SchemaFile = None,
    numeric: Numeric = None,
    categorical: Categorical = None,
    multi: Multi = None,
    ignore: Ignore = None,
    time: Time = None,
    group: Group = None,
    weight: Weight = None,
    key: Key = None,
    columns: Columns = None,
    no_header: NoHeader = False,
    force: Force = False,
    set_: Set = None,
) -> None:
    """Look at data: infer what its columns mean, and warn."""
    from ctrkit import jobs

    options = _options(
        label=label,
        schema=schema_file,
        numeric=numeric,
        categorical=categorical,
        multi=multi,
        ignore=ignore,
        time=time,
        group=group,
        weight=weight,
        key=key,
        columns=columns,
        no_header=no_header,
        set=set_,
        force=force,
    )
    found, warnings = jobs.schema(data, out=output, **options)
    for warning in warnings:
        err.print(f"warning: {escape(warning)}")
    out.print(f"wrote {output}" if output else escape(found.to_toml().rstrip()))


@app.command()
def rank(
    data: DataArg,
    label: Label = None,
    output: Out = Path("rank"),
    order: Annotated[
        int, typer.Option(min=1, max=2, help="1: features; 2: also crosses of two.")
    ] = 1,
    score: Annotated[
        str, typer.Option(help="What is sorted by: gain, adj, ami, mi, z, outrank or randomised.")
    ] = "gain",
    evaluate: Annotated[
        int | None,
        typer.Option(min=0, help="Crosses whose gain is computed; default: the best twentieth."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Time for the crosses; what is left is said.")
    ] = None,
    noise_controls: Annotated[
        bool, typer.Option("--noise-controls", help="Plant meaningless columns as a floor.")
    ] = False,
    three_mr: Annotated[
        int, typer.Option("--3mr", min=0, help="Features to put in 3MR order, the best ones.")
    ] = 0,
    missing: Annotated[
        list[str] | None, typer.Option(help="Texts that mean missing, besides the empty one.")
    ] = None,
    rare: Annotated[int, typer.Option(min=1, help="A value is rare below this many rows.")] = 5,
    redundant: Annotated[
        float, typer.Option(min=0, max=1, help="Likeness from which two features are one.")
    ] = 0.8,
    tokens: Annotated[
        int, typer.Option(min=0, help="Tokens of a list that are ranked by themselves.")
    ] = 20,
    replicates: Annotated[
        int, typer.Option(min=1, help="Permutations of the score 'randomised'.")
    ] = 10,
    crosses: Annotated[
        int, typer.Option(min=0, help="Best crosses that the narrowed schema declares.")
    ] = 0,
    schema_file: SchemaFile = None,
    numeric: Numeric = None,
    categorical: Categorical = None,
    multi: Multi = None,
    ignore: Ignore = None,
    time: Time = None,
    group: Group = None,
    weight: Weight = None,
    key: Key = None,
    columns: Columns = None,
    no_header: NoHeader = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no page.")] = False,
    seed: Seed = None,
    force: Force = False,
    set_: Set = None,
) -> None:
    """Rank features and crosses by what they tell of the label; no training needed."""
    from ctrkit import jobs

    options = _options(
        label=label,
        schema=schema_file,
        numeric=numeric,
        categorical=categorical,
        multi=multi,
        ignore=ignore,
        time=time,
        group=group,
        weight=weight,
        key=key,
        columns=columns,
        no_header=no_header,
        set=set_,
        force=force,
        seed=seed,
        seconds=seconds,
        evaluate=evaluate,
    )
    progress = _Progress()
    try:
        ranking = jobs.rank(
            data,
            out=output,
            order=order,
            score=score,
            noise_controls=noise_controls,
            three_mr=three_mr,
            missing=("", *(missing or [])),
            rare=rare,
            redundant=redundant,
            tokens=tokens,
            replicates=replicates,
            crosses=crosses,
            report=not no_report,
            progress=progress,
            **options,
        )
    finally:
        progress.close()
    for warning in ranking.warnings:
        err.print(f"warning: {escape(warning)}", highlight=False)
    _print_ranking(ranking)
    out.print(f"ranking {output / 'rank.parquet'}, .csv, .json")
    out.print(f"schema  {output / 'schema.toml'}  (keeps {len(ranking.kept) or 'all'} fields)")
    if not no_report:
        out.print(f"report  {output / 'report.html'}")


def _print_ranking(ranking: Any, most: int = 20) -> None:
    names = ("rank", "name", "score", "adj", "z", "q", "cardinality", "flags")
    for order in (1, 2):
        rows = [r for r in ranking.features if r["order"] == order]
        if not rows:
            continue
        table = Table(*names, box=None, pad_edge=False)
        for row in rows[:most]:
            cells = [_cell(row[n]) for n in names]
            table.add_row(*map(escape, cells))
        out.print(table)
        if len(rows) > most:
            out.print(f"... and {len(rows) - most} more {'features' if order == 1 else 'crosses'}")
    crosses = ranking.facts.get("crosses")
    if crosses is not None:
        out.print(
            "{pairs:,} pairs: {screened:,} screened, {evaluated:,} evaluated, "
            "{not_screened:,} not looked at".format(**crosses)
        )


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}"
    return ", ".join(value) if isinstance(value, list) else str(value)


@app.command()
def encode(
    data: DataArg,
    output: Out = Path("shards"),
    label: Label = None,
    schema_file: SchemaFile = None,
    numeric: Numeric = None,
    categorical: Categorical = None,
    multi: Multi = None,
    ignore: Ignore = None,
    time: Time = None,
    group: Group = None,
    weight: Weight = None,
    key: Key = None,
    columns: Columns = None,
    no_header: NoHeader = False,
    seed: Seed = None,
    force: Force = False,
    set_: Set = None,
) -> None:
    """Turn raw columns into an encoder and shards of integer codes (train does it by itself)."""
    from ctrkit import jobs

    options = _options(
        label=label,
        schema=schema_file,
        numeric=numeric,
        categorical=categorical,
        multi=multi,
        ignore=ignore,
        time=time,
        group=group,
        weight=weight,
        key=key,
        columns=columns,
        no_header=no_header,
        set=set_,
        force=force,
        seed=seed,
    )
    progress = _Progress()
    try:
        dataset = jobs.encode(data, out=output, progress=progress, **options)
    finally:
        progress.close()
    rows = ", ".join(f"{split} {n:,}" for split, n in dataset.info["rows"].items())
    out.print(f"wrote {output}: {rows} rows")


@app.command()
def train(
    data: Annotated[
        str | None, typer.Argument(metavar="DATA|RUN.toml", help="Raw rows, or a file naming them.")
    ] = None,
    label: Label = None,
    model: ModelName = None,
    output: Out = Path("run"),
    schema_file: SchemaFile = None,
    numeric: Numeric = None,
    categorical: Categorical = None,
    multi: Multi = None,
    ignore: Ignore = None,
    time: Time = None,
    group: Group = None,
    weight: Weight = None,
    key: Key = None,
    columns: Columns = None,
    no_header: NoHeader = False,
    seed: Seed = None,
    force: Force = False,
    set_: Set = None,
    plugin: Plugin = None,
) -> None:
    """Train a model on raw columns; leave a run folder that scores raw rows."""
    from ctrkit import jobs

    options = _options(
        label=label,
        model=model,
        schema=schema_file,
        numeric=numeric,
        categorical=categorical,
        multi=multi,
        ignore=ignore,
        time=time,
        group=group,
        weight=weight,
        key=key,
        columns=columns,
        no_header=no_header,
        seed=seed,
        force=force,
        set=set_,
        plugins=plugin,
    )
    progress = _Progress()
    try:
        result = jobs.train(data, out=output, progress=progress, **options)
    finally:
        progress.close()
    _print_metrics(result.record.metrics)
    parameters = result.record.parameters["allocated"]
    out.print(f"run     {result.folder}  ({parameters:,} parameters)")
    out.print(f"report  {result.folder / 'report.html'}")
    out.print(f"tracked {result.tracked or 'no'}")


search = typer.Typer(help="Search for a better or smaller model.", no_args_is_help=True)
app.add_typer(search, name="search")


@search.command()
def features(
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA|SEARCH.toml", help="Raw rows, or a file naming them."),
    ] = None,
    label: Label = None,
    model: ModelName = None,
    output: Out = Path("search"),
    target_ratio: Annotated[
        list[float] | None,
        typer.Option(help="Share of the values to keep, in place of a penalty; may be repeated."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Times the winner and controls are run.")] = 1,
    controls: Annotated[
        str,
        typer.Option(
            help="default: all values, and a frequency cut-off; frequency; all: also random; none."
        ),
    ] = "default",
    schema_file: SchemaFile = None,
    numeric: Numeric = None,
    categorical: Categorical = None,
    multi: Multi = None,
    ignore: Ignore = None,
    time: Time = None,
    group: Group = None,
    weight: Weight = None,
    key: Key = None,
    columns: Columns = None,
    no_header: NoHeader = False,
    seed: Seed = None,
    force: Force = False,
    set_: Set = None,
    plugin: Plugin = None,
) -> None:
    """Learn which feature values earn their row (OptFS), and train the smaller model."""
    from ctrkit import jobs

    options = _options(
        label=label,
        model=model,
        schema=schema_file,
        numeric=numeric,
        categorical=categorical,
        multi=multi,
        ignore=ignore,
        time=time,
        group=group,
        weight=weight,
        key=key,
        columns=columns,
        no_header=no_header,
        seed=seed,
        force=force,
        set=set_,
        plugins=plugin,
    )
    progress = _Progress()
    try:
        result = jobs.search_features(
            data,
            out=output,
            target_ratio=tuple(target_ratio or ()),
            seeds=seeds,
            controls=controls,
            progress=progress,
            **options,
        )
    finally:
        progress.close()
    _print_feature_search(result)


@search.command()
def params(
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA|SEARCH.toml", help="Raw rows, or a file naming them."),
    ] = None,
    label: Label = None,
    model: ModelName = None,
    output: Out = Path("search"),
    trials: Trials = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds, over all resumes, after which no trial begins.")
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="logloss (default), auc, bytes, latency; several give a Pareto set."),
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="tpe, random, gp, nsgaii or qmc.")] = None,
    pruner: Annotated[
        str | None, typer.Option(help="auto, median, hyperband, halving or none.")
    ] = None,
    over: Annotated[
        str | None, typer.Option(help="params; features or interactions: the knobs of that search.")
    ] = None,
    interactions: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,...", help="A pool of interaction layers, each in or out."),
    ] = None,
    jobs_: Jobs = None,
    storage: Annotated[
        str | None,
        typer.Option(help="Optuna's database, e.g. postgresql+psycopg://...; else a file."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Times the winner and control are run.")] = 1,
    controls: Annotated[
        str, typer.Option(help="default: the settings before the search, trained too; none.")
    ] = "default",
    schema_file: SchemaFile = None,
    numeric: Numeric = None,
    categorical: Categorical = None,
    multi: Multi = None,
    ignore: Ignore = None,
    time: Time = None,
    group: Group = None,
    weight: Weight = None,
    key: Key = None,
    columns: Columns = None,
    no_header: NoHeader = False,
    seed: Seed = None,
    force: Force = False,
    set_: Set = None,
    plugin: Plugin = None,
) -> None:
    """Search for settings with Optuna; resumable, side by side; train the winner."""
    from ctrkit import jobs

    options = _options(
        label=label,
        model=model,
        schema=schema_file,
        numeric=numeric,
        categorical=categorical,
        multi=multi,
        ignore=ignore,
        time=time,
        group=group,
        weight=weight,
        key=key,
        columns=columns,
        no_header=no_header,
        seed=seed,
        force=force,
        set=set_,
        plugins=plugin,
        trials=trials,
        timeout=timeout,
        objectives=objective,
        sampler=sampler,
        pruner=pruner,
        over=over,
        interactions=interactions,
        jobs=jobs_,
        storage=storage,
    )
    progress = _Progress()
    try:
        result = jobs.search_params(
            data, out=output, seeds=seeds, controls=controls, progress=progress, **options
        )
    finally:
        progress.close()
    _print_params_search(result)


@search.command()
def pipeline(
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA|PIPELINE.toml", help="Raw rows, or a file naming them."),
    ] = None,
    label: Label = None,
    model: ModelName = None,
    output: Out = Path("search"),
    trials: Trials = None,
    jobs_: Jobs = None,
    skip: Annotated[
        list[str] | None,
        typer.Option(metavar="STEP,...", help="Of rank, features, interactions, params."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Times the last model is trained.")] = 1,
    controls: Annotated[
        str, typer.Option(help="default: the plain model, searched as long, beside it; none.")
    ] = "default",
    schema_file: SchemaFile = None,
    numeric: Numeric = None,
    categorical: Categorical = None,
    multi: Multi = None,
    ignore: Ignore = None,
    time: Time = None,
    group: Group = None,
    weight: Weight = None,
    key: Key = None,
    columns: Columns = None,
    no_header: NoHeader = False,
    seed: Seed = None,
    force: Force = False,
    set_: Set = None,
    plugin: Plugin = None,
) -> None:
    """Rank, select values, choose interactions, search settings, train; say what each bought."""
    from ctrkit import jobs

    options = _options(
        label=label,
        model=model,
        schema=schema_file,
        numeric=numeric,
        categorical=categorical,
        multi=multi,
        ignore=ignore,
        time=time,
        group=group,
        weight=weight,
        key=key,
        columns=columns,
        no_header=no_header,
        seed=seed,
        force=force,
        set=set_,
        plugins=plugin,
        trials=trials,
        jobs=jobs_,
        skip=skip,
    )
    progress = _Progress()
    try:
        result = jobs.search_pipeline(
            data, out=output, seeds=seeds, controls=controls, progress=progress, **options
        )
    finally:
        progress.close()
    table = Table(
        "step",
        "decided",
        "test auc",
        "test logloss",
        "MB",
        "models",
        "seconds",
        box=None,
        pad_edge=False,
    )
    for row in result.record["steps"]:
        table.add_row(
            row["step"],
            escape(row["said"] + ("" if row.get("taken", True) else ": not taken")),
            f"{row['test']['auc']:.5f}",
            f"{row['test']['logloss']:.5f}",
            f"{row['bytes'] / 1e6:,.2f}",
            str(row["models"]),
            f"{row['seconds']:,.0f}",
        )
    out.print(table)
    out.print(f"again   ctrkit train {result.folder / 'run.toml'}")
    out.print(f"report  {result.folder / 'report.html'}")


def _print_params_search(result: Any) -> None:
    table = Table(
        "settings", "test auc", "test logloss", "parameters", "MB", box=None, pad_edge=False
    )
    for name, members in result.record["rows"].items():
        for row in members:
            table.add_row(
                "before the search" if name == "before" else name,
                f"{row['test']['auc']:.5f}",
                f"{row['test']['logloss']:.5f}",
                f"{row['parameters']:,}",
                f"{row['bytes'] / 1e6:,.2f}",
            )
    out.print(table)
    counts, best = result.record["counts"], result.record["winner"]
    for member in result.record["front"] if len(best["values"]) > 1 else []:
        values = ", ".join(f"{k} {v:,.6g}" for k, v in member["values"].items())
        out.print(f"pareto  trial {member['trial']}: {values}")
    out.print(
        f"search  {result.folder}  (trial {best['trial']}; {counts['complete']} complete, "
        f"{counts['pruned']} pruned, {counts['fail']} failed)"
    )
    out.print(f"again   ctrkit train {result.folder / 'run.toml'}")
    out.print(f"report  {result.folder / 'report.html'}")


def _print_feature_search(result: Any) -> None:
    names = ("values", "test auc", "test logloss", "kept", "traffic", "parameters", "MB")
    table = Table(*names, box=None, pad_edge=False)
    for name, members in result.record["rows"].items():
        for row in members:
            table.add_row(
                "the search" if name == "optfs" else name,
                f"{row['test']['auc']:.5f}",
                f"{row['test']['logloss']:.5f}",
                f"{row['ratio']:.1%}",
                f"{row['traffic']:.1%}",
                f"{row['parameters']:,}",
                f"{row['bytes'] / 1e6:,.2f}",
            )
    out.print(table)
    out.print(
        f"search  {result.folder}  ({result.record['winner']} of "
        f"{len(result.record['candidates'])} tried)"
    )
    out.print(f"again   ctrkit train {result.folder / 'run.toml'}")
    out.print(f"report  {result.folder / 'report.html'}")


@search.command()
def interactions(
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA|SEARCH.toml", help="Raw rows, or a file naming them."),
    ] = None,
    label: Label = None,
    model: ModelName = None,
    output: Out = Path("search"),
    budget: Annotated[
        str | None,
        typer.Option(metavar="BYTES", help="What memorized crosses may take, such as 200MB."),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="A row per cross that training met, none shared.")
    ] = False,
    pairs: Annotated[
        Path | None,
        typer.Option(metavar="RANK", help="Search the best pairs of a `ctrkit rank` folder only."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Times search and controls are run.")] = 1,
    controls: Annotated[
        str,
        typer.Option(
            help="default: no pairs, and dealt out at random; all: also all of one; none."
        ),
    ] = "default",
    schema_file: SchemaFile = None,
    numeric: Numeric = None,
    categorical: Categorical = None,
    multi: Multi = None,
    ignore: Ignore = None,
    time: Time = None,
    group: Group = None,
    weight: Weight = None,
    key: Key = None,
    columns: Columns = None,
    no_header: NoHeader = False,
    seed: Seed = None,
    force: Force = False,
    set_: Set = None,
    plugin: Plugin = None,
) -> None:
    """Learn for each pair of fields: memorize, factorize or leave it (OptInter); train the rest."""
    from ctrkit import jobs

    options = _options(
        label=label,
        model=model,
        schema=schema_file,
        numeric=numeric,
        categorical=categorical,
        multi=multi,
        ignore=ignore,
        time=time,
        group=group,
        weight=weight,
        key=key,
        columns=columns,
        no_header=no_header,
        seed=seed,
        force=force,
        set=set_,
        plugins=plugin,
    )
    progress = _Progress()
    try:
        result = jobs.search_interactions(
            data,
            out=output,
            budget=None if budget is None else _bytes(budget),
            exact=exact,
            pairs=pairs,
            seeds=seeds,
            controls=controls,
            progress=progress,
            **options,
        )
    finally:
        progress.close()
    _print_interaction_search(result)


def _bytes(text: str) -> int:
    """Read a number of bytes, such as 200MB or 1.5 GB."""
    from ctrkit.errors import ConfigError

    units = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
             "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}  # fmt: skip
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if found is None or found[2].upper() not in units:
        raise ConfigError(f"--budget is a number of bytes such as 200MB or 1.5GB; got {text!r}")
    return int(float(found[1]) * units[found[2].upper()])


def _print_interaction_search(result: Any) -> None:
    names = (
        "pairs",
        "test auc",
        "test logloss",
        "memorize",
        "factorize",
        "naive",
        "parameters",
        "crosses MB",
        "",
    )
    table = Table(*names, box=None, pad_edge=False)
    for name, members in result.record["rows"].items():
        for row in members:
            table.add_row(
                "the search" if name == "optinter" else name,
                f"{row['test']['auc']:.5f}",
                f"{row['test']['logloss']:.5f}",
                *(str(row["pairs"][op]) for op in ("memorize", "factorize", "naive")),
                f"{row['parameters']:,}",
                f"{row['cross_bytes'] / 1e6:,.2f}",
                row["label"],
            )
    out.print(table)
    chosen = [p for p in result.record["pairs"] if p["op"] == "memorize"]
    chosen.sort(key=lambda p: -p["probability"][0])
    shown = ", ".join(" x ".join(p["fields"]) for p in chosen[:5])
    out.print(f"memorized {escape(shown) or 'none'}{', ...' if len(chosen) > 5 else ''}")
    out.print(f"again   ctrkit train {result.folder / 'run.toml'}")
    out.print(f"report  {result.folder / 'report.html'}")


@app.command()
def evaluate(
    run: RunArg,
    data: DataArg,
    output: Annotated[
        Path | None, typer.Option("-o", "--out", help="File to write: .json, .html or .md.")
    ] = None,
    sampling_rate: Annotated[
        float | None,
        typer.Option(help="Share of negatives that DATA kept; default: as in training."),
    ] = None,
    trust_plugins: Trust = False,
) -> None:
    """Judge a run on labelled raw rows: metrics with intervals."""
    from ctrkit import jobs

    metrics = jobs.evaluate(
        run, data, out=output, sampling_rate=sampling_rate, trust_plugins=trust_plugins
    )
    _print_metrics({"data": metrics})
    for name in ("auc", "logloss"):
        low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
        if low is not None and high is not None:
            out.print(f"{name} {metrics[name]:.5f}  (95 % {low:.5f} to {high:.5f})")


@app.command()
def explain(
    run: RunArg,
    data: DataArg,
    output: Annotated[Path | None, typer.Option("-o", "--out", help="JSON file to write.")] = None,
    rows: Annotated[int, typer.Option(min=2, help="Rows that are looked at.")] = 20_000,
    top: Annotated[int, typer.Option(min=1, help="Pairs and values that are shown.")] = 10,
    seed: Seed = None,
    trust_plugins: Trust = False,
) -> None:
    """Show which field pairs the model combines, with the ablation score beside it."""
    from ctrkit import jobs

    found = jobs.explain(
        run, data, out=output, rows=rows, top=top, seed=seed or 0, trust_plugins=trust_plugins
    )
    out.print(escape(jobs.explanation_text(found, top)))


@app.command()
def predict(
    run: RunArg,
    data: DataArg,
    output: Annotated[
        Path, typer.Option("-o", "--out", help="File to write: .parquet or .csv.")
    ] = Path("predictions.parquet"),
    force: Force = False,
    trust_plugins: Trust = False,
) -> None:
    """Score raw rows: the key columns, if any, and `prediction`, a probability."""
    from ctrkit import jobs

    rows = jobs.predict(run, data, out=output, force=force, trust_plugins=trust_plugins)
    out.print(f"wrote {output}: {rows:,} rows")


@app.command()
def report(
    paths: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    output: Annotated[
        Path, typer.Option("-o", "--out", help="File to write: .html, .md or .json.")
    ] = Path("report.html"),
    force: Force = False,
) -> None:
    """Show one run, or compare several, on one offline page."""
    from ctrkit import jobs

    jobs.report(paths, out=output, force=force)
    out.print(f"wrote {output}")


@app.command()
def sync(paths: Annotated[list[Path], typer.Argument(metavar="RUN...")]) -> None:
    """Replay to MLflow what a dead tracking server missed."""
    from ctrkit import jobs

    for path in paths:
        out.print(f"{path}: {jobs.sync(path)} lines replayed")


Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0: any machine may ask.")]


@app.command()
def ui(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port.")] = 5000,
    uri: Annotated[str | None, typer.Option(help="The store; default: where runs go.")] = None,
) -> None:
    """Open the MLflow interface on the store that runs are tracked in."""
    from ctrkit import jobs

    jobs.ui(host=host, port=port, uri=uri, started=lambda where: out.print(f"open {where}"))


@app.command()
def serve(
    run: RunArg,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port.")] = 5001,
    trust_plugins: Trust = False,
) -> None:
    """Answer raw JSON rows with probabilities, by MLflow's own server."""
    from ctrkit import jobs

    def started(where: str) -> None:
        out.print(f'POST {{"inputs": [{{"column": value, ...}}, ...]}} to {where}')

    jobs.serve(run, host=host, port=port, trust_plugins=trust_plugins, started=started)


@app.command()
def register(
    run: RunArg,
    name: Annotated[str, typer.Option(help="Of the registered model.")] = "ctrkit",
    trust_plugins: Trust = False,
) -> None:
    """Add a run to MLflow's registry, as a model that takes raw rows."""
    from ctrkit import jobs

    store, version = jobs.register(run, name, trust_plugins=trust_plugins)
    out.print(f"models:/{name}/{version} in {store}")


@app.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="models, interactions or heads.")
    ] = None,
    plugin: Plugin = None,
) -> None:
    """List the components that a model can be made of."""
    from ctrkit.components import KINDS
    from ctrkit.registry import load_entry_points, load_plugin, registry

    singular = kind.removesuffix("s") if kind else None
    if singular is not None and singular not in KINDS:
        from ctrkit.errors import UnknownNameError, nearest

        plural = [f"{k}s" for k in KINDS]
        known = f"one of {', '.join(plural)}"
        raise UnknownNameError(f"unknown kind {kind!r}{nearest(kind or '', plural)} ({known})")
    load_entry_points()
    for path in plugin or []:
        load_plugin(path)
    table = Table("kind", "name", "what it is", "paper", box=None, pad_edge=False)
    for entry in registry:
        if singular in (None, entry.kind):
            table.add_row(entry.kind, entry.name, escape(entry.summary), escape(entry.paper))
    out.print(table)


@app.command()
def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="A plug-in file.")]) -> None:
    """Run the contract suite on the components of a plug-in file."""
    from ctrkit import jobs

    verdicts = jobs.check(file)
    for verdict in verdicts:
        mark = "ok  " if verdict.ok else "FAIL"
        out.print(f"{mark} {verdict.component}: {verdict.name} {escape(verdict.message)}".rstrip())
    if not all(verdict.ok for verdict in verdicts):
        raise typer.Exit(1)


@app.command()
def demo(
    output: Out = Path("demo"),
    rows: Annotated[int, typer.Option(min=2_000, help="Rows to generate.")] = 200_000,
    seed: Seed = None,
    force: Force = False,
) -> None:
    """The whole tour on generated data with planted truth."""
    from ctrkit import jobs

    progress = _Progress()
    try:
        lines = jobs.demo(output, rows=rows, seed=seed or 0, force=force, progress=progress)
    finally:
        progress.close()
    for line in lines:
        out.print(escape(line))


@app.command()
def version() -> None:
    """Print the versions of ctrkit and of what shapes its numbers, as JSON."""
    from ctrkit import jobs

    out.print_json(json.dumps(jobs.versions()))


MALLOC = "_RJEM_MALLOC_CONF", "dirty_decay_ms:50,muzzy_decay_ms:0"
"""Of polars' allocator (jemalloc), read when polars is imported: freed memory goes back to the
system soon. A ranking of a million rows and 39 columns then peaks at 280 MB, not at 360 to 420."""


class _Lines(logging.Handler):
    """Writes log records as lines on stderr, above the progress bar where there is one.

    A warning is told once, however many trials of a search repeat it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            if text in self.told:
                return
            self.told.add(text)
            text = f"warning: {text}"
        err.print(escape(text), highlight=False)


def main() -> None:
    """Run the command line; a user's mistake is one line and exit code 2."""
    logger = logging.getLogger("ctrkit")
    logger.handlers[:] = [_Lines()]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    os.environ.setdefault(*MALLOC)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # schedulers stop jobs by it
    try:
        app()
    except CtrkitError as error:
        err.print(f"error: {escape(str(error))}", highlight=False)
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as stop:  # typer ends an interrupt by exit code 130
        if isinstance(stop, SystemExit) and stop.code != 130:
            raise
        err.print("interrupted; the same command goes on where it was", highlight=False)
        sys.exit(130)
    except OSError as error:  # a full disk, a folder that may not be written
        err.print(f"error: {escape(str(error))}", highlight=False)
        sys.exit(2)
    finally:
        gc.freeze()  # at exit the interpreter looks for garbage, a tenth of a second for none
