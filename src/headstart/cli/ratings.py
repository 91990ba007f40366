"""From the command line's files of users and items to domains of ratings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli.picking import noted, pick
from headstart.errors import InputError, listed

if TYPE_CHECKING:
    from headstart.domain import Domain

UserOption = Annotated[
    str | None,
    typer.Option(
        "--user",
        help="Of ratings: the column of user ids. With --item it says that each row is what a user did or rated.",
        show_default=False,
    ),
]
ItemOption = Annotated[
    str | None, typer.Option("--item", help="Of ratings: the column of item ids.", show_default=False)
]
RatingOption = Annotated[
    str | None,
    typer.Option(
        "--rating",
        help="Of ratings: the column of ratings. Without, a row is something that happened, and what is learned is "
        "which items come first.",
        show_default=False,
    ),
]
TimeOption = Annotated[
    str | None,
    typer.Option(
        "--time",
        help="Of ratings: the column of times; of a user's rows on one item the latest counts.",
        show_default=False,
    ),
]
SharedOption = Annotated[
    str | None,
    typer.Option(
        "--shared",
        help="Of ratings: which ids mean the same in every file: users (the default), items, both or none.",
        show_default=False,
    ),
]
HoldOutOption = Annotated[
    str | None,
    typer.Option(
        "--hold-out",
        help="Of ratings: what is held out together to measure the gain: rows (the default), or users, who then start "
        "cold.",
        show_default=False,
    ),
]
ScaleOption = Annotated[
    tuple[float, float] | None,
    typer.Option("--scale", help="Of ratings: the lowest and the highest; others are refused.", show_default=False),
]
#: Options that only ratings have, by the name that `ratings_domain` gives them.
OF_RATINGS = {
    "rating": "--rating",
    "time": "--time",
    "shared": "--shared",
    "held_out": "--hold-out",
    "scale": "--scale",
}
#: Options that are for tables; of ratings there is nothing that they could mean.
OF_TABLES = {"label": "--label", "task": "--task", "categories": "--category", "pair": "--pair"}


def columns_of(user: str | None, item: str | None, **others: Any) -> dict[str, Any] | None:
    """Return how files of ratings are read, or None where none of the options says that they hold ratings.

    Raises
    ------
    InputError
        When one of user and item is named without the other, or another option of ratings without both.
    """
    given = {name: value for name, value in others.items() if value is not None}
    if user is None and item is None:
        if given:
            raise InputError(f"{OF_RATINGS[next(iter(given))]} is about ratings; name their columns (--user, --item)")
        return None
    if user is None or item is None:
        raise InputError("ratings have two columns of ids; name both (--user, --item)")
    return {"user": user, "item": item, **given}


def read_ratings_domains(
    files: Sequence[Path],
    sources: Sequence[str],
    target: str | None,
    test: str | None,
    *,
    domain_column: str | None,
    columns: dict[str, Any],
    other: dict[str, Any],
) -> tuple[list[Domain], Domain, Domain | None]:
    """Return sources, target and test rows (or None), from one file with a domain column or from a file each.

    Parameters
    ----------
    columns : dict
        As `columns_of` returns it.
    other : dict
        What was said of how tables are read, all of which must be empty.
    """
    for name, option in {**OF_TABLES, "picture": "--picture", "text": "--text", "predicate": "--predicate"}.items():
        if other.get(name):
            raise InputError(f"{option} is not for ratings; leave it out, or --user and --item")
    if domain_column is not None:
        return _from_one_file(files, sources, target, test, domain_column, columns)
    paths = [*files, *(Path(name) for name in sources)]
    if target is None and (not files or len(paths) < 2):
        raise InputError("give a source file and a target file (the last), or one file with --domain-column")
    target_path = files[-1] if target is None else Path(target)
    if target is None:
        paths.remove(target_path)
    if not paths:
        raise InputError("no source; give a source file, or one file with --domain-column")
    stems = [path.stem for path in (*paths, target_path)]
    named = [
        stem if stems.count(stem) == 1 else str(path.with_suffix(""))
        for stem, path in zip(stems, (*paths, target_path), strict=True)
    ]
    *read, found = [one_domain(path, name, columns) for path, name in zip((*paths, target_path), named, strict=True)]
    return read, found, None if test is None else one_domain(Path(test), f"{named[-1]}-test", columns)


def one_domain(path: Path, name: str, columns: dict[str, Any]) -> Domain:
    """Read one file as one domain of ratings; without a column of ratings that is named, as events."""
    found = _read(path, columns, name=name)
    if len(found) > 1:
        raise InputError(f"{path}: holds {len(found)} domains ({listed(found)}); name their column (--domain-column)")
    return next(iter(found.values()))


def _read(path: Path, columns: dict[str, Any], **more: Any) -> dict[str, Domain]:
    from headstart.recommend.rating_files import read_ratings

    with noted():
        return read_ratings(path, **columns, events="rating" not in columns, **more)


def _from_one_file(
    files: Sequence[Path],
    sources: Sequence[str],
    target: str | None,
    test: str | None,
    domain_column: str,
    columns: dict[str, Any],
) -> tuple[list[Domain], Domain, Domain | None]:
    if len(files) != 1:
        raise InputError(f"--domain-column goes with one file, not {len(files)}")
    domains = _read(files[0], columns, domain=domain_column)
    if target is None:
        raise InputError(f"--domain-column needs --target; column {domain_column!r} has {', '.join(domains)}")
    chosen = pick(domains, target, domain_column, files[0])
    tested = None if test is None else pick(domains, test, domain_column, files[0])
    picked = [pick(domains, name, domain_column, files[0]) for name in sources] or [
        domain for name, domain in domains.items() if name not in (target, test)
    ]
    if not picked:
        raise InputError(f"{files[0]}: column {domain_column!r} has no other domain than {target!r} to be the source")
    return picked, chosen, tested
