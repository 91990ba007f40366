"""headstart map."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli import options as o
from headstart.cli.learn import require_new
from headstart.cli.waiting import waiting
from headstart.errors import InputError, StoreError, listed

if TYPE_CHECKING:
    import pandas as pd

    from headstart.cli.map_rows import Rows
    from headstart.mapping.learner import MappingLearner


def map_(
    source: Annotated[Path, typer.Argument(help="The source file.", show_default=False)],
    target: Annotated[Path, typer.Argument(help="The target file.", show_default=False)],
    label: Annotated[
        str | None,
        typer.Option(
            "--label", "-l", help="Label column; empty cells are labels not known, in either file.", show_default=False
        ),
    ] = None,
    target_label: Annotated[
        str | None,
        typer.Option("--target-label", help="The label column's name in the target.", show_default=False),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs",
            help="File with columns source and target: numbers of paired rows (1 is the first below the header), or "
            "values of the --pair column.",
            show_default=False,
        ),
    ] = None,
    pair: Annotated[
        str | None,
        typer.Option(
            "--pair",
            help="Column that names each row; without --pairs, rows of the same name in both files are pairs.",
            show_default=False,
        ),
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(
            "--category",
            help="Column that is no quantity although it looks like numbers: not mapped, but written. Repeatable.",
            show_default=False,
        ),
    ] = None,
    f: Annotated[
        str | None,
        typer.Option(
            "--f",
            help="Family of the map: linear, affine, orthogonal, covariance, low-rank, kernel, bures or perceptron. "
            "By default affine with pairs, and covariance without. Orthogonal is for columns of one unit.",
            show_default=False,
        ),
    ] = None,
    g: Annotated[
        str, typer.Option("--g", help="Label map of classes: confusion, one-to-one, smoothed or identity.")
    ] = "confusion",
    alpha: Annotated[float, typer.Option("--alpha", help="Penalty of the map; larger maps are flatter.")] = 0.0,
    units: Annotated[
        str, typer.Option("--units", help="What is scaled to one: columns, whole, none, or auto, by the family.")
    ] = "auto",
    label_weight: Annotated[
        float, typer.Option("--label-weight", help="What labels count beside the columns in the objective.")
    ] = 1.0,
    distances: Annotated[
        str, typer.Option("--distances", help="By what shapes are compared: euclidean, geodesic or steps.")
    ] = "euclidean",
    starts: Annotated[
        int, typer.Option("--starts", help="Starts from the shape of the domains; 0: from the rows as they stand.")
    ] = 8,
    clusters: Annotated[
        str,
        typer.Option("--clusters", help="Couple so many clusters of each domain; none: rows; auto: beyond 2,000 rows."),
    ] = "auto",
    seed: o.SeedOption = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV file of the mapped source rows.")] = Path("mapped.csv"),
    save: Annotated[
        Path | None, typer.Option("--save", help="New folder for the maps themselves.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file if it is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; print the paths only.")] = False,
    json: o.JsonOption = False,
) -> None:
    """Learn a map of rows, and of labels, from source to target; write the source as the target would have it.

    [bold]Which rows belong together is not known:[/bold] headstart map lab.csv field.csv

    [bold]Some are:[/bold] headstart map lab.csv field.csv --pairs pairs.csv --label species
    """
    require_new(out, force)
    _require_unused(save)
    n_clusters = _clusters(clusters)
    from headstart.cli.map_rows import find_pairs
    from headstart.cli.map_words import document, show_mapping
    from headstart.mapping.learner import MappingLearner
    from headstart.mapping.saved import save_mapping
    from headstart.store import staged_file

    here, there = _read(source, target, label, target_label, category or [], pair)
    named = _label_name(there, target_label or label)
    _require_distinct(here, there, named, out)
    found = find_pairs(here, there, pairs, pair)
    n_pairs = 0 if found is None else len(found)
    learner = MappingLearner(
        f=f or ("affine" if n_pairs else "covariance"),
        g=g,
        pairing="unpaired" if not n_pairs else "paired" if n_pairs == len(here) == len(there) else "partial",
        alpha=alpha,
        units=None if units == "none" else units,
        label_weight=label_weight,
        distances=distances,
        n_starts=starts,
        n_clusters=n_clusters,
        random_state=seed,
    )
    with waiting("fitting the maps", quiet or json), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        learner.fit(here.X, there.X, here.domain.y, there.domain.y, pairs=found)
    told = (str(warning.message).removeprefix("MappingLearner: ") for warning in caught)
    notes = [*here.notes, *there.notes, *dict.fromkeys(told)]
    table = _mapped(learner, here, there, named)
    with staged_file(out) as stage:
        table.to_csv(stage, index=False)
        if save is not None:
            card = {"source": str(source.name), "target": str(target.name), "f": learner.f}
            save_mapping(
                save,
                learner.map_,
                learner.g_,
                card={**card, "source_columns": here.columns, "target_columns": there.columns, "label": named},
            )
    if json:
        written = {"rows": str(out)} if save is None else {"rows": str(out), "maps": str(save)}
        sys.stdout.write(document(learner, here, there, n_pairs, notes, written))
        return
    if not quiet:
        show_mapping(learner, here, there, n_pairs, notes)
    print(f"{out}: {len(table)} rows in the target's {len(there.columns)} columns")
    if save is not None:
        print(f"{save}: the maps, for headstart.mapping.saved.load_mapping")


def _require_unused(save: Path | None) -> None:
    if save is not None and (save.is_file() or (save.is_dir() and any(save.iterdir()))):
        raise StoreError(f"{save}: exists and is not an empty folder; name another with --save")


def _clusters(text: str) -> int | str | None:
    if text in ("auto", "none"):
        return "auto" if text == "auto" else None
    if not text.isdecimal():
        raise InputError(f"--clusters must be a whole number, none or auto, not {text!r}")
    return int(text)


def _read(
    source: Path, target: Path, label: str | None, target_label: str | None, categories: list[str], pair: str | None
) -> tuple[Rows, Rows]:
    from headstart.cli.map_rows import read_rows

    if target_label is not None and label is None:
        raise InputError("--target-label goes with --label, the label column's name in the source")
    here = read_rows(source, label, categories, pair, label_optional=True)
    there = read_rows(target, target_label or label, categories, pair, label_optional=target_label is None)
    if label is not None and here.domain.y is None and there.domain.y is None:
        raise InputError(f"neither {source} nor {target} has a label column {label!r}; check its name")
    if here.domain.n_labelled and there.domain.n_labelled and here.domain.task != there.domain.task:
        classes, numbers = (source, target) if here.domain.task == "classification" else (target, source)
        raise InputError(
            f"the labels of {classes} are classes and those of {numbers} quantities; map without --label, or read "
            "numbered classes as text with --category"
        )
    for name in set(categories) - {label, target_label, pair}:
        if name not in here.kept.columns and name not in there.kept.columns:
            raise InputError(f"no column {name!r} to read as text, in neither file; check --category")
    return here, there


def _label_name(there: Rows, label: str | None) -> str:
    """Return what the mapped rows' labels are called; arrays in .npz files call theirs y."""
    return label or there.domain.label or "y"


