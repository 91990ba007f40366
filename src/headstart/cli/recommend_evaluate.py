"""headstart recommend evaluate."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options as o
from headstart.cli import ratings_options as r
from headstart.cli.learn import require_new
from headstart.cli.waiting import waiting


def evaluate(
    files: r.FilesArgument,
    target: r.TargetOption,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            "-m",
            help="Names, parted by commas; by default those that take seconds.",
            show_default=False,
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol",
            help="What is held out: cold, all rows of some users who are known elsewhere; leave-one-out, each user's "
            "latest; temporal, what came last; random, any rows.",
        ),
    ] = "cold",
    share: Annotated[
        float | None,
        typer.Option(
            "--share",
            help="How much is held out; by default 0.5 of the users (cold) or 0.2 of the rows.",
            show_default=False,
        ),
    ] = None,
    negatives: Annotated[
        int | None,
        typer.Option(
            "--negatives",
            help="Rank among so many random items instead of all, as publications do; figures are higher then.",
            show_default=False,
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", "--top", help="Length of the list that is judged.", min=1)] = 10,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            help="What decides: NDCG@10, HR@10 or MRR of events; MAE or RMSE of ratings. The first is the default.",
            show_default=False,
        ),
    ] = None,
    user: r.UserColumnOption = None,
    item: r.ItemColumnOption = None,
    domain_column: r.DomainColumnOption = None,
    rating: r.RatingColumnOption = None,
    time: r.TimeColumnOption = None,
    scale: r.ScaleOption = None,
    events: r.EventsOption = False,
    shared: r.SharedOption = "users",
    seed: o.SeedOption = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="JSON file for all figures.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file if it is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; print the verdict only.")] = False,
    json: o.JsonOption = False,
) -> None:
    """Tell what carrying is worth: hold rows of the target out, and compare with the best that it can do alone.

    headstart recommend evaluate books.csv films.csv --target films --protocol cold --share 0.2
    """
    if out is not None:
        require_new(out, force)
    from headstart.cli.recommend_words import print_evaluation
    from headstart.recommend.evaluation import evaluate as judged
    from headstart.recommend.factorization import MatrixFactorization
    from headstart.store import staged_file

    columns = r.columns_of(user, item, domain_column, rating, time)
    domains = r.read_all_ratings(files, target, {**columns, "scale": scale, "events": events, "shared": shared})
    named = None if methods is None else [name.strip() for name in methods.split(",") if name.strip()]
    with waiting("fitting and judging", quiet or json):
        told = judged(
            named,
            domains,
            target,
            protocol=protocol,
            share=share,
            negatives=negatives,
            k=k,
            metric=metric,
            random_state=seed,
            learner=MatrixFactorization(random_state=seed),
        )
    document = dumps(told.document(), indent=2, ensure_ascii=False) + "\n"
    if out is not None:
        with staged_file(out) as stage:
            stage.write_text(document, encoding="utf-8")
    if json:
        sys.stdout.write(document)
        return
    if not quiet:
        r.say_domains([domain for name, domain in domains.items() if name != target], domains[target])
        print_evaluation(told)
    print(told.sentence)
    if out is not None:
        print(f"figures: {out}")
