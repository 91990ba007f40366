"""headstart bench."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli import options as o
from headstart.cli.learn import require_new
from headstart.errors import InputError, unknown_name

if TYPE_CHECKING:
    from headstart.bench import Line

#: Benchmark on the command line: the module that holds its cases.
BENCHMARKS = {"instances": "headstart.bench.instances"}


def bench(
    name: Annotated[str, typer.Argument(help="Which benchmark: instances.", show_default=False)],
    data: Annotated[Path, typer.Option("--data", help="The folder with the data sets.", show_default=False)],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Only this data set. Repeatable.", show_default=False),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "-m", help="Only this method or family, beside the baselines. Repeatable.", show_default=False
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option("--draws", help="Draws of labelled rows a pair; by default what the data set has.", min=1),
    ] = None,
    jobs: o.JobsOption = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the figures to this JSON file.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the JSON file if it is there.")] = False,
    quiet: o.QuietOption = False,
) -> None:
    """Compare methods on real data: the gain over learning from the source alone and from the target alone.

    headstart bench instances --data DIR
    """
    if output is not None:
        require_new(output, force)
    if name not in BENCHMARKS:
        raise InputError(unknown_name("benchmark", name, BENCHMARKS))
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; --data names the folder with the data sets")
    from importlib import import_module

    from headstart.bench import compare, summarise, utilities, written
    from headstart.catalogue import find, names_in

    benchmark = import_module(BENCHMARKS[name])
    for wanted in only or ():
        if wanted not in benchmark.DATA:
            raise InputError(unknown_name("data set", wanted, benchmark.DATA))
    methods = benchmark.methods()
    if method:
        named = [name for wanted in method for name in names_in(wanted) or [find(wanted).name]]
        methods = list(dict.fromkeys([*(names_in("baseline") or ()), *named]))
    scores, protocols = [], {}
    for title, (cases, needed, usual) in benchmark.DATA.items():
        if only and title not in only:
            continue
        if not (data / needed).exists():
            print(f"skipped: {title}, for {needed} is not in {data}", file=sys.stderr)
            continue
        protocols[title] = benchmark.settings(title, draws)
        found = compare(cases(data, draws or usual), methods, n_jobs=jobs, tick=_nothing if quiet else _Counter(title))
        scores += found
        _print(summarise(found), protocols[title]["protocol"])
    if not scores:
        raise InputError(f"{data}: holds none of the data sets of this benchmark")
    for left_out, why in {score.method: score.left_out for score in scores if score.left_out}.items():
        print(f"left out in part: {left_out} ({why})")
    if output is not None:
        figures = {
            "benchmark": name,
            "protocols": protocols,
            "lines": [vars(line) for line in summarise(scores)],
            "utilities": utilities(scores),
        }
        written(output, figures)
        print(f"figures: {output}")


def _nothing(score: Any) -> None:
    """Show nothing."""


class _Counter:
    """Tell how far a data set is, on standard error, every hundred fits."""

    def __init__(self, title: str) -> None:
        self.title, self.done = title, 0

    def __call__(self, score: Any) -> None:
        self.done += 1
        if self.done % 100 == 0:
            print(f"{self.title}: {self.done} fits, now {score.pair}, draw {score.draw}", file=sys.stderr, flush=True)


def _print(lines: list[Line], protocol: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from headstart.bench.comparison import shown
    from headstart.evidence import METRICS

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    metric = METRICS[lines[0].metric]
    console.print(f"\n{lines[0].data}: {protocol}", soft_wrap=True)
    table = Table(
        "method",
        metric.name,
        "over target-only (95% CI)",
        "over source-only (95% CI)",
        "worse than target-only",
        "seconds",
        box=None,
        pad_edge=False,
    )
    for line in lines:
        table.add_row(
            line.method,
            metric.show(metric.sign * line.score),
            shown(line.over_target_only, metric),
            shown(line.over_source_only, metric),
            f"{line.units_worse_than_target_only} of {line.units}",
            f"{line.seconds:.2f}",
        )
    console.print(table)
