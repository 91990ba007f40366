"""From the command line's files and names to domains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli.picking import noted, pick
from headstart.errors import InputError, unknown_name

if TYPE_CHECKING:
    from headstart.domain import Domain

PictureOption = Annotated[
    str | None,
    typer.Option(
        "--picture",
        help="Column of paths of pictures, in the file's folder; each row is its picture, other columns are left out.",
        show_default=False,
    ),
]
TextOption = Annotated[
    str | None,
    typer.Option(
        "--text", help="Column of texts; each row is its text, other columns are left out.", show_default=False
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Pretrained model that reads pictures or texts: bundled:efficientnet-lite0, bundled:minilm-l6, hf:FOLDER.",
        show_default=False,
    ),
]
PredicateOption = Annotated[
    str | None,
    typer.Option(
        "--predicate",
        help="Of facts: the predicate to learn; by default the one that the examples are of.",
        show_default=False,
    ),
]
SourcePredicateOption = Annotated[
    str | None,
    typer.Option("--source-predicate", help="Of facts: the predicate that the source learns.", show_default=False),
]
#: Files of facts, and of graphs.
OF_FACTS, OF_GRAPHS = (".pl", ".facts"), (".mat",)
#: What a folder of a graph holds: its links and, if there are, attributes and labels of its nodes.
LINKS, ATTRIBUTES, LABELS = "links", "attributes", "labels"
#: What is read of a folder too; the rest is about columns, and pictures have none.
OF_FOLDERS = ("name", "task", "domain")


def read_all(
    files: Sequence[Path],
    sources: Sequence[str],
    target: str | None,
    test: str | None,
    *,
    domain_column: str | None,
    ratings: dict[str, Any] | None = None,
    **reading: Any,
) -> tuple[list[Domain], Domain, Domain | None]:
    """Return sources, target and test rows (or None), from one file with a domain column or from a file each.

    Without a domain column, the sources are `sources` and all `files` but the target; the target is `target`, or
    the last file. Where `ratings` says how, files are read as ratings. A folder of pictures is
    read like a file; in a folder of domains, names are those of its folders.
    """
    if ratings is not None:
        from headstart.cli.ratings import read_ratings_domains

        return read_ratings_domains(
            files, sources, target, test, domain_column=domain_column, columns=ratings, other=reading
        )
    of_facts = {key: reading.pop(key, None) for key in ("predicate", "source_predicate")}
    named = target is not None and Path(target).name == target
    if domain_column is None and len(files) == 1 and target is not None and named and (files[0] / target).is_dir():
        return _from_folder(files[0], sources, target, test, reading)
    if domain_column is not None:
        return _from_one_file(files, sources, target, test, domain_column, reading)
    reading["predicate"], of_source = of_facts.values()
    paths = [*files, *(Path(name) for name in sources)]
    if target is None:
        if not files or len(paths) < 2:
            raise InputError("give a source file and a target file (the last), or one file with --domain-column")
        target_path = files[-1]
        paths.remove(target_path)
    else:
        target_path = Path(target)
    if not paths:
        raise InputError("no source; give a source file, or one file with --domain-column")
    names = _names([*paths, target_path])
    at_source = {**reading, "predicate": of_source or reading.get("predicate")} if is_facts(target_path) else reading
    if is_facts(target_path) and of_source is None:
        # The source has a predicate of its own, which its examples tell.
        at_source["predicate"] = None
    read = [read_one(path, name, **at_source) for path, name in zip(paths, names, strict=False)]
    found = read_one(target_path, names[-1], label_optional=True, **reading)
    if test is not None:
        return read, found, read_one(Path(test), f"{names[-1]}-test", **reading)
    if is_facts(target_path) and target_path.is_dir() and any(target_path.glob("test_pos.*")):
        typer.echo(f"note: {target_path}: its test files are the test rows", err=True)
        return read, found, read_one(target_path, f"{names[-1]}-test", part="test", **reading)
    return read, found, None


def is_facts(path: Path) -> bool:
    """Tell whether a path is a file of facts, or a folder with facts or with folders of facts."""
    if not path.is_dir():
        return path.suffix in OF_FACTS
    inside = [path, *(folder for folder in sorted(path.iterdir()) if folder.is_dir())]
    return any(found.name.startswith(("facts", "train_facts", "test_facts")) for at in inside for found in at.iterdir())


def is_graph(path: Path) -> bool:
    """Tell whether a path is a file of a graph, or a folder with the files of one."""
    return path.suffix in OF_GRAPHS or (path.is_dir() and table_in(path, LINKS) is not None)


def table_in(folder: Path, stem: str) -> Path | None:
    """Return the table of a name in a folder, CSV or TSV; None where there is none."""
    return next((found for end in (".csv", ".tsv") if (found := folder / f"{stem}{end}").is_file()), None)


def read_one(path: Path, name: str | None, **reading: Any) -> Domain:
    """Read one file, one folder of pictures, or one of facts, as one domain."""
    from headstart.readers import read

    predicate, part = reading.pop("predicate", None), reading.pop("part", None)
    if path.exists() and is_facts(path):
        from headstart.relations import read_facts

        with noted():
            return read_facts(path, predicate, part=part, name=name)
    if predicate is not None:
        raise InputError(f"{path}: holds no facts, so there is no predicate {predicate!r}; leave --predicate out")
    if path.exists() and is_graph(path):
        from headstart.relations import read_graph

        links, attributes, labels = (
            (table_in(path, stem) for stem in (LINKS, ATTRIBUTES, LABELS)) if path.is_dir() else (path, None, None)
        )
        with noted():
            return read_graph(links or path, attributes=attributes, labels=labels, name=name or path.stem)

    if path.is_dir():
        reading = {key: value for key, value in reading.items() if key in OF_FOLDERS}
    return read(path, name=name, **reading)


def read_of(path: Path, domain: str | None, domain_column: str | None, **reading: Any) -> Domain:
    """Read one domain: a whole file, or the rows of one name in its domain column, or a folder in a folder."""
    if domain_column is None and domain is not None and path.is_dir():
        return read_one(path, None, domain=domain, **reading)
    if domain_column is None:
        return read_one(path, None, **reading)
    from headstart.readers import read_domains

    if domain is None:
        raise InputError("--domain-column needs the name of the domain to take")
    reading.pop("label_optional", None)
    return pick(read_domains(path, domain_column=domain_column, **reading), domain, domain_column, path)


def _from_folder(
    folder: Path, sources: Sequence[str], target: str, test: str | None, reading: dict[str, Any]
) -> tuple[list[Domain], Domain, Domain | None]:
    """Take sources, target and test rows from one folder with a folder for each domain."""
    from headstart.readers import read_domains

    domains = read_domains(folder, task=reading.get("task"))
    others = [name for name in domains if name not in (target, test)]
    if not others:
        raise InputError(f"{folder}: has no other folder than {target!r} to be the source")
    found, *rest = [
        _pick_folder(domains, name, folder)
        for name in (target, *([] if test is None else [test]), *(sources or others))
    ]
    return rest[test is not None :], found, None if test is None else rest[0]


def _pick_folder(domains: dict[str, Domain], name: str, folder: Path) -> Domain:
    if name not in domains:
        raise InputError(unknown_name("folder", name, domains, str(folder)))
    return domains[name]


def _from_one_file(
    files: Sequence[Path],
    sources: Sequence[str],
    target: str | None,
    test: str | None,
    domain_column: str,
    reading: dict[str, Any],
) -> tuple[list[Domain], Domain, Domain | None]:
    from headstart.readers import read_domains

    if len(files) != 1:
        raise InputError(f"--domain-column goes with one file, not {len(files)}")
    domains = read_domains(files[0], domain_column=domain_column, **reading)
    if target is None:
        raise InputError(f"--domain-column needs --target; column {domain_column!r} has {', '.join(domains)}")
    chosen = pick(domains, target, domain_column, files[0])
    tested = None if test is None else pick(domains, test, domain_column, files[0])
    picked = [pick(domains, name, domain_column, files[0]) for name in sources] or [
        domain for name, domain in domains.items() if name not in (target, test)
    ]
    if not picked:
        raise InputError(f"{files[0]}: column {domain_column!r} has no other domain than {target!r} to be the source")
    return picked, chosen, tested


def _names(paths: Sequence[Path]) -> list[str]:
    """Name domains after their files, with the folder where two files are called the same."""
    stems = [path.stem for path in paths]
    return [
        stem if stems.count(stem) == 1 else str(path.with_suffix("")) for stem, path in zip(stems, paths, strict=True)
    ]
