"""``ctrkit search``: feature values, interactions, hyper-parameters, or all in a pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from ctrkit.config.sections import RunConfig
from ctrkit.errors import SchemaError
from ctrkit.records import Progress
from ctrkit.runs.inputs import DataOptions, PathLike, Plugins, job_config, open_job
from ctrkit.search.base import Search, SearchOptions
from ctrkit.search.kinds import KINDS, SearchKind


@dataclass(frozen=True)
class _Call:
    """Arguments that all searches share; see :func:`search_features`."""

    data: PathLike | None
    model: str | None
    out: PathLike
    seed: int | None
    plugins: Plugins
    run: SearchOptions
    options: DataOptions


def search_features(
    data: PathLike | None = None,
    *,
    model: str | None = None,
    out: PathLike = "search",
    target_ratio: Sequence[float] = (),
    seed: int | None = None,
    seeds: int = 1,
    controls: str = "default",
    force: bool = False,
    plugins: Sequence[PathLike] = (),
    trust_plugins: bool = False,
    progress: Progress | None = None,
    **options: Unpack[DataOptions],
) -> Search:
    """Learn which feature values are worth an embedding row (OptFS); train the smaller model.

    The same call resumes an interrupted search.

    Args:
        data: Rows, as for :func:`ctrkit.jobs.train`; or a ``search.toml`` with a ``[search]``
            section.
        model: A preset, or the name of one interaction layer.
        out: The search folder.
        target_ratio: Shares of the values to keep, in place of penalties (``search.penalty``).
        seed: Seed of the weights and batches.
        seeds: How often the winner's search, its retraining and the controls are run.
        controls: ``default``: the model over all values, and a frequency cut-off of the same
            size; ``frequency``: that cut-off alone; ``all``: also values chosen at random;
            ``none``. If the model over all values is trained and validation significantly
            (95 % CI) prefers it, the default penalties drop nothing.
        force: Overwrite another search in ``out``.
        plugins: Python files that register components.
        trust_plugins: Run the plug-in code that a configuration file names.
        progress: Shows how far the search is.
        **options: See :class:`~ctrkit.runs.inputs.DataOptions`.

    Raises:
        ConfigError: An option is unknown or out of bounds.
        RunFolderError: ``out`` holds another search, or files that do not belong to a search.
    """
    run = SearchOptions(seeds, controls, force, progress)
    call = _Call(data, model, out, seed, Plugins(plugins, trust_plugins), run, options)
    return _search("features", call, {"search.target_ratio": list(target_ratio) or None})


def search_interactions(
    data: PathLike | None = None,
    *,
    model: str | None = None,
    out: PathLike = "search",
    budget: int | None = None,
    exact: bool = False,
    pairs: PathLike | None = None,
    seed: int | None = None,
    seeds: int = 1,
    controls: str = "default",
    force: bool = False,
    plugins: Sequence[PathLike] = (),
    trust_plugins: bool = False,
    progress: Progress | None = None,
    **options: Unpack[DataOptions],
) -> Search:
    """Learn how to model each pair of fields (OptInter); train the resulting model.

    The same call resumes an interrupted search.

    Args:
        data: Rows, as for :func:`ctrkit.jobs.train`; or a ``search.toml`` with a ``[search]``
            section.
        model: A preset, or the name of one interaction layer; the branch ``pairs`` is added to
            it. None: ``optinter``.
        out: The search folder.
        budget: Bytes that memorized crosses may take (``search.budget``).
        exact: Give each cross that occurs often enough in training (``model.cross_min_count``) its
            own row, instead of sharing rows by hash.
        pairs: Folder of a ranking; only its best pairs are searched (``search.most_pairs``).
        seed: Seed of the weights and batches.
        seeds: How often the search, the retraining and the controls are run.
        controls: ``default``: no pair at all, and the same operations randomly reassigned;
            ``all``: also every pair memorized, and every pair factorized; ``none``.
        force: Overwrite another search in ``out``.
        plugins: Python files that register components.
        trust_plugins: Run the plug-in code that a configuration file names.
        progress: Shows how far the search is.
        **options: See :class:`~ctrkit.runs.inputs.DataOptions`.

    Raises:
        ConfigError: An option is unknown or out of bounds.
        RunFolderError: ``out`` holds another search, or files that do not belong to a search.
    """
    run = SearchOptions(seeds, controls, force, progress)
    call = _Call(data, model, out, seed, Plugins(plugins, trust_plugins), run, options)
    flags = {
        "search.budget": budget,
        "model.crosses": "exact" if exact else None,
        "search.pairs": None if pairs is None else str(Path(pairs).absolute()),
    }
    return _search("interactions", call, flags)


def search_params(
    data: PathLike | None = None,
    *,
    model: str | None = None,
    out: PathLike = "search",
    trials: int | None = None,
    timeout: float | None = None,
    objectives: Sequence[str] = (),
    sampler: str | None = None,
    pruner: str | None = None,
    over: str | None = None,
    interactions: Sequence[str] = (),
    jobs: int | None = None,
    storage: str | None = None,
    seed: int | None = None,
    seeds: int = 1,
    controls: str = "default",
    force: bool = False,
    plugins: Sequence[PathLike] = (),
    trust_plugins: bool = False,
    progress: Progress | None = None,
    **options: Unpack[DataOptions],
) -> Search:
    """Tune hyper-parameters: of the model, of its training, or of another search.

    The first trial takes the configuration before the search, or the nearest point in the space.
    The same call resumes an interrupted search; several at once, or on several machines with one
    ``storage``, share the trials.

    Args:
        data: Rows, as for :func:`ctrkit.jobs.train`; or a ``search.toml`` with a ``[search]``
            section.
        model: A preset, or the name of one interaction layer.
        out: The search folder.
        trials: Number of trials, over all resumes (``search.trials``).
        timeout: Seconds, summed over resumes, after which no trial starts (``search.timeout``).
        objectives: ``logloss``, ``auc``, ``bytes``, ``latency``; several give a Pareto front.
        sampler: See ``ctrkit list samplers``.
        pruner: See ``ctrkit list pruners``.
        over: ``params``: model and training; ``features`` or ``interactions``: the
            hyper-parameters of that search.
        interactions: Interaction layers that each trial switches on or off.
        jobs: Number of worker processes.
        storage: Address of an Optuna database; None: a journal file in ``out``.
        seed: Seed of the weights, batches and the sampler.
        seeds: How often the winner and the control are trained.
        controls: ``default``: the configuration before the search; ``none``.
        force: Overwrite another search in ``out``.
        plugins: Python files that register components.
        trust_plugins: Run the plug-in code that a configuration file names.
        progress: Shows how far the search is.
        **options: See :class:`~ctrkit.runs.inputs.DataOptions`.

    Raises:
        ConfigError: An option or a dimension of the space is unknown or out of bounds.
        RunFolderError: ``out`` holds another search, or files that do not belong to a search.
    """
    run = SearchOptions(seeds, controls, force, progress)
    call = _Call(data, model, out, seed, Plugins(plugins, trust_plugins), run, options)
    flags = {
        "trials": trials,
        "timeout": timeout,
        "sampler": sampler,
        "pruner": pruner,
        "over": over,
        "jobs": jobs,
        "storage": storage,
        "objectives": list(objectives) or None,
        "interactions": list(interactions) or None,
    }
    return _search("params", call, {f"search.{key}": value for key, value in flags.items()})


def search_pipeline(
    data: PathLike | None = None,
    *,
    model: str | None = None,
    out: PathLike = "search",
    trials: int | None = None,
    jobs: int | None = None,
    skip: Sequence[str] = (),
    seed: int | None = None,
    seeds: int = 1,
    controls: str = "default",
    force: bool = False,
    plugins: Sequence[PathLike] = (),
    trust_plugins: bool = False,
    progress: Progress | None = None,
    **options: Unpack[DataOptions],
) -> Search:
    """Rank features, select values, choose interactions, tune hyper-parameters, train; compare.

    Every step starts from the result of the last one and can be resumed by itself: the same call
    resumes an interrupted pipeline. The result of a step is not used if validation significantly
    (95 % CI) prefers the model before it, unless the step drops fields that leak the label, or
    values to a size that ``features`` asks for.

    Args:
        data: Rows, as for :func:`ctrkit.jobs.train`; or a ``pipeline.toml``, whose tables
            ``features``, ``interactions`` and ``params`` are the ``[search]`` of the steps.
        model: A preset, or the name of one interaction layer.
        out: The search folder.
        trials: Number of trials of the step ``params`` (``params.trials``).
        jobs: Number of worker processes of the step ``params`` (``params.jobs``).
        skip: Steps to leave out: ``rank``, ``features``, ``interactions``, ``params``.
        seed: Seed of the weights and batches.
        seeds: How often the last model and the plain one are trained.
        controls: ``default``: the plain model, tuned with as many trials as the steps trained
            models; ``none``.
        force: Overwrite another search in ``out``.
        plugins: Python files that register components.
        trust_plugins: Run the plug-in code that a configuration file names.
        progress: Shows how far the search is.
        **options: See :class:`~ctrkit.runs.inputs.DataOptions`.

    Raises:
        ConfigError: An option is unknown or out of bounds.
        RunFolderError: ``out`` holds another search, or files that do not belong to a search.
    """
    run = SearchOptions(seeds, controls, force, progress)
    call = _Call(data, model, out, seed, Plugins(plugins, trust_plugins), run, options)
    return _search("pipeline", call, {"params.trials": trials, "params.jobs": jobs}, skip=skip)


def _search(name: str, call: _Call, flags: Mapping[str, Any], **arguments: Any) -> Search:
    """Run a search of one kind.

    Args:
        name: Name of the kind.
        call: Arguments that all searches share.
        flags: Values of the configuration from arguments; None: not given.
        **arguments: More arguments of the kind's class.
    """
    kind = KINDS[name]
    config = _config(kind, call, flags)
    data = open_job(config.data, call.options)
    if data.schema.label is None:
        raise SchemaError("a search needs a label: name its column with --label")
    return kind.job(config, data, Path(call.out), call.run, **arguments).run()


def _config(kind: SearchKind, call: _Call, flags: Mapping[str, Any]) -> RunConfig:
    """Return the configuration: of a file, if ``data`` is one, and of the arguments."""
    path = None if call.data is None else Path(call.data)
    is_file = path is not None and path.suffix in (".toml", ".json")
    return job_config(
        None if is_file else call.data,
        call.options,
        config=path if is_file else None,
        model=call.model or (None if is_file else kind.model),
        seed=call.seed,
        plugins=call.plugins,
        kind=kind.config,
        more=flags,
    )
