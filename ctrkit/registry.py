"""One generic registry: name -> component, with its typed parameters, paper and description.

``STATIC`` lists what ctrkit ships without importing any of it, so that ``ctrkit list`` and the
command line's help need no torch; the module is imported on first look-up. Outsiders add a
component with one decorator in one file (``--plugin FILE`` or the entry point group
``ctrkit.plugins``).

A component's **positional** constructor parameters are facts of the data, supplied by name
(``fields``, ``dim``, ``second_dim``, ``pairs``, ``ops``); its **keyword-only** parameters are
hyper-parameters: they become a frozen, validated configuration type.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import math
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_type_hints

from ctrkit.errors import ConfigError, CtrkitError, UnknownNameError, nearest

if TYPE_CHECKING:
    from pydantic import BaseModel

Kind = Literal["model", "interaction", "head"]
KINDS: tuple[Kind, ...] = ("model", "interaction", "head")
T = TypeVar("T", bound=type)


@dataclass(frozen=True)
class Range:
    """Bounds of a numeric hyper-parameter, both ends included.

    Usage: ``low_rank: Annotated[int, Range(1, 64)] = 8``. A configuration field may leave an end
    open and give the bounds of searches alone: ``Range(log=True, search=(1e-4, 2e-2))``.

    Attributes:
        low: The smallest value allowed.
        high: The largest value allowed.
        log: Whether searches draw on a logarithmic scale.
        search: Narrower bounds for searches; None: the same.
    """

    low: float = -math.inf
    high: float = math.inf
    log: bool = False
    search: tuple[float, float] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Let pydantic refuse values outside the bounds."""
        bounds = {"ge": self.low, "le": self.high}
        return {**handler(source), **{k: v for k, v in bounds.items() if math.isfinite(v)}}


class Choices:
    """Values that a search tries of a parameter that is not a number; others stay allowed.

    Usage: ``hidden: Annotated[tuple[int, ...], Choices((100,), (400, 400))] = (400, 400)``.
    """

    def __init__(self, *values: Any) -> None:
        self.values = values


@dataclass(frozen=True)
class Entry:
    """What the registry knows of a component before importing it."""

    name: str
    kind: Kind
    summary: str
    paper: str = ""
    module: str = ""
    plugin: str = ""


def _entries(kind: Kind, module: str, *rows: tuple[str, str, str]) -> list[Entry]:
    return [Entry(name, kind, line, paper, module.format(name)) for name, line, paper in rows]


STATIC: tuple[Entry, ...] = (
    *_entries(
        "model",
        "ctrkit.models.presets",
        ("lr", "logistic regression: one weight per value", ""),
        ("fm", "factorization machine: linear + all second-order products", "Rendle, ICDM 2010"),
        ("dnn", "multi-layer perceptron on the concatenated embeddings", "arXiv:1601.02376"),
        ("deepfm", "factorization machine and perceptron in parallel", "arXiv:1703.04247"),
        ("dcn", "cross network (vector form) and perceptron", "arXiv:1708.05123"),
        ("dcnv2", "cross network (matrix form) and perceptron", "arXiv:2008.13535"),
        ("ipnn", "inner products of all pairs under a perceptron", "arXiv:1611.00144"),
        ("autoint", "multi-head self-attention over the fields", "arXiv:1810.11921"),
        ("autoint+", "AutoInt with a perceptron in parallel", "arXiv:1810.11921"),
        ("optinter", "each pair of fields memorized, factorized or naive", "arXiv:2108.01265"),
    ),
    *_entries(
        "interaction",
        "ctrkit.nn.interactions.{}",
        ("linear", "sum of one weight per value", ""),
        ("flat", "the embeddings themselves, concatenated", ""),
        ("fm", "sum of the inner products of all pairs", "Rendle, ICDM 2010"),
        ("products", "inner product of each pair", "arXiv:1611.00144"),
        ("crossnet", "explicit bounded-degree feature crosses", "arXiv:1708.05123, 2008.13535"),
        ("mlp", "fully connected layers on the concatenated embeddings", ""),
        ("attention", "AutoInt's multi-head self-attention over fields", "arXiv:1810.11921"),
        ("pairs", "OptInter's crosses and products of chosen pairs", "arXiv:2108.01265"),
    ),
    Entry(
        "sum",
        "head",
        "adds the branches; a branch wider than 1 gets a linear layer",
        "",
        "ctrkit.nn.head",
    ),
    Entry("mlp", "head", "a perceptron over the concatenated branches", "", "ctrkit.nn.head"),
)


