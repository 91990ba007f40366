"""headstart rank."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli import options as o
from headstart.cli.domains import ModelOption, PictureOption, TextOption, read_all, read_one
from headstart.cli.learn import require_new
from headstart.cli.progress import progress
from headstart.errors import InputError

if TYPE_CHECKING:
    from headstart.choose.ranking import Ranking

#: What makes a folder a model of Hugging Face's.
MARK = "config.json"


def rank(
    things: Annotated[
        list[str] | None,
        typer.Argument(
            help="Sources: files, folders of pictures, or one file with --domain-column. After --models, more models.",
            show_default=False,
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--models",
            help="Rank models: bundled:..., hf:FOLDER and so on, a model's folder, or a folder of such folders. "
            "Repeatable.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", "-t", help="Target: a file, a folder of pictures, or a domain's name.", show_default=False
        ),
    ] = None,
    label: o.LabelOption = None,
    domain_column: o.DomainColumnOption = None,
    category: o.CategoryOption = None,
    picture: PictureOption = None,
    text: TextOption = None,
    task: o.TaskOption = None,
    score: Annotated[
        str | None,
        typer.Option(
            "--score",
            help="The score to rank models by; by default consensus, their mean rank over the scores.",
            show_default=False,
        ),
    ] = None,
    known: Annotated[
        Path | None,
        typer.Option(
            "--known",
            help="JSON of what the models reached on other tasks, as headstart bench ranking -o writes it.",
            show_default=False,
        ),
    ] = None,
    model: ModelOption = None,
    learner: o.LearnerOption = "auto",
    folds: o.FoldsOption = 5,
    repeats: o.RepeatsOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the ranking to this file, as JSON.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    seed: o.SeedOption = 0,
    jobs: o.JobsOption = 1,
    quiet: o.QuietOption = False,
    json: o.JsonOption = False,
) -> None:
    """Rank pretrained models, or source data sets, for a target with a few labels.

    [bold]Models:[/bold] headstart rank --models models/ bundled:efficientnet-lite0 --target photos/webcam

    [bold]Sources:[/bold] headstart rank cleveland.csv virginia.csv --target hungary.csv --label disease
    """
    if output is not None:
        require_new(output, force)
    if target is None:
        raise InputError("name the target with --target")
    reading: dict[str, Any] = {
        "label": label,
        "task": task,
        "categories": category or (),
        "picture": picture,
        "text": text,
    }
    with progress(quiet or json) as show:
        if models:
            _refuse_with_models(domain_column, model, learner, repeats)
            from headstart.choose.model_ranking import rank_models

            named = models_in([*models, *(things or ())])
            domain = read_one(Path(target), None, label_optional=True, **reading)
            found = rank_models(named, domain, score=score, static=known, random_state=seed, progress=show)
        else:
            if score is not None or known is not None:
                raise InputError("--score and --known are about models; name some with --models")
            from headstart.choose.source_ranking import rank_sources

            files = [Path(thing) for thing in things or ()]
            sources, domain, _ = read_all(files, [], target, None, domain_column=domain_column, pair=None, **reading)
            found = rank_sources(
                sources,
                domain,
                learner=learner,
                model=model,
                folds=folds,
                repeats=repeats or 5,
                random_state=seed,
                n_jobs=jobs,
                progress=show,
            )
    _told(found, output, quiet=quiet, json=json)


def models_in(names: Sequence[str]) -> list[str]:
    """Return models by the names that `headstart.backbone` takes; a folder of models stands for all of them, by name.

    Raises
    ------
    InputError
        When a name is neither of a model nor of a folder with models.
    """
    from headstart.backbones.sources import SOURCES

    found: list[str] = []
    for name in names:
        kind, colon, _ = name.partition(":")
        place = Path(name)
        if colon and kind in SOURCES:
            found.append(name)
        elif place.suffix == ".onnx" and place.is_file():
            found.append(f"onnx:{name}")
        elif (place / MARK).is_file():
            found.append(f"hf:{name}")
        else:
            inside = sorted(folder for folder in place.iterdir() if (folder / MARK).is_file()) if place.is_dir() else []
            if not inside:
                why = "holds no model" if place.is_dir() else "is no model and no folder"
                kinds = ", ".join(f"{kind}:..." for kind in SOURCES)
                raise InputError(f"{name}: {why}; a model's folder holds {MARK}; or write one of {kinds}")
            found += [f"hf:{folder}" for folder in inside]
    return found


def _refuse_with_models(domain_column: str | None, model: str | None, learner: str, repeats: int | None) -> None:
    given = {"--domain-column": domain_column, "--model": model, "--repeats": repeats}
    for option, value in {**given, "--learner": None if learner == "auto" else learner}.items():
        if value is not None:
            raise InputError(f"{option} is about sources, and --models asks for models; leave one of them out")


def _told(ranking: Ranking, output: Path | None, *, quiet: bool, json: bool) -> None:
    import json as json_

    text = json_.dumps(ranking.document(), indent=1, ensure_ascii=False) + "\n"
    if output is not None:
        from headstart.store.folder import staged_file

        with staged_file(output) as stage:
            stage.write_text(text, encoding="utf-8")
    if json:
        sys.stdout.write(text)
        return
    if not quiet:
        _print_tables(ranking)
        for note in ranking.notes:
            print(f"note: {note}")
    print(ranking.sentence)
    if output is not None:
        print(f"ranking: {output}")


def _print_tables(ranking: Ranking) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(ranking.how, soft_wrap=True)
    of_models = ranking.what == "models"
    about = ("parameters", "features", "licence", "trained for") if of_models else ("score", "rows", "AUC")
    columns = ["", ranking.what[:-1], ranking.by, "95% CI", "behind the first", *about]
    if not of_models:
        columns[5] = next(name for name in ranking.order[0].scores if name != ranking.by)
    table = Table(*columns, box=None, pad_edge=False)
    for place, one in enumerate(ranking.order, start=1):
        behind = "" if place == 1 else f"{one.behind[0]:.3f}{' (tied)' if one.tied else ''}"
        interval = "" if one.low is None or one.high is None else f"{one.low:.3f} to {one.high:.3f}"
        facts = one.about
        more = (
            [f"{facts['parameters'] / 1e6:.2f} M", str(facts["width"]), facts["licence"], facts["source_task"]]
            if of_models
            else [f"{one.scores[columns[5]]:.3f}", str(facts["rows"]), f"{facts['auc']:.2f}"]
        )
        table.add_row(str(place), one.name, f"{one.score:.3f}", interval, behind, *more)
    console.print(table)
    if of_models:
        _print_ranks(ranking, console)


def _print_ranks(ranking: Ranking, console: Any) -> None:
    """Print where each model stands by every other score, and by what never looks at the target."""
    from rich.table import Table

    names = [one.name for one in ranking.order]
    table = Table("rank by", *map(str, range(1, len(names) + 1)), box=None, pad_edge=False)
    for score in dict.fromkeys(score for one in ranking.order for score in one.scores):
        ranks = ranking.ranks_by(score)
        table.add_row(score, *(str(ranks.get(name, "-")) for name in names))
    for static, order in ranking.static.items():
        table.add_row(f"{static} alone", *(str(order.index(name) + 1) if name in order else "-" for name in names))
    console.print(table)
