"""headstart recommend: a command of commands."""

import typer

from headstart.cli.recommend_evaluate import evaluate
from headstart.cli.recommend_fit import fit
from headstart.cli.recommend_top import top

recommend = typer.Typer(
    help="Recommend across domains: what was liked in one shop helps in another.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
for command in (fit, top, evaluate):
    recommend.command(command.__name__)(command)
