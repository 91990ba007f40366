"""headstart predict."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli import options as o
from headstart.cli.domains import PictureOption, TextOption, read_one
from headstart.cli.learn import require_new
from headstart.cli.ratings import ItemOption, UserOption
from headstart.domain import WORLDS
from headstart.errors import InputError

if TYPE_CHECKING:
    from headstart.delivery import Model
    from headstart.domain import Domain


def predict(
    model: Annotated[Path, typer.Argument(help="The folder that a run wrote: out/model.", show_default=False)],
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Rows to predict: a file with the columns of the target; or pictures, or a folder of them.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="CSV file to write; by default standard output.", show_default=False),
    ] = None,
    category: o.CategoryOption = None,
    picture: PictureOption = None,
    text: TextOption = None,
    user: UserOption = None,
    item: ItemOption = None,
    pretrained: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Where the pretrained model that reads pictures or texts is now, such as hf:FOLDER; by default where "
            "it was.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file if it is there.")] = False,
) -> None:
    """Predict new target rows with a delivered model.

    [bold]A table:[/bold] headstart predict out/model new.csv -o predictions.csv

    [bold]Ratings:[/bold] headstart predict out/model new.csv, with columns user and item

    [bold]Pictures:[/bold] headstart predict out/model photos/new/*.jpg
    """
    if output is not None:
        require_new(output, force)
    from headstart.delivery import load
    from headstart.result import prediction_table
    from headstart.store import staged_file

    loaded = load(model, model=pretrained)
    if loaded.card.get("rows") == "ratings":
        domain = _pairs(loaded, files, {"user": user, "item": item})
    elif user is not None or item is not None:
        raise InputError(f"{model}: is no model of ratings; leave --user and --item out")
    else:
        domain = _rows(loaded, files, categories=category or (), picture=picture, text=text)
    # Read once here: predictions and probabilities both take the features.
    table = prediction_table(loaded, loaded.features(domain))
    if domain.modality == "facts":
        for at, column in enumerate(domain.X.constants.T, 1):
            table.insert(at, f"argument {at}", column)
    if domain.modality == "ratings":
        table.insert(1, "user", domain.X.users)
        table.insert(2, "item", domain.X.items)
    if domain.modality == "image":
        table.insert(1, "picture", domain.X[:, 0])
    if output is None:
        table.to_csv(sys.stdout, index=False)
        return
    with staged_file(output) as stage:
        table.to_csv(stage, index=False)
    typer.echo(f"{output}: {len(table)} predictions")


def _pairs(model: Model, files: list[Path], asked: dict[str, str | None]) -> Domain:
    """Read users and items for which a recommender is to tell a rating, or a number that orders."""
    from headstart.domain import Domain
    from headstart.readers.table import read_file
    from headstart.recommend import Ratings
    from headstart.recommend.rating_files import find_column

    if len(files) > 1:
        raise InputError(f"the model takes one file of users and items, not {len(files)}")
    table = read_file(files[0])
    if isinstance(table, dict):
        raise InputError(f"{files[0]}: holds arrays; the model takes a table of users and items")
    users, items = (table[find_column(what, given, table.columns, files[0])] for what, given in asked.items())
    histories = model.recommender.histories
    return Domain(Ratings.of(users, items, histories.target, shared=histories.shared), name="new")


def _rows(model: Model, files: list[Path], **reading: Any) -> Domain:
    """Read what is to be predicted, as the model takes it."""
    takes = model.card.get("rows", "table") if model.reader is None else model.reader.modality_
    if len(files) > 1 and takes == "image":
        from headstart.readers import read

        return read(files)
    if len(files) > 1:
        raise InputError(f"the model takes one file of rows, not {len(files)}")
    if takes == "facts":
        reading["predicate"] = model.card["label"]
    domain = read_one(files[0], None, **reading)
    if domain.modality == takes:
        return domain
    if takes == "table":
        raise InputError(f"{files[0]}: the model takes tables; give a file with the columns of the target, and only it")
    if takes in WORLDS:
        raise InputError(f"{files[0]}: the model takes {takes}, as its target was; give a file or folder of these")
    what = "pictures or a folder of them, or a file and the column of their paths (--picture)"
    raise InputError(f"{files[0]}: the model takes {what if takes == 'image' else 'texts; name their column (--text)'}")
