"""headstart learn."""

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options as o
from headstart.cli.domains import ModelOption, PictureOption, TextOption, read_of
from headstart.errors import StoreError


def learn(
    file: Annotated[Path, typer.Argument(help="The source file, or folder of pictures.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The knowledge file to write.", show_default=False)],
    source: Annotated[
        str | None,
        typer.Option("--source", "-s", help="The source's name in the domain column.", show_default=False),
    ] = None,
    label: o.LabelOption = None,
    domain_column: o.DomainColumnOption = None,
    category: o.CategoryOption = None,
    pair: o.PairOption = None,
    picture: PictureOption = None,
    text: TextOption = None,
    model: ModelOption = None,
    task: o.TaskOption = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            "-m",
            help="A method that needs no source rows later: regular-transfer, pred, source-only. With "
            "--allow-source-rows also one that needs no shared columns.",
        ),
    ] = "regular-transfer",
    learner: o.LearnerOption = "auto",
    allow_source_rows: Annotated[
        bool, typer.Option("--allow-source-rows", help="Allow a learner or a method that keeps source rows inside.")
    ] = False,
    seed: o.SeedOption = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace the knowledge file if it is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")] = False,
) -> None:
    """Learn at the source and write what may travel into one file; the first half of the road.

    headstart learn cleveland.csv --label disease -o cleveland.knowledge
    """
    require_new(output, force)
    domain = read_of(
        file,
        source,
        domain_column,
        label=label,
        task=task,
        categories=category or (),
        pair=pair,
        picture=picture,
        text=text,
    )
    from headstart import pipeline

    parcel = pipeline.learn(
        domain, method, learner=learner, model=model, allow_source_rows=allow_source_rows, random_state=seed
    )
    parcel.save(output)
    if not quiet:
        inside = "holds source rows" if parcel.knowledge.holds_source_rows else "no source row inside (looked for)"
        typer.echo(f"{output}: {parcel.knowledge}, {output.stat().st_size:,} bytes; {inside}")
        typer.echo(f"at the target: headstart carry {output.name} target.csv --out out/")


def require_new(output: Path, force: bool) -> None:
    """Refuse an output file that is taken, before any work is done."""
    if output.is_dir():
        raise StoreError(f"{output}: is a folder; name a file")
    if output.exists() and not force:
        raise StoreError(f"{output}: exists; name another file, or use --force")
