"""The sections that every job shares: ``[data]``, ``[model]``, ``[train]``, ``[track]``.

The text below a field is the reference of its key: meaning, unit, and what None means.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializationInfo,
    field_validator,
    model_validator,
)

from ctrkit.components import Kind
from ctrkit.registry import Choices, Range, registry
from ctrkit.secrets import redact_address

PARAMETERISED: tuple[Kind, ...] = ("interaction", "head", "table")
"""Kinds of components with their own parameters, ``[model.<name>]``."""


def registered(kind: Kind) -> AfterValidator:
    """Refuse a name that no component of a kind has; suggest the nearest."""

    def check(name: str) -> str:
        registry.entry(kind, name)
        return name

    return AfterValidator(check)


@dataclass(frozen=True)
class FilePath:
    """Marks a field as a path: in a configuration file it is relative to the file's folder.

    Attributes:
        words: Values that are not paths.
    """

    words: tuple[str, ...] = ()

    def resolve(self, value: str, folder: Path) -> str:
        """Return a value relative to a folder; words and URLs as they are."""
        return value if "://" in value or value in self.words else str(folder / value)


OptionalPath = Annotated[str | None, FilePath()]
WHOLE = "whole addresses"
"""Context of a dump that stays in memory: addresses keep their passwords in it."""


def _without_secrets(address: str, info: SerializationInfo) -> str:
    return address if info.context == WHOLE else redact_address(address)


Redacted = PlainSerializer(_without_secrets, return_type=str, when_used="json-unless-none")
"""Marks a field as an address, which JSON holds without its password; see :data:`WHOLE`."""


class Section(BaseModel):
    """A frozen table of the configuration file; unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )


class DataConfig(Section):
    """``[data]``: where the rows are, how text files are read, how rows are split and cached."""

    path: Annotated[OptionalPath, Redacted] = None
    """File, glob, directory or URL of the raw rows."""
    schema_path: OptionalPath = Field(default=None, alias="schema")
    """Path of a ``schema.toml``; None: the one in the folder of the data, else inferred."""
    encoder: OptionalPath = None
    """Folder of a fitted encoder to use as it is; None: an encoder is fitted."""
    split: str | None = None
    """How rows are split into training, validation and test: a name of ``ctrkit list splits``;
    None: as the schema declares."""
    split_seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the random split; it is separate from ``train.seed``, so that runs with different
    seeds are evaluated on the same rows."""
    sampling_rate: float = Field(default=1.0, gt=0, le=1)
    """Share of the negatives kept in the data; predictions are corrected for it."""
    text_encoding: str = "utf-8"
    """Character encoding of text files."""
    separator: str | None = None
    """Column separator of text files; None: a tab for .tsv and .txt, else detected in the first
    line."""
    header: bool = True
    """Whether text files have a header row."""
    cache: bool = True
    """Whether encoded shards are kept in ``CTRKIT_HOME/cache`` and reused for the same data."""
    cache_limit: int = Field(default=50_000_000_000, ge=0)
    """Size limit of the cache in bytes; the least recently used shards are removed first."""

    @field_validator("split")
    @classmethod
    def _check_split(cls, name: str | None) -> str | None:
        names = [n for n in registry.names("split") if n != "column"]  # set that in a schema.toml
        if name is not None and name not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return name

    @model_validator(mode="before")
    @classmethod
    def _read_earlier_names(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "seed" not in data:
            return data
        if "split_seed" in data:
            raise ValueError("seed is the earlier name of split_seed; give one of the two")
        return {"split_seed" if key == "seed" else key: value for key, value in data.items()}


class PairOperation(Section):
    """How one pair of fields is modelled: an entry of ``pairs.json``."""

    fields: tuple[str, str]
    """Names of the two fields."""
    op: Literal["memorize", "factorize", "naive"]
    """``memorize``: the pair's crosses have their own vectors; ``factorize``: the product of
    the two fields' vectors; ``naive``: nothing."""
    rows: int = Field(default=0, ge=0)
    """Number of distinct crosses seen in training."""
    min_count: int = Field(default=0, ge=0)
    """Number of training rows from which a cross has its own row; 0: rows are shared by
    hash."""