@dataclass
class Registry:
    """Name -> entry and class, per kind. One instance, :data:`registry`, serves the process."""

    entries: dict[tuple[Kind, str], Entry] = field(default_factory=dict)
    classes: dict[tuple[Kind, str], type] = field(default_factory=dict)

    def names(self, kind: Kind) -> list[str]:
        """Return the names of one kind, in registration order."""
        return [name for k, name in self.entries if k == kind]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def entry(self, kind: Kind, name: str) -> Entry:
        """Return what is known of a component.

        Raises:
            UnknownNameError: No component of this kind has the name; names the nearest.
        """
        if (kind, name) not in self.entries:
            hint = nearest(name, self.names(kind))
            raise UnknownNameError(f"unknown {kind} {name!r}{hint} (see: ctrkit list {kind}s)")
        return self.entries[kind, name]

    def get(self, kind: Kind, name: str) -> type:
        """Return the class of a component, importing its module on first use."""
        entry = self.entry(kind, name)
        if (kind, name) not in self.classes:
            importlib.import_module(entry.module)
        return self.classes[kind, name]

    def add(self, kind: Kind, name: str, cls: type, paper: str) -> None:
        """Register a class; a shipped one must stand in :data:`STATIC`.

        Raises:
            ConfigError: The name is malformed, or is taken by another component.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            rule = "lower-case letters, digits and underscores, a letter first"
            raise ConfigError(f"a component's name has {rule}; got {name!r}")
        known = self.entries.get((kind, name))
        if known is not None and known.module != cls.__module__:
            raise ConfigError(f"{kind} {name!r} is already registered by {known.module}")
        if known is None:
            summary = (inspect.getdoc(cls) or "").split("\n", 1)[0].rstrip(".")
            self.entries[kind, name] = Entry(name, kind, summary, paper, cls.__module__)
        self.classes[kind, name] = cls

    def parameters(self, kind: Kind, name: str) -> type[BaseModel]:
        """Return the frozen configuration type made of a component's keyword-only parameters."""
        return parameters_of(self.get(kind, name), f"{kind}.{name}")


registry = Registry({(entry.kind, entry.name): entry for entry in STATIC})


def interaction(name: str, *, paper: str = "") -> Callable[[T], T]:
    """Register an interaction layer: ``(B, F, D) -> (B, O)`` with attribute ``out_dim``."""
    return _decorator("interaction", name, paper)


def head(name: str, *, paper: str = "") -> Callable[[T], T]:
    """Register a head: the branches' outputs -> logits ``(B,)``."""
    return _decorator("head", name, paper)


def _decorator(kind: Kind, name: str, paper: str) -> Callable[[T], T]:
    def register(cls: T) -> T:
        registry.add(kind, name, cls, paper)
        return cls

    return register


def facts_of(cls: type) -> list[str]:
    """Return the names of a component's positional parameters: the facts it wants supplied."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(cls).parameters.values()
    return [p.name for p in parameters if p.kind in kinds]


def parameters_of(cls: type, title: str) -> type[BaseModel]:
    """Make a frozen pydantic type of a class's keyword-only parameters.

    Raises:
        ConfigError: A hyper-parameter has no default or no annotation, so it cannot be offered.
    """
    from pydantic import ConfigDict, create_model

    hints = get_type_hints(cast(Any, cls).__init__, include_extras=True)
    fields: dict[str, Any] = {}
    for p in inspect.signature(cls).parameters.values():
        if p.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if p.name not in hints or p.default is inspect.Parameter.empty:
            raise ConfigError(f"{title}: parameter {p.name!r} needs an annotation and a default")
        fields[p.name] = (hints[p.name], p.default)
    config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
    return cast("type[BaseModel]", create_model(title, __config__=config, **fields))


def load_plugin(path: Path) -> Entry:
    """Import a plug-in file; return the last component it registered, with ``plugin`` set.

    The file runs with the user's rights: callers ask for consent before loading one that came
    with a run folder.

    Raises:
        CtrkitError: The file is missing, fails on import, or registers nothing.
    """
    if not path.is_file():
        raise CtrkitError(f"no plug-in file {str(path)!r}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    module_name = f"ctrkit_plugin_{digest[:16]}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except CtrkitError:
            del sys.modules[module_name]
            raise
        except Exception as error:
            del sys.modules[module_name]
            where = f"{type(error).__name__}: {error}"
            raise CtrkitError(f"plug-in {str(path)!r} failed on import: {where}") from error
    added = [entry for entry in registry if entry.module == module_name]
    if not added:
        raise CtrkitError(f"plug-in {str(path)!r} registers nothing: decorate with @interaction")
    return added[-1]


def load_entry_points() -> None:
    """Import every installed package that declares the entry point group ``ctrkit.plugins``."""
    from importlib import metadata

    for point in metadata.entry_points(group="ctrkit.plugins"):
        point.load()
