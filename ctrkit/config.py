"""One typed, frozen, validated configuration per job: TOML in, canonical JSON out.

Every key has one place, ``section.key``; ``--set section.key=value`` reaches all of them. An
unknown key, or a value out of bounds, is an error that names the nearest known key.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ctrkit.errors import ConfigError, nearest
from ctrkit.registry import load_entry_points, load_plugin, registry


class Section(BaseModel):
    """A frozen table of the configuration file; unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )


class DataConfig(Section):
    """``[data]``: where rows come from and how they are parted and encoded."""

    path: str | None = None
    """File, glob, directory or URL of the raw rows."""
    schema_path: str | None = Field(default=None, alias="schema")
    """A ``schema.toml``; without one it is inferred, or found in the data's folder."""
    encoder: str | None = None
    """Folder of a frozen encoder to use instead of fitting one."""
    split: Literal["random", "time", "files"] | None = None
    """Overrides the schema's split."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Of the random split: runs of unlike ``train.seed`` are judged on the same rows."""
    sampling_rate: float = Field(default=1.0, gt=0, le=1)
    """Share of the negatives that the data kept; predictions are corrected for it."""
    text_encoding: str = "utf-8"
    """Character encoding of text files."""
    separator: str | None = None
    """Separator of text files; None: told from the name (.tsv, .txt: tab) or the first line."""
    header: bool = True
    """Whether text files start with a line of column names."""
    cache: bool = True
    """Keep encoded shards below ``CTRKIT_HOME/cache`` and find them again by content."""
    cache_limit: int = Field(default=50_000_000_000, ge=0)
    """Bytes the cache may hold; the least recently used go first."""


class PairOperation(Section):
    """How one pair of fields is modelled: an entry of ``pairs.json``."""

    fields: tuple[str, str]
    op: Literal["memorize", "factorize", "naive"]
    rows: int = Field(default=0, ge=0)
    """Crosses that training met."""
    min_count: int = Field(default=0, ge=0)
    """How often, at least, for a row of their own; 0: rows are shared."""


