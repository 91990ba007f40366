"""headstart predict."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options as o
from headstart.cli.learn import require_new


def predict(
    model: Annotated[Path, typer.Argument(help="The folder that a run wrote: out/model.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="Rows to predict, with the columns of the target.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="CSV file to write; by default standard output.", show_default=False),
    ] = None,
    category: o.CategoryOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file if it is there.")] = False,
) -> None:
    """Predict new target rows with a delivered model.

    headstart predict out/model new.csv -o predictions.csv
    """
    if output is not None:
        require_new(output, force)
    from headstart.delivery import load
    from headstart.readers import read
    from headstart.result import prediction_table
    from headstart.store import staged_file

    loaded = load(model)
    table = prediction_table(loaded, read(file, categories=category or ()))
    if output is None:
        table.to_csv(sys.stdout, index=False)
        return
    with staged_file(output) as stage:
        table.to_csv(stage, index=False)
    typer.echo(f"{output}: {len(table)} predictions")
