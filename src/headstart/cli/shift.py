"""headstart shift."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli import options as o
from headstart.cli.domains import ModelOption, PictureOption, TextOption, read_all
from headstart.cli.progress import progress
from headstart.errors import InputError

if TYPE_CHECKING:
    from headstart.domain import Domain
    from headstart.evidence import Shift
    from headstart.road import Progress

#: Columns that are shown.
MOST_COLUMNS = 10


def shift(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Source files or folders of pictures and, last, the target; or one file with --domain-column.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            "-s",
            help="Source: a name in the domain column, or a file. Repeatable.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", help="Target: a name in the domain column, or a file.", show_default=False),
    ] = None,
    label: o.LabelOption = None,
    domain_column: o.DomainColumnOption = None,
    category: o.CategoryOption = None,
    picture: PictureOption = None,
    text: TextOption = None,
    model: ModelOption = None,
    task: o.TaskOption = None,
    permutations: Annotated[
        int, typer.Option("--permutations", help="Permutations behind each p-value.", min=19, max=100_000)
    ] = 999,
    seed: o.SeedOption = 0,
    quiet: o.QuietOption = False,
    json: o.JsonOption = False,
) -> None:
    """Measure how far source and target are apart, and tell what kind of shift it is.

    [bold]Two files:[/bold] headstart shift cleveland.csv hungarian.csv --label disease

    [bold]One file:[/bold] headstart shift heart.csv --domain-column hospital -s cleveland -t hungarian

    [bold]Pictures:[/bold] headstart shift photos/amazon --target photos/webcam
    """
    sources, found, _ = read_all(
        files or [],
        source or [],
        target,
        None,
        domain_column=domain_column,
        label=label,
        task=task,
        categories=category or (),
        picture=picture,
        text=text,
    )
    with progress(quiet or json) as show:
        measured, notes = _measured(sources, found, model, permutations, seed, show)
    if json:
        import json as writer

        sys.stdout.write(writer.dumps(measured.document(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        return
    if not quiet:
        _print_tables(measured)
        for note in notes:
            print(f"note: {note}")
    print(measured)
    print(f"diagnosis: {measured.diagnosis}")


def _measured(
    sources: list[Domain], target: Domain, model: str | None, permutations: int, seed: int, show: Progress
) -> tuple[Shift, list[str]]:
    """Bring the domains to the same columns and measure; return the shift and what a careful reader should know."""
    from headstart.domain import ITEMS, stack
    from headstart.evidence import measure_shift
    from headstart.readers import align

    domains = [*sources, target]
    modality = next((domain.modality for domain in domains if domain.modality in ITEMS), None)
    if modality is not None:
        from headstart.backbones.sources import lasting
        from headstart.backbones.transformer import DEFAULTS, BackboneFeatures, domains_as_features

        reader = BackboneFeatures(lasting(model or DEFAULTS[modality])).fit()
        domains = domains_as_features(domains, reader, lambda done, total: show(f"read: {reader.model}", done, total))
    elif model is not None:
        raise InputError("--model reads pictures and texts, and these domains are tables; leave it out")
    aligned = align(domains[:-1], domains[-1])
    source, target = stack(aligned.sources), aligned.target
    if source.task is not None and target.task not in (None, source.task) and target.labels.dtype.kind in "fiu":
        # A few numbers may look like classes where all numbers of the source do not.
        target = replace(target, task=source.task)
    show("measure", 0, 1)
    found = measure_shift(
        source, target, kinds=aligned.kinds, permutations=permutations, transport=True, random_state=seed
    )
    show("measure", 1, 1)
    return found, aligned.notes


def _print_tables(measured: Shift) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 100, highlight=False)
    table = Table("distance", "value", "p", "chance gives up to", box=None, pad_edge=False)
    for name, distance in measured.distances.items():
        table.add_row(
            name,
            f"{distance.value:.3g}",
            "" if distance.p is None else f"{distance.p:.2g}",
            "" if distance.noise is None else f"{distance.noise:.3g}",
        )
    console.print(table)
    if not measured.columns:
        return
    table = Table("column", "size", "q", "", box=None, pad_edge=False)
    for column in measured.columns[:MOST_COLUMNS]:
        table.add_row(column.column, f"{column.size:.2f}", f"{column.q:.2g}", column.note)
    console.print(table)
    if len(measured.columns) > MOST_COLUMNS:
        console.print(f"and {len(measured.columns) - MOST_COLUMNS} more columns; --json has all")