class ModelConfig(Section):
    """``[model]``: a preset by name, and what is changed of it.

    ``[model.<interaction>]`` tables hold the parameters of the interaction layers (``mlp`` also
    those of the ``mlp`` head); here they are collected in ``parameters``.
    """

    name: str = "autoint"
    preset: str = "paper"
    """Which settings of the model: ``paper``; of AutoInt also ``release`` and ``fuxictr``."""
    interactions: tuple[str, ...] | None = None
    """The parallel branches; None takes the preset's."""
    head: str | None = None
    """``sum`` or ``mlp``; None takes the preset's."""
    dim: int = Field(default=16, ge=1, le=4096)
    """Embedding width D."""
    table: Literal["auto", "full", "hashed"] = "auto"
    """``full``: a row per code; ``hashed``: at most ``rows`` rows per field; ``auto``: full, but
    hashed for hash-encoded fields."""
    rows: int = Field(default=1_000_000, ge=1)
    """Rows per field of a hashed table."""
    embedding_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of embedding entries dropped in training."""
    second_dim: int = Field(default=8, ge=1, le=4096)
    """Width D2 of the second vectors and of crosses (``pairs``)."""
    operations: tuple[PairOperation, ...] | None = None
    """What ``pairs`` does with each pair; unnamed pairs are naive. Read from the file that
    ``model.pairs = "pairs.json"`` (or ``model.pairs.file``) names. None: ``model.pairs.op``."""
    crosses: Literal["hashed", "exact"] = "hashed"
    """Rows of memorized crosses: shared by hash, or one each for those that training met."""
    cross_rows: int = Field(default=1_000_000, ge=1)
    """Rows that hashed crosses share."""
    cross_min_count: int = Field(default=2, ge=1)
    """How often training must meet an exact cross for a row of its own."""
    numeric_missing: Literal["learned", "zero"] | None = None
    """A missing number is a learned vector or the zero vector; None takes the preset's."""
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _collect(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known = {*registry.names("interaction"), *registry.names("head")}
        tables = {k: v for k, v in data.items() if k in known and isinstance(v, dict)}
        rest = {k: v for k, v in data.items() if k not in tables}
        parameters = {**rest.pop("parameters", {})}
        for name, table in tables.items():
            parameters[name] = {**parameters.get(name, {}), **table}
        return {**rest, "parameters": parameters} if parameters else rest


class TrainConfig(Section):
    """``[train]``: the loop and its optimisers."""

    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=1024, ge=1)
    """Rows per step."""
    micro_batch: int | None = Field(default=None, ge=0)
    """Rows per forward pass, gradients summed over a step; 0: the whole batch. None: 512 for
    models with attention on a CPU (their temporaries then stay in cache), else 0."""
    lr: float = Field(default=1e-3, gt=0)
    """Adam's learning rate."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How the rate falls over the planned steps (to zero, where it does)."""
    warmup_steps: int = Field(default=0, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled decay of the dense weights (not of tables, gates, biases)."""
    l2: float = Field(default=0.0, ge=0)
    """L2 on embedding rows: adds ``l2 * row`` to the gradient."""
    l2_rows: Literal["touched", "all"] = "touched"
    """``touched``: rows of the step; ``all``: the published form, every row every step."""
    clip_norm: float | None = Field(default=None, gt=0)
    """Largest norm of the gradient."""
    patience: int = Field(default=4, ge=0)
    """Evaluations without a better monitored value before training stops; 0: never stops."""
    evals_per_epoch: int = Field(default=2, ge=1)
    monitor: Literal["logloss", "auc"] = "logloss"
    """Metric on validation that chooses the best weights."""
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    device: str = "auto"
    """``auto``: CUDA where present, else CPU."""
    sparse_from: int = Field(default=2_000_000, ge=0)
    """Tables of at least this many rows are updated row-wise, touched rows only."""
    threads: int = Field(default=0, ge=0)
    """CPU threads; 0: torch's own choice."""
    shuffle_rows: int = Field(default=1_048_576, ge=1)
    """Rows that are shuffled together in memory."""
    checkpoint_s: float = Field(default=300.0, ge=0)
    """Seconds between checkpoints within an epoch; one is also written at each evaluation."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    init: str | None = None
    """A ``safetensors`` file of initial weights; None or ``random``: random."""


class TrackConfig(Section):
    """``[track]``: the MLflow mirror of the run."""

    uri: str | None = None
    """MLflow store; ``none`` switches tracking off; None: ``CTRKIT_TRACKING_URI``, else SQLite
    below ``CTRKIT_HOME``."""
    experiment: str = "ctrkit"
    run_name: str | None = None


class FeatureSearchConfig(Section):
    """``[search]`` of ``ctrkit search features``: gates per value (OptFS)."""

    preset: str | None = None
    """Published settings, such as ``criteo-deepfm``: they replace the defaults, here and in
    ``[train]``."""
    epochs: int = Field(default=8, ge=1)
    """Of the search, T."""
    penalty: tuple[Annotated[float, Field(ge=0)], ...] = (4.0, 8.0)
    """What a kept value costs; of several, validation chooses."""
    unit: Literal["nats", "loss"] = "nats"
    """``nats``: over all training rows, a value is kept if it is worth about that much; ``loss``:
    the paper's weight beside the mean loss of a batch."""
    target_ratio: tuple[Annotated[float, Field(gt=0, le=1)], ...] = ()
    """Shares of the values to keep, in place of penalties; of several, validation chooses."""
    temperature: float = Field(default=1000.0, ge=1)
    """The last temperature, gamma."""
    schedule: Literal["step", "release", "paper"] = "step"
    update: Literal["descent", "adam"] = "descent"
    """How gates learn: by bounded steps along what a value is worth (ours) or Adam (the paper)."""
    gate_lr: float | None = Field(default=None, gt=0)
    """None: of ``descent``, from the penalty and the planned steps; of ``adam``, ``train.lr``."""
    eps: float = Field(default=1e-15, gt=0)
    """Adam's, for gates."""
    per: Literal["value", "occurrence"] = "value"
    """``occurrence``: the penalty of a value grows with its frequency."""
    field_gates: bool = False
    """Whether fields have a gate of their own beside their values."""
    rewind: int = Field(default=0, ge=0)
    """Retraining starts with the weights that the search had before this epoch."""
    init: Literal["rewind", "random"] = "rewind"

    @field_validator("penalty", "target_ratio", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        one = isinstance(value, int | float) and not isinstance(value, bool)
        return (value,) if one else value

    @model_validator(mode="after")
    def _something_to_try(self) -> FeatureSearchConfig:
        if not self.penalty and not self.target_ratio:
            raise ValueError("search.penalty or search.target_ratio names at least one value")
        if self.rewind >= self.epochs:
            raise ValueError(
                f"search.rewind is an epoch of the search, below search.epochs = {self.epochs}"
            )
        return self


class InteractionSearchConfig(Section):
    """``[search]`` of ``ctrkit search interactions``: an operation for each pair (OptInter)."""

    preset: Literal["criteo", "avazu"] | None = None
    """Published settings: they replace the defaults, here, in ``[train]`` and in ``[model]``."""
    epochs: int = Field(default=4, ge=1)
    """Of the search, at most; ``train.patience`` is of the retraining."""
    lr: float | None = Field(default=None, gt=0)
    """Of the weights in the search; None: ``train.lr``."""
    update: Literal["bilevel", "joint"] = "bilevel"
    """Whether operations learn from a tenth of the training rows that the weights never see, or
    from the same batches as the weights (the paper)."""
    worth: Literal["secant", "slope"] = "secant"
    """By what operations learn in a bilevel search: the loss between half a candidate's share and
    all of it, or its slope (the paper), which is flat once the layer above has scaled itself."""
    relaxation: Literal["softmax", "gumbel"] = "softmax"
    """Without noise (the paper's code) or with (the paper)."""
    gate_lr: float | None = Field(default=None, gt=0)
    """Adam's, of the operations; None: 10 over the planned steps, at least 0.001."""
    slope: float | None = Field(default=None, gt=0)
    """What the temperature loses per step; None: it reaches 0.01 at 80 % of the planned steps."""
    warmup: float = Field(default=0.15, ge=0, lt=1)
    """Share of the planned steps in which weights alone learn, under even operations: a product
    needs some time before it is worth anything."""
    start: Literal["even", "random"] = "even"
    """Operations start alike, or with Xavier noise (the paper's code)."""
    select: Literal["late", "best", "last"] = "late"
    """Whose operations are taken: of the best validation in the second half of the steps, when
    they have parted; of the best at all (the paper's code); of the end."""
    budget: int = Field(default=256_000_000, ge=1)
    """Bytes that memorized crosses may take, in the search and after it."""
    pairs: str | None = None
    """Folder of a ranking: only the pairs that it found are searched, the rest are naive."""
    most_pairs: int = Field(default=60, ge=1)
    """How many of the ranking's pairs are searched."""


def published_pairs(name: str) -> dict[str, dict[str, Any]]:
    """Return ``[model]``, ``[train]`` and ``[search]`` of a published setting of OptInter.

    Source: constants of the code (methods.md 3.7); its weight decay is ``train.l2`` here, of
    touched rows, for no step of ours costs time in proportion to the tables.
    """
    dim, second, hidden, lr = {
        "criteo": (20, 10, [700] * 5, 1e-4),
        "avazu": (40, 4, [500] * 5, 1e-3),
    }[name]
    return {
        "model": {
            "name": "optinter",
            "dim": dim,
            "second_dim": second,
            "crosses": "exact",
            "cross_min_count": 20 if name == "criteo" else 1,
            "mlp": {"hidden": hidden},
        },
        "train": {
            "batch_size": 2000,
            "lr": 1e-3,
            "l2": 3e-8,
            "epochs": 10,
            "patience": 1,
            "evals_per_epoch": 1,
            "monitor": "auc",
        },
        "search": {
            "epochs": 10,
            "lr": lr,
            "gate_lr": 1e-3,
            "slope": 5e-5,
            "start": "random",
            "warmup": 0,
            "update": "joint",
            "select": "best",
        },
    }


_PUBLISHED_GATES = {
    "criteo-fm": (3e-4, 1e-5, 2e-9, 1000, 10, 1), "criteo-deepfm": (3e-4, 3e-5, 5e-9, 200, 15, 1),
    "criteo-dcn": (3e-4, 3e-6, 1e-8, 10000, 5, 2), "criteo-ipnn": (3e-4, 3e-6, 5e-9, 2000, 10, 1),
    "avazu-fm": (3e-4, 1e-6, 2e-9, 5000, 5, 4), "avazu-deepfm": (3e-4, 3e-6, 2e-9, 5000, 5, 3),
    "avazu-dcn": (3e-4, 3e-6, 2e-9, 5000, 5, 2), "avazu-ipnn": (3e-4, 3e-6, 2e-9, 5000, 5, 2),
    "kdd12-fm": (3e-5, 1e-5, 2e-9, 1000, 10, 0), "kdd12-deepfm": (3e-5, 1e-5, 2e-9, 1000, 10, 0),
    "kdd12-dcn": (3e-5, 1e-5, 5e-9, 1000, 5, 2), "kdd12-ipnn": (3e-5, 1e-5, 2e-9, 1000, 10, 2),
}  # fmt: skip
"""lr, l2, penalty, temperature, epochs, rewind; source: the README of the OptFS repository."""


def published_gates(name: str) -> dict[str, dict[str, Any]]:
    """Return ``[train]`` and ``[search]`` of a published setting.

    Raises:
        ConfigError: No such preset.
    """
    if name not in _PUBLISHED_GATES:
        hint = nearest(name, _PUBLISHED_GATES)
        raise ConfigError(
            f"search.preset is one of {', '.join(_PUBLISHED_GATES)}; got {name!r}{hint}"
        )
    lr, l2, penalty, temperature, epochs, rewind = _PUBLISHED_GATES[name]
    return {
        "train": {"lr": lr, "l2": l2, "l2_rows": "all", "batch_size": 4096},
        "search": {
            "penalty": [penalty],
            "unit": "loss",
            "temperature": temperature,
            "epochs": epochs,
            "rewind": rewind,
            "schedule": "release",
            "update": "adam",
            "eps": 1e-8,
        },
    }


class ParamsSearchConfig(Section):
    """``[search]`` of ``ctrkit search params``: trials drawn by Optuna."""

    over: Literal["params", "features", "interactions"] = "params"
    """What a trial is: one training, or one search of another kind whose knobs are drawn."""
    trials: int = Field(default=50, ge=1)
    """Trials in all, resumed or side by side; one that a dead worker left counts once."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds, over all resumes, after which no trial begins."""
    objectives: tuple[Literal["logloss", "auc", "bytes", "latency"], ...] = ("logloss",)
    """On validation rows; bytes of the weights; milliseconds for 256 raw rows. Several: a Pareto
    set, whose member with the best first objective is the winner."""
    sampler: Literal["tpe", "random", "gp", "nsgaii", "qmc"] = "tpe"
    pruner: Literal["auto", "median", "hyperband", "halving", "none"] = "auto"
    """What stops a trial within its epochs; ``auto``: median, or none for several objectives."""
    startup_trials: int = Field(default=10, ge=1)
    """Random trials before the sampler learns."""
    prune_after: int = Field(default=5, ge=1)
    """Finished trials before the median pruner stops any."""
    warmup: int = Field(default=1, ge=0)
    """Evaluations that every trial gets."""
    jobs: int = Field(default=1, ge=1)
    """Worker processes."""
    threads: int = Field(default=0, ge=0)
    """Of each worker; 0: the cores divided by ``jobs``."""
    storage: str | None = None
    """Optuna's database, such as ``postgresql+psycopg://...``; None: ``CTRKIT_SEARCH_STORAGE``,
    else a journal file in the search folder."""
    study: str | None = None
    """Name in the database; None: made of the configuration."""
    retries: int = Field(default=2, ge=0)
    """How often a trial is tried again whose worker died."""
    heartbeat: int = Field(default=60, ge=1)
    """Seconds between signs of life of a trial in a database."""
    grace: int = Field(default=180, ge=2)
    """Seconds of silence after which it counts as dead."""
    keep: Literal["best", "all"] = "best"
    """Weights and predictions that stay below ``trials/``: of the best, or of all."""
    interactions: tuple[str, ...] = ()
    """A pool of interaction layers, each in or out, in place of the model's branches."""
    free: bool = False
    """Whether what the configuration sets explicitly is searched all the same."""
    derive: bool = True
    """Whether the space comes from the bounds of the components; else ``space`` alone."""
    space: dict[str, Any] = Field(default_factory=dict)
    """``"section.key"`` -> ``{low, high, log, step}``, a list of choices, or false (not searched);
    it overrides what is derived."""
    inner: dict[str, Any] = Field(default_factory=dict)
    """``[search]`` of the searches that are tried, where ``over`` is not ``params``."""

    @model_validator(mode="after")
    def _consistent(self) -> ParamsSearchConfig:
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise ValueError("search.objectives names at least one, each once")
        if len(self.objectives) > 1 and self.pruner not in ("auto", "none"):
            raise ValueError("search.pruner with several objectives is none: Optuna prunes by one")
        if self.grace <= self.heartbeat:
            raise ValueError("search.grace is longer than search.heartbeat")
        return self


class RunConfig(Section):
    """One training job, completely."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    track: TrackConfig = TrackConfig()
    plugins: tuple[str, ...] = ()

    def canonical_json(self) -> str:
        """Return JSON with sorted keys: equal configurations give equal text."""
        data = self.model_dump(mode="json", by_alias=True)
        return json.dumps(data, sort_keys=True, indent=1, allow_nan=False)

    def sha256(self) -> str:
        """Return the identity of the job: where it is tracked does not count."""
        data = self.model_dump(mode="json", by_alias=True, exclude={"track"})
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


class FeaturesConfig(RunConfig):
    """One search for the values that earn their row: a training job and ``[search]``."""

    search: FeatureSearchConfig = FeatureSearchConfig()

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, data: Any) -> Any:
        search = data.get("search", {}) if isinstance(data, dict) else {}
        name = search.get("preset") if isinstance(search, dict) else None
        if not isinstance(name, str):
            return data
        filled = {k: {**v, **data.get(k, {})} for k, v in published_gates(name).items()}
        return {**data, **filled}


class InteractionsConfig(RunConfig):
    """One search for the pairs that earn their place: a training job and ``[search]``."""

    search: InteractionSearchConfig = InteractionSearchConfig()

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, data: Any) -> Any:
        search = data.get("search", {}) if isinstance(data, dict) else {}
        name = search.get("preset") if isinstance(search, dict) else None
        if name not in ("criteo", "avazu"):
            return data
        filled = {k: {**v, **data.get(k, {})} for k, v in published_pairs(name).items()}
        return {**data, **filled}


class ParamsConfig(RunConfig):
    """One search for settings: a training job and ``[search]``."""

    search: ParamsSearchConfig = ParamsSearchConfig()


class PipelineConfig(RunConfig):
    """One pipeline of searches: a training job, and the ``[search]`` of each step."""

    features: FeatureSearchConfig = FeatureSearchConfig()
    interactions: InteractionSearchConfig = InteractionSearchConfig()
    params: ParamsSearchConfig = ParamsSearchConfig()


C = TypeVar("C", bound=RunConfig)


def load_config(
    path: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
    kind: type[C] = RunConfig,  # type: ignore[assignment]
) -> C:
    """Read ``run.toml`` (or a ``config.json``), apply flags, then ``--set``; import plug-ins.

    Args:
        path: The file; paths in its ``[data]`` and ``[train]`` are relative to it.
        overrides: Texts ``section.key=value``; the value is TOML, else taken as a string.
        flags: ``section.key`` -> value; None values are left out.
        kind: Of job.

    Raises:
        ConfigError: The file is missing or invalid, or a key or value is.
    """
    data = _read(path) if path is not None else {}
    for key, value in (flags or {}).items():
        if value is not None:
            _assign(data, key, value)
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set takes section.key=value; got {text!r}")
        _assign(data, key.strip(), parse_value(value.strip()))
    _read_pairs(data)
    # Plug-ins come before validation: their tables below [model] are known only then.
    load_entry_points()
    for plugin in data.get("plugins", []):
        load_plugin(Path(plugin))
    return make_config(data, kind)


def make_config(
    data: Mapping[str, Any],
    kind: type[C] = RunConfig,  # type: ignore[assignment]
) -> C:
    """Validate a nested mapping.

    Raises:
        ConfigError: One line about the first fault.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain(error, kind)) from None


def to_toml(config: RunConfig, *, pairs_file: str | None = None) -> str:
    """Write a configuration as TOML, without what is left at its default.

    Args:
        config: What to write.
        pairs_file: A ``pairs.json`` to be named in place of ``model.operations``.
    """
    data = config.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True)
    model = data.setdefault("model", {})
    model.update({name: table for name, table in model.pop("parameters", {}).items() if table})
    if pairs_file is not None:
        model.pop("operations", None)
        model["pairs"] = {"file": pairs_file, **model.get("pairs", {})}
    lines: list[str] = []
    _write_table(data, "", lines)
    return "\n".join(lines).strip() + "\n"


