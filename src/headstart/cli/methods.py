"""headstart methods."""

import sys
from typing import Annotated

import typer


def methods(
    family: Annotated[
        str | None,
        typer.Option(
            "--family",
            help="baseline, instance-based, feature-based, model-based or relation-based.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the catalogue as JSON.")] = False,
) -> None:
    """Print the catalogue: every method by family, with what it needs."""
    from headstart.catalogue import methods as catalogue

    table = catalogue(family)
    if json:
        sys.stdout.write(table.reset_index().to_json(orient="records", indent=2) + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table(
        "method",
        "family",
        "target labels",
        "source rows",
        "learner",
        "in a run",
        "what it does",
        box=None,
        pad_edge=False,
    )
    for name, line in table.iterrows():
        shown.add_row(
            str(name),
            line["family"],
            "needed" if line["target labels"] else "if any",
            "travel" if line["source rows travel"] else "stay",
            line["learner"],
            "tried" if line["tried by itself"] else "by name",
            line["summary"],
        )
    Console(width=None if sys.stdout.isatty() else 160, highlight=False).print(shown)
