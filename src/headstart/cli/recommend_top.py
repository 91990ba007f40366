"""headstart recommend top."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from headstart.cli.learn import require_new
from headstart.errors import InputError, listed


def top(
    model: Annotated[Path, typer.Argument(help="The folder that fit wrote.", show_default=False)],
    user: Annotated[
        list[str] | None, typer.Option("--user", "-u", help="For whom. Repeatable.", show_default=False)
    ] = None,
    users: Annotated[
        Path | None,
        typer.Option("--users", help="File of users: one a line, or a table with a column user.", show_default=False),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(
            "--history",
            help="File of what somebody new did: item, and domain, rating and user where there are several.",
            show_default=False,
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", "--top", help="How many items.", min=1)] = 10,
    candidates: Annotated[
        Path | None,
        typer.Option(
            "--candidates",
            help="File of items to choose among: one a line, or a table with a column item.",
            show_default=False,
        ),
    ] = None,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Also what is in the user's history already.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say which events led to each item.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="CSV or JSON file; by default a table is printed.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file if it is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Recommend: the best items for users that are known, or for somebody new by what they did.

    headstart recommend top model/ --user ann -k 5 --explain

    headstart recommend top model/ --history history.csv
    """
    if out is not None:
        require_new(out, force)
        if out.suffix.lower() not in (".csv", ".json"):
            raise InputError(f"{out}: must end in .csv or .json")
    from headstart.cli.recommend_words import best_items, explained, print_top, records
    from headstart.delivery import load
    from headstart.recommend.id_files import read_guests, read_ids
    from headstart.store import staged_file

    recommender = load(model).recommender
    people: dict[str, Any] = {name: name for name in [*(user or []), *(read_ids(users, "user") if users else [])]}
    if history is not None:
        people |= read_guests(history, recommender)
    if not people:
        raise InputError("for whom? give --user, --users or --history")
    among = None if candidates is None else read_ids(candidates, "item")
    table = best_items(recommender, people, k, exclude_seen=not include_seen, candidates=among)
    if explain:
        table["why"] = explained(recommender, table, people)
    empty = [name for name in people if name not in set(table["user"])]
    if empty:
        typer.echo(f"note: nothing is left to recommend to {listed(empty)}", err=True)
    if out is not None:
        with staged_file(out) as stage:
            if out.suffix.lower() == ".csv":
                table.to_csv(stage, index=False)
            else:
                stage.write_text(records(table) + "\n", encoding="utf-8")
        print(f"{out}: {len(table):,} recommendations for {table['user'].nunique():,} users")
    elif json:
        sys.stdout.write(records(table) + "\n")
    else:
        print_top(table, recommender)
