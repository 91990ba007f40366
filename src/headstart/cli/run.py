"""headstart run."""

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options as o
from headstart.cli.domains import (
    ModelOption,
    PictureOption,
    PredicateOption,
    SourcePredicateOption,
    TextOption,
    read_all,
)
from headstart.cli.progress import progress
from headstart.cli.ratings import (
    HoldOutOption,
    ItemOption,
    RatingOption,
    ScaleOption,
    SharedOption,
    TimeOption,
    UserOption,
    columns_of,
)
from headstart.cli.show import deliver, require_free


def run(
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
    test: Annotated[
        str | None,
        typer.Option("--test", help="Labelled target rows to measure on, never to learn from.", show_default=False),
    ] = None,
    label: o.LabelOption = None,
    domain_column: o.DomainColumnOption = None,
    category: o.CategoryOption = None,
    pair: o.PairOption = None,
    picture: PictureOption = None,
    text: TextOption = None,
    predicate: PredicateOption = None,
    source_predicate: SourcePredicateOption = None,
    user: UserOption = None,
    item: ItemOption = None,
    rating: RatingOption = None,
    time: TimeOption = None,
    shared: SharedOption = None,
    hold_out: HoldOutOption = None,
    scale: ScaleOption = None,
    model: ModelOption = None,
    spaces: o.SpacesOption = "auto",
    task: o.TaskOption = None,
    learner: o.LearnerOption = "auto",
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help="Try only this method, the methods of this family, or all (see headstart methods). Repeatable.",
            show_default=False,
        ),
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            help="Train the pretrained model itself this way, such as lp_ft or lora; with settings of its own as "
            "lp_ft:epochs=3,lr=1e-5. Repeatable.",
            show_default=False,
        ),
    ] = None,
    metric: o.MetricOption = None,
    guard: o.GuardOption = "strict",
    folds: o.FoldsOption = 5,
    repeats: o.RepeatsOption = None,
    budget: o.BudgetOption = None,
    trials: Annotated[
        int, typer.Option("--trials", help="Settings to try of each of the best three methods; 1: the default's.")
    ] = 1,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            help="Write the scores of every fit to this file, and go on from it when a run was stopped.",
            show_default=False,
        ),
    ] = None,
    seed: o.SeedOption = 0,
    jobs: o.JobsOption = 1,
    out: o.OutOption = Path("out"),
    force: o.ForceOption = False,
    quiet: o.QuietOption = False,
    json: o.JsonOption = False,
) -> None:
    """Find out whether a source helps a target, and deliver the model.

    [bold]Two files:[/bold] headstart run cleveland.csv hungarian.csv --label disease

    [bold]One file:[/bold] headstart run heart.csv --domain-column hospital -s cleveland -t hungarian --label disease

    [bold]Pictures:[/bold] headstart run photos/amazon --target photos/webcam, with a folder for each class

    [bold]Texts:[/bold] headstart run books.csv films.csv --text review --label liked

    [bold]Facts:[/bold] headstart run university --source films --predicate advisedby

    [bold]Graphs:[/bold] headstart run acm.mat dblp.mat, or folders with links.csv, attributes.csv and labels.csv

    [bold]Ratings:[/bold] headstart run books.csv films.csv --user user --item item --rating rating

    [bold]Fine-tuning:[/bold] headstart run photos --source amazon --target webcam --model hf:FOLDER --strategy lp_ft
    """
    require_free(out, force)
    sources, found, tested = read_all(
        files or [],
        source or [],
        target,
        test,
        domain_column=domain_column,
        ratings=columns_of(user, item, rating=rating, time=time, shared=shared, held_out=hold_out, scale=scale),
        label=label,
        task=task,
        categories=category or (),
        pair=pair,
        picture=picture,
        text=text,
        predicate=predicate,
        source_predicate=source_predicate,
    )
    from headstart import pipeline
    from headstart.catalogue import strategy_of

    with progress(quiet or json) as show:
        result = pipeline.run(
            sources,
            found,
            test=tested,
            learner=learner,
            methods=[*(method or ()), *map(strategy_of, strategy or ())] or None,
            metric=metric,
            guard=guard,
            model=model,
            spaces=spaces,
            folds=folds,
            repeats=repeats,
            budget=budget,
            trials=trials,
            keep=keep,
            random_state=seed,
            n_jobs=jobs,
            progress=show,
        )
    deliver(result, out, force=force, quiet=quiet, json=json)
