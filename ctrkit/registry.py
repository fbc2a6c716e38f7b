"""The registry: name -> component, with its typed hyper-parameters, paper and description.

Shipped components are listed in :mod:`ctrkit.components`; a component's module is imported
on first use, so that ``ctrkit list`` and the command line's help need no torch. Plug-ins add a
component with one decorator in one file (``--plugin FILE`` or the entry point group
``ctrkit.plugins``).

A component's **positional** constructor parameters are facts about the data, supplied by name
(``fields``, ``dim``, ``names``, ``second_dim``, ``pairs``, ``ops``); its **keyword-only**
parameters are hyper-parameters: they become a frozen, validated configuration type.
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
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_type_hints

from ctrkit.components import KINDS, STATIC, Entry, Kind
from ctrkit.errors import ConfigError, CtrkitError, UnknownNameError, nearest

if TYPE_CHECKING:
    from pydantic import BaseModel

T = TypeVar("T", bound=Callable[..., Any])


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
    """Values that a search tries for a parameter that is not a number; others stay allowed.

    Usage: ``hidden: Annotated[tuple[int, ...], Choices((100,), (400, 400))] = (400, 400)``.
    """

    def __init__(self, *values: Any) -> None:
        self.values = values


@dataclass
class Registry:
    """Entries and components by kind and name. One instance, :data:`registry`, per process.

    Attributes:
        entries: What is known about each component before it is imported.
        components: The classes and functions imported so far.
    """

    entries: dict[tuple[Kind, str], Entry] = field(default_factory=dict)
    components: dict[tuple[Kind, str], Any] = field(default_factory=dict)

    def names(self, kind: Kind) -> list[str]:
        """Return the names of one kind, in registration order."""
        return [name for k, name in self.entries if k == kind]

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over the entries, one kind after the other."""
        return iter(sorted(self.entries.values(), key=lambda entry: KINDS.index(entry.kind)))

    def entry(self, kind: Kind, name: str) -> Entry:
        """Return the entry of a component.

        Raises:
            UnknownNameError: No component of this kind has the name; suggests the nearest.
        """
        if (kind, name) not in self.entries:
            hint = nearest(name, self.names(kind))
            raise UnknownNameError(f"unknown {kind} {name!r}{hint} (see: ctrkit list {kind}s)")
        return self.entries[kind, name]

    def get(self, kind: Kind, name: str) -> Any:
        """Return a component (a class or a function), importing its module on first use.

        Raises:
            UnknownNameError: No component of this kind has the name; suggests the nearest.
        """
        entry = self.entry(kind, name)
        if (kind, name) not in self.components:
            importlib.import_module(entry.module)
        return self.components[kind, name]

    def add(
        self, kind: Kind, name: str, component: Any, paper: str = "", can: tuple[str, ...] = ()
    ) -> None:
        """Register a class or a function; a shipped one needs a row in :mod:`ctrkit.components`.

        Raises:
            ConfigError: The kind is unknown, the name is malformed, or it is taken.
        """
        if kind not in KINDS:
            raise ConfigError(
                f"the kind of a component must be one of {', '.join(KINDS)}; got {kind!r}"
            )
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            rule = "lower-case letters, digits and underscores, starting with a letter"
            raise ConfigError(f"the name of a component must be {rule}; got {name!r}")
        entry = self.entries.get((kind, name))
        if entry is not None and entry.module != component.__module__:
            raise ConfigError(f"{kind} {name!r} is already registered by {entry.module}")
        if entry is None:
            summary = (inspect.getdoc(component) or "").split("\n", 1)[0].rstrip(".")
            self.entries[kind, name] = Entry(name, kind, summary, paper, component.__module__, can)
        self.components[kind, name] = component

    def parameters(self, kind: Kind, name: str) -> type[BaseModel]:
        """Return the frozen configuration type made of a component's keyword-only parameters."""
        return parameters_of(self.get(kind, name), f"{kind}.{name}")


registry = Registry({(entry.kind, entry.name): entry for entry in STATIC})


def register(
    kind: Kind, name: str, *, paper: str = "", can: tuple[str, ...] = ()
) -> Callable[[T], T]:
    """Register the decorated class or function under a name.

    Args:
        kind: The kind of component.
        name: The name that a configuration uses.
        paper: Source, for ``ctrkit list``.
        can: See :class:`~ctrkit.components.Entry`.
    """

    def decorate(component: T) -> T:
        registry.add(kind, name, component, paper, can)
        return component

    return decorate


def interaction(name: str, *, paper: str = "") -> Callable[[T], T]:
    """Register an interaction layer: ``(B, F, D) -> (B, O)`` with attribute ``out_dim``."""
    return register("interaction", name, paper=paper)


def head(name: str, *, paper: str = "") -> Callable[[T], T]:
    """Register a head: the branches' outputs -> logits ``(B,)``."""
    return register("head", name, paper=paper)


def table(name: str, *, paper: str = "") -> Callable[[T], T]:
    """Register a kind of embedding table: an :class:`~ctrkit.nn.tables.base.EmbeddingTable`."""
    return register("table", name, paper=paper)


def optimizer(name: str, *, paper: str = "", can: tuple[str, ...] = ()) -> Callable[[T], T]:
    """Register an optimiser: an :class:`~ctrkit.train.optimizers.base.OptimizerKind`.

    Args:
        name: For ``train.optimizer``.
        paper: Source.
        can: ``weight_decay``, ``rowwise``, both or neither.
    """
    return register("optimizer", name, paper=paper, can=can)


def schedule(name: str, *, paper: str = "") -> Callable[[T], T]:
    """Register a schedule: :class:`ctrkit.train.schedule.Course` -> factor of the rate."""
    return register("schedule", name, paper=paper)


def facts_of(cls: Callable[..., Any]) -> list[str]:
    """Return the names of a component's positional parameters: the facts that it needs."""
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


def is_loaded(path: Path) -> bool:
    """Return whether a plug-in file, or one of the same content, was imported in this process."""
    return path.is_file() and _module_name(path) in sys.modules


def _module_name(path: Path) -> str:
    return f"ctrkit_plugin_{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"


def load_plugin(path: Path) -> Entry:
    """Import a plug-in file; return the last component that it registers.

    The file runs with the user's rights: callers ask for consent before they load one that a
    file names, or that came with a run folder.

    Raises:
        CtrkitError: The file is missing, fails on import, or registers nothing.
    """
    if not path.is_file():
        raise CtrkitError(f"the plug-in file {str(path)!r} does not exist")
    if path.suffix != ".py":
        raise CtrkitError(f"a plug-in must be a .py file; got {str(path)!r}")
    module_name = _module_name(path)
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
        raise CtrkitError(
            f"plug-in {str(path)!r} registers nothing: decorate a class with @interaction, "
            "@head or another decorator of ctrkit.registry"
        )
    return added[-1]


def load_entry_points() -> None:
    """Import every installed package that declares the entry point group ``ctrkit.plugins``."""
    from importlib import metadata

    for point in metadata.entry_points(group="ctrkit.plugins"):
        point.load()
