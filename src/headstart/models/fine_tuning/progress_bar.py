"""A bar on standard error that shows how far training is, with the time left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int], None]


def untold(done: int, total: int) -> None:
    """Tell nobody how far training is."""


@contextmanager
def shown(progress: Progress | bool, name: str) -> Iterator[Progress]:
    """Give what is called with (steps done, steps in all): the callable itself, for True a bar, for False nobody.

    Where standard error is no terminal, the bar is one line at the end.
    """
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield untold
    elif sys.stderr.isatty():
        with _bar(name) as show:
            yield show
    else:
        yield _line(name)


def _line(name: str) -> Progress:
    def show(done: int, total: int) -> None:
        if done == total:
            print(f"{name}: {total} steps done", file=sys.stderr, flush=True)

    return show


@contextmanager
def _bar(name: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(name, total=None)

        def show(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        yield show