def _write_table(table: Mapping[str, Any], name: str, lines: list[str]) -> None:
    plain = {k: v for k, v in table.items() if not isinstance(v, dict)}
    if name and (plain or not table):
        lines += ["", f"[{name}]"]
    lines += [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in plain.items()]
    for key, inner in table.items():
        if isinstance(inner, dict):
            bare = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)
            _write_table(inner, f"{name}.{bare}" if name else bare, lines)


def parse_value(text: str) -> object:
    """Read a TOML value; what is none is a string.

    Example:
        >>> parse_value("3e-4"), parse_value("[400, 400]"), parse_value("autoint")
        (0.0003, [400, 400], 'autoint')
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


_ROLES = {f"data.{name}" for name in ("label", "time", "group", "weight", "key")}


def explain(error: ValidationError, cls: type[BaseModel]) -> str:
    """Turn pydantic's first complaint into one line: key, rule, value, nearest key."""
    first = error.errors(include_url=False, include_context=True)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys_at(cls, [str(part) for part in first["loc"][:-1]])
        name = str(first["loc"][-1])
        if where in _ROLES:
            return f"unknown key {where!r}: name the column with --{name}, or in a schema.toml"
        return f"unknown key {where!r}{nearest(name, known)} (known here: {', '.join(known)})"
    rule = first["msg"].removeprefix("Value error, ")
    got = first.get("input")
    said = "" if isinstance(got, Mapping) else f"; got {got!r}"  # a rule over a whole section
    return f"{where}: {rule[:1].lower()}{rule[1:]}{said}"