def _require_distinct(here: Rows, there: Rows, named: str, out: Path) -> None:
    """Refuse names that would stand twice in the output, before any work is done."""
    labels = [named, f"{named}_source"] if here.domain.y is not None else []
    twice = [name for name in [*here.kept.columns, *labels] if name in there.columns]
    if twice:
        raise InputError(f"{out}: {listed(twice)} would be there twice, as a column of {there.path} too; rename it")


def _mapped(learner: MappingLearner, here: Rows, there: Rows, named: str) -> pd.DataFrame:
    """Return the source as the target would have it: names and rows kept, columns mapped, labels both ways."""
    import pandas as pd

    mapped = pd.DataFrame(learner.transform(here.X), columns=there.columns)
    table = pd.concat([here.kept.reset_index(drop=True), mapped], axis=1)
    domain = here.domain
    if domain.y is None:
        return table
    known = domain.labelled
    own = pd.Series([None] * len(here), dtype=object)
    own[known] = pd.Series(domain.labels.tolist(), index=own.index[known], dtype=object)
    if learner.g == "identity":
        table[named] = own
    elif learner.g_ is not None:
        relabelled = pd.Series([None] * len(here), dtype=object)
        labels: Any = learner.transform_labels(domain.labels)
        relabelled[known] = pd.Series(labels.tolist(), index=own.index[known], dtype=object)
        table[named] = relabelled
    table[f"{named}_source"] = own
    return table
