"""headstart recommend fit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options as o
from headstart.cli import ratings_options as r
from headstart.cli.show import require_free
from headstart.cli.waiting import waiting
from headstart.errors import InputError


def fit(
    files: r.FilesArgument,
    target: r.TargetOption,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            "-m",
            help="A method that carries, such as embedding-mapping or cross-domain-item-knn; or one that learns from "
            "the target alone, such as item-knn.",
        ),
    ] = "embedding-mapping",
    user: r.UserColumnOption = None,
    item: r.ItemColumnOption = None,
    domain_column: r.DomainColumnOption = None,
    rating: r.RatingColumnOption = None,
    time: r.TimeColumnOption = None,
    scale: r.ScaleOption = None,
    events: r.EventsOption = False,
    shared: r.SharedOption = "users",
    seed: o.SeedOption = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the model.")] = Path("model"),
    force: Annotated[bool, typer.Option("--force", help="Replace the model that is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; print the path only.")] = False,
) -> None:
    """Fit a recommender of one domain's items, with what its users did in the others, and save it.

    headstart recommend fit books.csv films.csv --target films --method embedding-mapping -o model/
    """
    require_free(out, force)
    from headstart.cli.recommend_model import deliver
    from headstart.recommend.contenders import contender
    from headstart.recommend.factorization import MatrixFactorization
    from headstart.store.folder import staged

    chosen = contender(method, MatrixFactorization(random_state=seed))
    columns = r.columns_of(user, item, domain_column, rating, time)
    domains = r.read_all_ratings(files, target, {**columns, "scale": scale, "events": events, "shared": shared})
    sources = [domain for name, domain in domains.items() if name != target]
    if chosen.method is not None and not sources:
        raise InputError(f"{method} carries, and there is no domain but {target}; give a source too, or take item-knn")
    if not quiet:
        r.say_domains(sources, domains[target])
    with waiting(f"fitting {method}", quiet):
        model = deliver(chosen, sources, domains[target])
        with staged(out, replace=force) as stage:
            model.save(stage)
    print(f"{out}: {method}, recommends {len(model.predictor.items):,} items of {target}")
