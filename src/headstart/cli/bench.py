"""headstart bench."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli import options as o
from headstart.cli.learn import require_new
from headstart.errors import InputError, unknown_name

if TYPE_CHECKING:
    from headstart.bench import Shown

#: Benchmark on the command line: the module that holds its cases.
BENCHMARKS = {
    "instances": "headstart.bench.instances",
    "features": "headstart.bench.features",
    "mapping": "headstart.bench.mapping",
    "heterogeneous": "headstart.bench.heterogeneous",
    "models": "headstart.bench.models",
    "choice": "headstart.bench.choice",
    "guard": "headstart.bench.guard",
    "ranking": "headstart.bench.ranking",
    "relations": "headstart.bench.relations",
    "recommend": "headstart.bench.recommend",
}


def bench(
    name: Annotated[str, typer.Argument(help=f"Which benchmark: {', '.join(BENCHMARKS)}.", show_default=False)],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            help="The folder with the data sets; what is made, or comes with packages, needs none.",
            show_default=False,
        ),
    ] = Path(),
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Only this data set. Repeatable.", show_default=False),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "-m", help="Only this method or family, beside the baselines. Repeatable.", show_default=False
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option("--draws", help="Random draws; by default what the data set has.", min=1),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(
            "--models", help="The folder with pretrained networks, for those who need some.", show_default=False
        ),
    ] = None,
    cells: Annotated[
        Path | None,
        typer.Option(
            "--cells",
            help="Keep each figure in this file as it is measured, and go on from there: of the slow ones.",
            show_default=False,
        ),
    ] = None,
    jobs: o.JobsOption = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the figures to this JSON file.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the JSON file if it is there.")] = False,
    quiet: o.QuietOption = False,
) -> None:
    """Compare methods on real data: what they gain, and how near they come to published tables.

    headstart bench instances --data DIR

    headstart bench features --data DIR

    headstart bench mapping --data DIR

    headstart bench heterogeneous

    headstart bench models --data DIR --models DIR

    headstart bench relations --data DIR

    headstart bench recommend --data DIR
    """
    if output is not None:
        require_new(output, force)
    if name not in BENCHMARKS:
        raise InputError(unknown_name("benchmark", name, BENCHMARKS))
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; --data names the folder with the data sets")
    from importlib import import_module

    from headstart.bench import Asked, written

    asked = Asked(
        data, only or (), method or (), draws, jobs, models, cells, say=_nothing if quiet else _on_error, note=_on_error
    )
    figures = import_module(BENCHMARKS[name]).measure(asked, _print)
    if output is not None:
        written(output, {"benchmark": name, **figures})
        print(f"figures: {output}")


def _nothing(line: str) -> None:
    """Say nothing."""


def _on_error(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print(shown: Shown) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    console.print(f"\n{shown.title}", soft_wrap=True)
    table = Table(*shown.columns, box=None, pad_edge=False)
    for row in shown.rows:
        table.add_row(*row)
    console.print(table)
