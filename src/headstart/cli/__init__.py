"""The command line: one file a command."""

import os
import sys

import typer
from typer.exceptions import TyperException

from headstart.cli.align import align
from headstart.cli.bench import bench
from headstart.cli.cache import cache
from headstart.cli.carry import carry
from headstart.cli.classify import classify
from headstart.cli.demo import demo
from headstart.cli.export import export
from headstart.cli.learn import learn
from headstart.cli.map import map_
from headstart.cli.methods import methods
from headstart.cli.predict import predict
from headstart.cli.rank import rank
from headstart.cli.recommend import recommend
from headstart.cli.run import run
from headstart.cli.serve import serve
from headstart.cli.shift import shift
from headstart.errors import HeadstartError

app = typer.Typer(
    name="headstart",
    help="Transfer learning, measured: does a source help your target, what is the best way to carry it over, "
    "and what was it worth?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    demo,
    run,
    learn,
    carry,
    predict,
    serve,
    map_,
    align,
    classify,
    export,
    methods,
    shift,
    rank,
    bench,
    cache,
):
    app.command(command.__name__.rstrip("_"))(command)
app.add_typer(recommend, name="recommend")


def _version(wanted: bool) -> None:
    if wanted:
        from headstart.version import __version__

        typer.echo(f"headstart {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Options of headstart itself."""


def main() -> None:
    """Run the command line: a mistake is one line and exit status 2, Ctrl-C is 130, never a traceback."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command line and return its exit status."""
    try:
        status = app(arguments, standalone_mode=False, prog_name="headstart")
    except HeadstartError as error:
        typer.echo(f"headstart: {error}", err=True)
        return 2
    except TyperException as error:
        if error.format_message():
            typer.echo(f"headstart: {error.format_message()} (see headstart --help)", err=True)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output (head, say) has enough.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        return 0
    except KeyboardInterrupt:
        status = 130
    if status == 130:
        typer.echo("headstart: stopped; nothing was written", err=True)
    return status if isinstance(status, int) else 0
