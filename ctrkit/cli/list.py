"""``ctrkit list``: the registered components."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from ctrkit.cli.options import Json, Plugins
from ctrkit.cli.printing import Table, show
from ctrkit.errors import UnknownNameError, nearest


def list_(
    kind: Annotated[
        str | None,
        Argument(metavar="KIND", help="Kind, such as models or interactions; default: all."),
    ] = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """List the components that models and rankings are made of.

    Example: ctrkit list interactions --plugin my_cross.py
    """
    from ctrkit.components import KINDS
    from ctrkit.registry import load_entry_points, load_plugin, registry

    plurals = {f"{name}s": name for name in KINDS}
    if kind is not None and kind not in plurals and kind not in KINDS:
        hint = nearest(kind, plurals)
        raise UnknownNameError(f"unknown kind {kind!r}{hint} (one of {', '.join(plurals)})")
    load_entry_points()
    for path in plugin or []:
        load_plugin(path)
    entries = [e for e in registry if kind is None or e.kind == plurals.get(kind, kind)]
    result = [
        {"kind": e.kind, "name": e.name, "summary": e.summary, "paper": e.paper} for e in entries
    ]
    table = Table(
        {"kind": "", "name": "", "summary": "", "paper": ""}, [tuple(e.values()) for e in result]
    )
    show(result, [table], as_json=json)
