"""A result on the terminal, and in its folder."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.errors import StoreError

if TYPE_CHECKING:
    from headstart.result import Result


def require_free(out: Path, force: bool) -> None:
    """Refuse an output folder that is taken, before any work is done."""
    if out.is_file():
        raise StoreError(f"{out}: is a file; name a folder with --out")
    if out.is_dir() and any(out.iterdir()) and not force:
        raise StoreError(f"{out}: exists and is not empty; name another folder with --out, or use --force")


def deliver(result: Result, out: Path, *, force: bool, quiet: bool, json: bool) -> None:
    """Write the result's folder, then print the result: a table, the verdict and the report's path."""
    # Of the program, its name: where it lies says nothing about the run.
    result = replace(result, command=shlex.join(["headstart", *sys.argv[1:]]))
    result.save(out, force=force)
    if json:
        sys.stdout.write(result.json())
        return
    if not quiet:
        _print_table(result)
        for note in result.notes:
            print(f"note: {note}")
    print(result.sentence)
    print(f"report: {out / 'report.html'}")


def _print_table(result: Result) -> None:
    from rich.console import Console
    from rich.table import Table

    from headstart.evidence import METRICS

    metric = METRICS[result.metric]
    console = Console(width=None if sys.stdout.isatty() else 100, highlight=False)
    if result.shift is not None:
        console.print(f"shift: {result.shift}", soft_wrap=True)
    table = Table("method", "family", metric.name, "gain", "95% CI", box=None, pad_edge=False)
    for line in result.tried:
        interval = (
            ""
            if line.low is None or line.high is None
            else (f"{metric.show_gain(line.low)} to {metric.show_gain(line.high)}")
        )
        marks = [
            mark
            for mark, name in (("best transfer", result.choice), ("delivered", result.decision.delivered))
            if name == line.name
        ]
        table.add_row(
            line.name + (f" ({', '.join(marks)})" if marks else ""),
            line.family,
            metric.show(line.score),
            "" if line.gain is None else metric.show_gain(line.gain),
            interval,
        )
    console.print(table)
    for name, reason in result.left_out.items():
        console.print(f"left out: {name} {reason}", soft_wrap=True)