def _keys_at(cls: type[BaseModel], path: Sequence[str]) -> list[str]:
    for part in path:
        found = cls.model_fields.get(part)
        annotation = found.annotation if found else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        cls = annotation
    keys = [f.alias or name for name, f in cls.model_fields.items() if name != "parameters"]
    return [*keys, *registry.names("interaction")] if cls is ModelConfig else keys


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"no configuration file {str(path)!r}")
    text = path.read_text(encoding="utf-8")
    try:
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path} is a table of sections")
    model = data.get("model")
    if isinstance(model, dict) and isinstance(model.get("pairs"), str):
        model["pairs"] = {"file": model["pairs"]}
    for section, key in (
        ("data", "path"),
        ("data", "schema"),
        ("data", "encoder"),
        ("train", "init"),
        ("model.pairs", "file"),
        ("search", "pairs"),
    ):
        table: Any = data
        for name in section.split("."):
            table = table.get(name) if isinstance(table, dict) else None
        value = table.get(key) if isinstance(table, dict) else None
        if isinstance(value, str) and "://" not in value and value != "random":
            table[key] = str(path.absolute().parent / value)
    if isinstance(data.get("plugins"), list):
        data["plugins"] = [str(path.absolute().parent / str(p)) for p in data["plugins"]]
    return data


def _read_pairs(data: dict[str, Any]) -> None:
    """Put the operations of the file that ``model.pairs`` names into the configuration."""
    model = data.get("model")
    table = model.get("pairs") if isinstance(model, dict) else None
    if isinstance(table, str):
        table = {"file": table}
    if not isinstance(model, dict) or not isinstance(table, dict) or "file" not in table:
        return
    path, rest = Path(str(table["file"])), {k: v for k, v in table.items() if k != "file"}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        operations = found["pairs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"model.pairs: {str(path)!r} is no pairs.json: {error}") from None
    if found.get("format") != 1:
        raise ConfigError(f"{str(path)!r} has format {found.get('format')!r}; known is 1")
    model["operations"] = operations
    model.pop("pairs")
    if rest:
        model["pairs"] = rest


def _assign(data: dict[str, Any], key: str, value: object) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key}: a number is finite; got {value!r}")
    *path, last = key.split(".")
    for part in path:
        inner = data.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {key}: {part!r} is a value, not a table")
        data = inner
    data[last] = value
