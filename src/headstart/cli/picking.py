"""What readers say on the way, and one domain of several."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from headstart.errors import InputError, unknown_name

if TYPE_CHECKING:
    from headstart.domain import Domain


@contextmanager
def noted() -> Iterator[None]:
    """Say the warnings of a reader in a line each."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in caught:
        typer.echo(f"note: {warning.message}", err=True)


def pick(domains: dict[str, Domain], name: str, column: str, path: Path) -> Domain:
    """Return the domain of a name in a domain column."""
    if name not in domains:
        raise InputError(unknown_name(f"domain (in column {column!r})", name, domains, str(path)))
    return domains[name]
