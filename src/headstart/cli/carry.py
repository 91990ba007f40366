"""headstart carry."""

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options as o
from headstart.cli.domains import PictureOption, TextOption, read_of
from headstart.cli.progress import progress
from headstart.cli.show import deliver, require_free


def carry(
    knowledge: Annotated[Path, typer.Argument(help="The file that headstart learn wrote.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="The target file, or folder of pictures.", show_default=False)],
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", help="The target's name in the domain column.", show_default=False),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(
            "--test",
            help="File of labelled target rows to measure on, never to learn from.",
            show_default=False,
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label", "-l", help="Column to predict; by default called as at the source.", show_default=False
        ),
    ] = None,
    domain_column: o.DomainColumnOption = None,
    category: o.CategoryOption = None,
    pair: o.PairOption = None,
    picture: PictureOption = None,
    text: TextOption = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Where the pretrained model that reads pictures or texts is here, such as hf:FOLDER; by default where "
            "it was at the source.",
            show_default=False,
        ),
    ] = None,
    spaces: o.SpacesOption = "auto",
    metric: o.MetricOption = None,
    guard: o.GuardOption = "strict",
    folds: o.FoldsOption = 5,
    repeats: o.RepeatsOption = None,
    budget: o.BudgetOption = None,
    seed: o.SeedOption = 0,
    jobs: o.JobsOption = 1,
    out: o.OutOption = Path("out"),
    force: o.ForceOption = False,
    quiet: o.QuietOption = False,
    json: o.JsonOption = False,
) -> None:
    """Carry knowledge to a target where the source rows may not go; the second half of the road.

    headstart carry cleveland.knowledge hungarian.csv --out out/
    """
    require_free(out, force)
    from headstart import pipeline
    from headstart.catalogue import make
    from headstart.parcel import found_at, read_parcel

    parcel = read_parcel(knowledge, make)
    if model is not None:
        parcel = found_at(parcel, model)
    reading = {
        "task": parcel.plan.task,
        "categories": category or (),
        "label": label or parcel.plan.label,
        "pair": pair,
        "picture": picture,
        "text": text,
    }
    found = read_of(file, target, domain_column, label_optional=label is None, **reading)
    tested = None if test is None else read_of(test, None, None, **reading)
    with progress(quiet or json) as show:
        result = pipeline.carry(
            parcel,
            found,
            test=tested,
            metric=metric,
            guard=guard,
            spaces=spaces,
            folds=folds,
            repeats=repeats,
            budget=budget,
            random_state=seed,
            n_jobs=jobs,
            progress=show,
        )
    deliver(result, out, force=force, quiet=quiet, json=json)
