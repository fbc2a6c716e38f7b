"""The sections that every job shares: ``[data]``, ``[model]``, ``[train]``, ``[track]``."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ctrkit.registry import Choices, Range, registry


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
    split: str | None = None
    """Name of a split (``ctrkit list splits``), in place of the schema's."""
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

    @field_validator("split")
    @classmethod
    def _check_split(cls, name: str | None) -> str | None:
        names = [n for n in registry.names("split") if n != "column"]  # set that in a schema.toml
        if name is not None and name not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return name


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
    dim: Annotated[int, Range(1, 4096, log=True, search=(4, 64))] = 16
    """Embedding width D."""
    table: Annotated[Literal["auto", "full", "hashed"], Choices("auto", "hashed")] = "auto"
    """``full``: a row per code; ``hashed``: at most ``rows`` rows per field; ``auto``: full, but
    hashed for hash-encoded fields."""
    rows: Annotated[int, Range(1, log=True, search=(100, 1_000_000))] = 1_000_000
    """Rows per field of a hashed table."""
    embedding_dropout: Annotated[float, Range(search=(0.0, 0.6))] = Field(default=0.0, ge=0, lt=1)
    """Share of embedding entries dropped in training."""
    second_dim: Annotated[int, Range(1, 4096, log=True, search=(2, 16))] = 8
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
    lr: Annotated[float, Range(log=True, search=(1e-4, 2e-2))] = Field(default=1e-3, gt=0)
    """Adam's learning rate."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled decay of the dense weights (not of tables, gates, biases)."""
    l2: Annotated[float, Range(0.0, log=True, search=(1e-8, 1e-3))] = 0.0
    """L2 on embedding rows: adds ``l2 * row`` to the gradient."""
    l2_rows: Literal["touched", "all"] = "touched"
    """``touched``: rows of the step; ``all``: the published form, every row every step."""
    schedule: Annotated[
        Literal["constant", "linear", "cosine"], Choices("constant", "linear", "cosine")
    ] = "constant"
    """How the rate falls over the planned steps (to zero, where it does)."""
    warmup_steps: int = Field(default=0, ge=0)
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
