"""A sign of life during one long step: a clock on the terminal, or a line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds between two lines.
PAUSE = 30.0


@contextmanager
def waiting(title: str, quiet: bool, pause: float = PAUSE) -> Iterator[None]:
    """Show on standard error, until the step is over, that it goes on and for how long."""
    if quiet:
        yield
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as clock:
            clock.add_task(title, total=None)
            yield
    else:
        over = threading.Event()
        teller = threading.Thread(target=_tell, args=(title, over, pause), daemon=True)
        teller.start()
        try:
            yield
        finally:
            over.set()
            teller.join()


def _tell(title: str, over: threading.Event, pause: float) -> None:
    begun = time.monotonic()
    while not over.wait(pause):
        print(f"{title}: {time.monotonic() - begun:.0f} s so far", file=sys.stderr, flush=True)
