"""Verbs about MLflow: its interface, its server of predictions, its model registry."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from ctrkit.cli.options import Host, Json, Port, Run, Store, Trust
from ctrkit.cli.printing import print_line, show


def ui(
    host: Host = "127.0.0.1",
    port: Port = 5000,
    uri: Store = None,
) -> None:
    """Open the MLflow interface on the tracked runs.

    Example: ctrkit ui --port 8080
    """
    from ctrkit import jobs

    def started(address: str) -> None:
        print_line(f"open {address}")

    jobs.ui(host=host, port=port, uri=uri, started=started)


def serve(
    run: Run,
    host: Host = "127.0.0.1",
    port: Port = 5001,
    max_body: Annotated[int, Option(min=1, help="Largest body of a request, in bytes.")] = (
        16_000_000
    ),
    trust_plugins: Trust = False,
) -> None:
    """Serve predictions for raw JSON rows over HTTP.

    The server is MLflow's own; it runs until it is interrupted.

    Example: ctrkit serve run --port 8080
    """
    from ctrkit import jobs

    def started(address: str) -> None:
        print_line(f'POST {{"inputs": [{{"column": value, ...}}, ...]}} to {address}')

    jobs.serve(
        run,
        host=host,
        port=port,
        max_body=max_body,
        trust_plugins=trust_plugins,
        started=started,
    )


def register(
    run: Run,
    name: Annotated[str, Option(help="Name of the registered model.")] = "ctrkit",
    uri: Store = None,
    trust_plugins: Trust = False,
    json: Json = False,
) -> None:
    """Register a run in MLflow as a model of raw rows.

    Example: ctrkit register run --name ads-ctr
    """
    from ctrkit import jobs

    store, version = jobs.register(run, name, uri=uri, trust_plugins=trust_plugins)
    model = f"models:/{name}/{version}"
    result = {"model": model, "name": name, "version": version, "store": store}
    show(result, [f"{model} in {store}"], as_json=json)
