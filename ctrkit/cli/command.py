"""How a function becomes a command: shared options in its signature, help in panels."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, get_args, get_type_hints

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

Verb = Callable[..., None]


def add_verb(app: typer.Typer, name: str, verb: Verb) -> None:
    """Add a function as a command.

    Args:
        app: The application, or a group of it.
        name: Name on the command line.
        verb: Its parameters are the arguments and options; its docstring is the help.
    """
    app.command(name, cls=PanelCommand)(with_shared_options(verb))


def with_shared_options(verb: Verb) -> Verb:
    """Return ``verb`` with the options of its ``**options`` written into its signature.

    Args:
        verb: A function that takes ``**options: Unpack[Group]``, where ``Group`` is a typed
            dictionary of ``Annotated[type, typer.Option(...)]``; any other is returned as it is.

    Returns:
        A function with one keyword parameter per option. ``verb`` receives those that were given
        on the command line.

    Example:
        >>> from typing import Annotated, TypedDict, Unpack
        >>> class Group(TypedDict, total=False):
        ...     label: Annotated[str, typer.Option(help="The label.")]
        >>> def train(data: str, **options: Unpack[Group]) -> None:
        ...     print(data, options)
        >>> with_shared_options(train)(data="rows.csv", label=None)
        rows.csv {}
    """
    own = list(inspect.signature(verb).parameters.values())
    last = own.pop()
    if last.kind is not inspect.Parameter.VAR_KEYWORD:
        return verb
    hints = get_type_hints(verb, include_extras=True)
    (group,) = get_args(hints[last.name])
    shared = get_type_hints(group, include_extras=True)

    @wraps(verb)
    def command(**arguments: Any) -> None:
        absent = {name for name in shared if _is_absent(arguments[name])}
        verb(**{name: value for name, value in arguments.items() if name not in absent})

    parameters = [parameter.replace(annotation=hints[parameter.name]) for parameter in own]
    for name, annotation in shared.items():
        default = False if get_args(annotation)[0] is bool else None
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters.append(inspect.Parameter(name, kind, default=default, annotation=annotation))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _is_absent(value: object) -> bool:
    """Whether an option was not given; 0 was given."""
    return value is None or value is False or value == []


class PanelCommand(TyperCommand):
    """A command that lists its options below the titles of their help panels, in plain text."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for the arguments and for each panel of options."""
        panels: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            title = "Arguments" if isinstance(parameter, TyperArgument) else "Options"
            if isinstance(parameter, TyperOption) and parameter.rich_help_panel:
                title = parameter.rich_help_panel
            panels.setdefault(title, []).append(record)
        for title, records in panels.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
