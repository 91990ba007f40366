"""Options of the commands that read ratings, and how these are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli.picking import noted
from headstart.errors import InputError, unknown_name

if TYPE_CHECKING:
    from headstart.domain import Domain

FilesArgument = Annotated[
    list[Path],
    typer.Argument(
        help="Files of ratings or events: one a domain, or one with a domain column. CSV, TSV, Parquet.",
        show_default=False,
    ),
]
TargetOption = Annotated[
    str, typer.Option("--target", "-t", help="The domain whose items are recommended.", show_default=False)
]
UserColumnOption = Annotated[
    str | None, typer.Option("--user", help="Column of users; by default user.", show_default=False)
]
ItemColumnOption = Annotated[
    str | None, typer.Option("--item", help="Column of items; by default item.", show_default=False)
]
DomainColumnOption = Annotated[
    str | None,
    typer.Option(
        "--domain-column",
        help="Column of domains; by default domain. A file without is a domain, called after the file.",
        show_default=False,
    ),
]
RatingColumnOption = Annotated[
    str | None,
    typer.Option(
        "--rating",
        help="Column of ratings; by default rating. Without, what happened is all there is to learn from.",
        show_default=False,
    ),
]
TimeColumnOption = Annotated[
    str | None, typer.Option("--time", help="Column of times; by default timestamp.", show_default=False)
]
ScaleOption = Annotated[
    tuple[float, float] | None,
    typer.Option("--scale", help="Lowest and highest rating; others are refused.", show_default=False),
]
EventsOption = Annotated[
    bool, typer.Option("--events", help="Leave ratings out: that something was rated tells that it happened.")
]
SharedOption = Annotated[
    str, typer.Option("--shared", help="Which ids mean the same in every domain: users, items, both or none.")
]


def columns_of(
    user: str | None, item: str | None, domain: str | None, rating: str | None, time: str | None
) -> dict[str, str | None]:
    """Return what columns are called, as `read_ratings` takes them."""
    return {"user": user, "item": item, "domain": domain, "rating": rating, "time": time}


def read_all_ratings(files: list[Path], target: str, reading: dict[str, Any]) -> dict[str, Domain]:
    """Read the domains, and say what a reader notes; refuse a target that is none of them."""
    from headstart.recommend.rating_files import read_ratings

    with noted():
        domains = read_ratings(files, **reading)
    if target not in domains:
        raise InputError(unknown_name("domain", target, domains))
    return domains


def say_domains(sources: list[Domain], target: Domain) -> None:
    """Say how large the domains are, and how many users of the target stand in a source."""
    from headstart.cli.recommend_words import said
    from headstart.recommend.protocols import shared_users

    for domain in (*sources, target):
        print(said(domain))
    if sources:
        both = len(shared_users(sources, target))
        print(f"users of {target.name} who stand in {' or '.join(each.name for each in sources)} too: {both:,}")