class ModelConfig(Section):
    """``[model]``: a preset by name, and the changes to it.

    ``[model.<interaction>]`` tables hold the parameters of the interaction layers (``mlp`` also
    those of the ``mlp`` head); here they are collected in ``parameters``.
    """

    name: str = "autoint"
    """Name of a model, or of one interaction layer to use alone; see ``ctrkit list``."""
    preset: str = "paper"
    """Variant of the model's hyper-parameters: ``paper``; ``bars`` for those of a published run;
    for AutoInt also ``release`` and ``fuxictr``."""
    interactions: tuple[str, ...] | None = None
    """Names of the parallel interaction layers; None: the preset's."""
    head: str | None = None
    """What combines the interaction layers, for example ``sum``, ``mean``, ``concat`` or ``mlp``;
    None: the preset's."""
    dim: Annotated[int, Range(1, 4096, log=True, search=(4, 64))] = 16
    """Width D of the embeddings."""
    table: Annotated[str, registered("table"), Choices("auto", "hashed")] = "auto"
    """Rows of the embedding tables. ``full``: one per code; ``hashed``: at most ``rows`` per
    field; ``auto``: ``hashed`` for hash-encoded fields, else ``full``."""
    rows: Annotated[int, Range(1, log=True, search=(100, 1_000_000))] = 1_000_000
    """Rows per field of a hashed table."""
    embedding_dropout: Annotated[float, Range(search=(0.0, 0.6))] = Field(default=0.0, ge=0, lt=1)
    """Share of the embedding entries that are set to zero in training."""
    second_dim: Annotated[int, Range(1, 4096, log=True, search=(2, 16))] = 8
    """Width D2 of the second embeddings and of the crosses, for the layers ``pairs``,
    ``value_vectors`` and ``second_mlp``."""
    operations: tuple[PairOperation, ...] | None = None
    """What the layer ``pairs`` does with each pair; pairs not listed are naive. It is read from
    the file named by ``model.pairs = "pairs.json"`` or ``model.pairs.file``; None: all pairs have
    the operation ``model.pairs.op``."""
    crosses: Literal["hashed", "exact"] = "hashed"
    """Rows of memorized crosses. ``hashed``: shared by hash; ``exact``: one per cross seen in
    training."""
    cross_rows: int = Field(default=1_000_000, ge=1)
    """Number of rows that all hashed crosses share."""
    cross_min_count: int = Field(default=2, ge=1)
    """Number of training rows from which an exact cross has its own row."""
    numeric_missing: Literal["learned", "zero"] | None = None
    """Embedding of a missing number: a learned vector, or zero; None: the preset's."""
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Parameters of the interaction layers and the head: name -> parameter -> value."""

    @model_validator(mode="before")
    @classmethod
    def _collect(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known = {name for kind in PARAMETERISED for name in registry.names(kind)}
        tables = {k: v for k, v in data.items() if k in known and isinstance(v, dict)}
        rest = {k: v for k, v in data.items() if k not in tables}
        parameters = {**rest.pop("parameters", {})}
        for name, table in tables.items():
            parameters[name] = {**parameters.get(name, {}), **table}
        return {**rest, "parameters": parameters} if parameters else rest


class TrainConfig(Section):
    """``[train]``: the training loop and its optimisers."""

    epochs: int = Field(default=10, ge=1)
    """Largest number of passes over the training rows."""
    batch_size: int = Field(default=1024, ge=1)
    """Rows per optimiser step."""
    micro_batch: int | None = Field(default=None, ge=0)
    """Rows per forward pass; gradients are summed over a step. 0: the whole batch; None: 512 for
    models with attention on a CPU, whose temporaries then fit the cache, else 0."""
    optimizer: Annotated[str, registered("optimizer")] = "adam"
    """Optimiser of the weights; gates have their own optimisers."""
    lr: Annotated[float, Range(log=True, search=(1e-4, 2e-2))] = Field(default=1e-3, gt=0)
    """Learning rate of the optimiser."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of the dense weights; tables, gates and biases have none."""
    l2: Annotated[float, Range(0.0, log=True, search=(1e-8, 1e-3))] = 0.0
    """L2 penalty of the embedding rows: ``l2 * row`` is added to their gradient."""
    l2_rows: Literal["touched", "all"] = "touched"
    """Rows that ``l2`` applies to. ``touched``: those in the step's batch; ``all``: every row at
    every step, as in the papers."""
    schedule: Annotated[
        str, registered("schedule"), Choices("constant", "linear", "cosine", "plateau")
    ] = "constant"
    """Course of the learning rate over the planned steps; ``linear`` and ``cosine`` end at 0,
    ``plateau`` falls to a tenth after each epoch without gain on validation."""
    warmup_steps: int = Field(default=0, ge=0)
    """Steps over which the learning rate rises from 0."""
    clip_norm: float | None = Field(default=None, gt=0)
    """Norm that the gradient is clipped to; None: no clipping."""
    patience: int = Field(default=4, ge=0)
    """Evaluations without improvement after which training stops; 0: it never stops early."""
    evals_per_epoch: int = Field(default=2, ge=1)
    """Evaluations on the validation rows per epoch."""
    monitor: Literal["logloss", "auc"] = "logloss"
    """Validation metric by which the best weights are kept."""
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    """Number format of the dense layers; ``auto``: bf16 where it is measured to be faster."""
    device: str = "auto"
    """``cpu``, ``cuda`` or ``cuda:N``; ``auto``: CUDA if available, else CPU."""
    sparse_from: int = Field(default=2_000_000, ge=0)
    """Rows from which a table is updated row-wise: only the rows of the batch."""
    threads: int = Field(default=0, ge=0)
    """Number of CPU threads; 0: PyTorch's default."""
    shuffle_rows: int = Field(default=1_048_576, ge=1)
    """Rows per window that is shuffled in memory; it is filled with blocks in random order."""
    checkpoint_s: float = Field(default=300.0, ge=0)
    """Seconds between checkpoints; one is also written at each evaluation."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the weights and batches, and of the sampler of a search."""
    init: Annotated[str | None, FilePath(words=("random",))] = None
    """A ``safetensors`` file of initial weights; None or ``random``: random weights."""


