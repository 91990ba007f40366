"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

LabelOption = Annotated[
    str | None,
    typer.Option("--label", "-l", help="Column to predict; empty cells are labels not known.", show_default=False),
]
DomainColumnOption = Annotated[
    str | None,
    typer.Option(
        "--domain-column",
        help="Column that names each row's domain, when all are in one file.",
        show_default=False,
    ),
]
CategoryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--category",
        help="Column to read as text although it looks like numbers. Repeatable.",
        show_default=False,
    ),
]
PairOption = Annotated[
    str | None,
    typer.Option(
        "--pair",
        help="Column that names what was measured in each row; the same name in two domains makes a pair.",
        show_default=False,
    ),
]
SpacesOption = Annotated[
    str,
    typer.Option(
        "--spaces",
        help="same: use the columns that source and target share. different: each keeps its own, for methods that "
        "need no shared ones. auto: different where none are shared.",
    ),
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task", help="classification or regression; read off the labels when not given.", show_default=False
    ),
]
LearnerOption = Annotated[
    str,
    typer.Option(
        "--learner",
        help="auto, logistic, ridge, svm, forest or boosting; of ratings auto or item-knn. auto: logistic or ridge "
        "regression; of ratings matrix-factorization.",
    ),
]
MetricOption = Annotated[
    str | None,
    typer.Option(
        "--metric",
        help="accuracy or log-loss; mean-absolute-error or mean-squared-error; of events without ratings NDCG@10, "
        "hit-rate@10 or reciprocal-rank. The first of each is the default.",
        show_default=False,
    ),
]
GuardOption = Annotated[
    str,
    typer.Option(
        "--guard",
        help="strict: deliver a transfer only when it is shown to help. warn: also when it looks like helping and "
        "is not shown to hurt, with a warning. off: always.",
    ),
]
FoldsOption = Annotated[int, typer.Option("--folds", help="Folds of the cross-validation.")]
RepeatsOption = Annotated[
    int | None,
    typer.Option(
        "--repeats",
        help="How often the cross-validation is repeated; by default 5 times, where networks are trained once.",
        show_default=False,
    ),
]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        "--budget", help="Time for the run, such as 90s or 5m: what takes too long is left out.", show_default=False
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", help="The same seed gives the same result.")]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", help="Fits at the same time.")]
OutOption = Annotated[Path, typer.Option("--out", help="Folder for report.html, result.json, predictions.csv, model/.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what an earlier run wrote there.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; print the verdict and the path only.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON instead of words.")]
