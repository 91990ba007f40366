"""Progress on the terminal: a bar with the step's name and the time left, or plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

STAGES = {
    "look": "look: how far apart",
    "try": "try: every method on the same splits",
    "learning curve": "worth: learning curve",
}


def title(stage: str, done: int, total: int) -> str:
    """Name what is going on; while the model is delivered, which of the four steps."""
    if stage != "deliver":
        return STAGES.get(stage, stage)
    from headstart.method import STEPS

    return "deliver" if done == total else f"deliver: {STEPS[done]}"


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Give a callback (stage, done, total) that shows how far a run is, on standard error."""
    if quiet:
        yield lambda stage, done, total: None
    elif sys.stderr.isatty():
        with _bars() as show:
            yield show
    else:
        yield _line


def _line(stage: str, done: int, total: int) -> None:
    if stage == "deliver" and done < total:
        print(title(stage, done, total), file=sys.stderr, flush=True)
    elif done == total:
        print(f"{title(stage, done, total)}: done", file=sys.stderr, flush=True)


@contextmanager
def _bars() -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<40}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(title(stage, done, total), total=total)
            bars.update(tasks[stage], completed=done, description=title(stage, done, total))

        yield show