class TrackConfig(Section):
    """``[track]``: the MLflow mirror of the run."""

    uri: Annotated[str | None, Redacted] = None
    """URI of the MLflow store; ``none``: no tracking; None: ``CTRKIT_TRACKING_URI``, else SQLite
    in ``CTRKIT_HOME``."""
    experiment: str = "ctrkit"
    """Name of the MLflow experiment."""
    run_name: str | None = None
    """Name of the MLflow run; None: model and seed, such as ``autoint-0``, or the search folder."""


class RunConfig(Section):
    """The configuration of one training job."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    track: TrackConfig = TrackConfig()
    plugins: Annotated[tuple[str, ...], FilePath()] = ()
    """Paths of Python files that register components."""

    def canonical_json(self) -> str:
        """Return JSON with sorted keys: equal configurations give equal text.

        Addresses are without their passwords, as in :meth:`identity`.
        """
        data = self.model_dump(mode="json", by_alias=True)
        return json.dumps(data, sort_keys=True, indent=1, allow_nan=False)

    def identity(self) -> dict[str, Any]:
        """Return what makes the job the same job: all sections but ``[track]``, as JSON holds them.

        A renamed key has its first name here, so that earlier folders still hold the same job.
        """
        return with_first_names(self.model_dump(mode="json", by_alias=True, exclude={"track"}))

    def sha256(self) -> str:
        """Return a hash of :meth:`identity`."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()


def with_first_names(data: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON of a configuration with the first names of renamed keys."""
    section = data.get("data", {})
    if "split_seed" not in section:
        return data
    first = {"seed" if key == "split_seed" else key: value for key, value in section.items()}
    return {**data, "data": first}
