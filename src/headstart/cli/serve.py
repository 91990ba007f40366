"""headstart serve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.errors import NeedsError

if TYPE_CHECKING:
    from headstart.serve.service import Service

#: Where only this machine can ask.
HERE = ("127.0.0.1", "localhost", "::1")


def serve(
    model: Annotated[Path, typer.Argument(help="The folder that a run wrote: out/model.", show_default=False)],
    host: Annotated[str, typer.Option("--host", help="Where to listen; by default only this machine can ask.")] = HERE[
        0
    ],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes, each with the model.")] = 1,
    max_rows: Annotated[int, typer.Option("--max-rows", min=1, help="Rows of one request.")] = 1000,
    max_bytes: Annotated[int, typer.Option("--max-bytes", min=1, help="Bytes of a request's body.")] = 1_000_000,
    max_k: Annotated[int, typer.Option("--max-k", min=1, help="Items that are recommended at once.")] = 1000,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, help="Requests that one worker answers or lets wait; more get 503.")
    ] = 64,
    pretrained: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Where the pretrained model that reads pictures or texts is now, such as hf:FOLDER; by default where "
            "it was.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Answer predictions and recommendations of a delivered model over HTTP.

    [bold]This machine only:[/bold] headstart serve out/model
    """
    try:
        from headstart.serve.server import serve as serve_it
    except ModuleNotFoundError as error:
        raise NeedsError(
            f"serve needs the package {error.name}; install it with: pip install 'headstart[serve]'"
        ) from error
    from headstart.serve.limits import Limits

    if host not in HERE:
        typer.echo(f"warning: {host} is open to the network; anyone who reaches this machine can ask", err=True)

    def announce(service: Service, port: int) -> None:
        shown = f"[{host}]" if ":" in host else host
        typer.echo(f"{model}: takes {service.takes}; serving at http://{shown}:{port}, see /docs")

    limits = Limits(max_rows=max_rows, max_bytes=max_bytes, max_k=max_k, concurrency=concurrency)
    serve_it(model, pretrained, host, port, workers, limits, announce)
