"""Files of facts into relational domains."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from headstart.domain import Domain
from headstart.errors import InputError, listed, unknown_name
from headstart.relations.examples import facts_domain
from headstart.relations.fact_lines import SUFFIXES, Base, Place, Row, counted, declarations, said
from headstart.relations.facts import Facts

#: How the examples of each kind are called in messages.
KINDS = {"pos": "positive", "neg": "negative", "unknown": "unknown"}
PARTS = ("train", "test")


def read_facts(
    place: str | Path,
    predicate: str | None = None,
    *,
    part: Literal["train", "test"] | None = None,
    types: Mapping[str, Sequence[str]] | None = None,
    name: str | None = None,
    random_state: int = 0,
) -> Domain:
    """Read a relational domain: its rows are examples of a predicate, 1 where it holds, 0 where not, else missing.

    A *folder* holds `facts`, and `pos` and, if there are, `neg`, `unknown` (examples without a label) and `types`
    (or `schema`: declarations such as `publication(title, person).`), as files that end with

    - .txt, .pl or .facts: `publication(title25, person284).`, comments behind % or //, constants with spaces in quotes;
    - .csv: the predicate, then its constants; or a folder `facts/` with a table for each predicate, named after it and
      with a first line that names the arguments;
    - .json: `{"publication": [["title25", "person284"], ...]}`.

    Names may start with `train_` or `test_`. Without `pos` the facts of the predicate are the positives. A *single
    file* is read so too.

    Parameters
    ----------
    place : str or Path
    predicate : str, optional
        The one to learn. Needed where the examples don't tell it.
    part : {"train", "test"}, optional
        Which files are read where there are both; train without it.
    types : mapping of str to sequence of str, optional
        The types of arguments by predicate. They go before the file's.
    name : str, optional
        Of the domain; that of the folder or file without it.
    random_state : int
        Of the negatives that are drawn where none are given.

    Returns
    -------
    Domain

    Raises
    ------
    InputError
        With the file and the line, when a line is no fact, a predicate has two arities or is not declared, an example
        is of another predicate or positive and negative at once, or there is no positive.

    Warns
    -----
    UserWarning
        Where negatives are drawn, or facts and examples left out.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "facts.txt").write_text("professor(ann). student(bob). student(cy).")
    ...     _ = (Path(folder) / "pos.txt").write_text("advisedby(bob, ann).")
    ...     _ = (Path(folder) / "neg.txt").write_text("advisedby(cy, ann).")
    ...     read_facts(folder, name="university").X
    Examples(2 of advisedby(student, professor))
    """
    place = Path(place)
    if part is not None and part not in PARTS:
        raise InputError(unknown_name("part", part, PARTS))
    files = _files(place, part)
    base = _base(files.facts)
    examples = {kind: Base().add(path) for kind, path in files.examples.items()}
    asked = _asked(files, base, examples, predicate)
    told = _told(files, base, examples, asked)
    declared = _declared(files, [base, *examples.values()], asked)
    for one in types or {}:
        if one not in base.rows and one != asked:
            raise InputError(f"{place}: types of what is not there: {unknown_name('predicate', one, base.rows)}")
    declared.update({one: tuple(of) for one, of in (types or {}).items()})
    called = name or (place.resolve().name if place.is_dir() else place.stem)
    rows = base.tuples()
    again = {each: rows.pop(each) for each in (asked, f"recursion_{asked}") if each in rows}
    facts = Facts.of(rows, declared, also={asked: [row for of in told.values() for row in of]}, name=called)
    domain = facts_domain(
        facts,
        asked,
        told["pos"],
        told.get("neg"),
        unknown=told.get("unknown", ()),
        types=declared.get(asked),
        name=called,
        random_state=random_state,
    )
    if "pos" not in examples:
        again.pop(asked, None)
    for each, left_out in again.items():
        _warn(f"{called}: {len(left_out):,} facts of {each} are left out; they would tell the labels")
    twice = sum(each.repeated.get(asked, 0) for each in examples.values())
    if twice:
        _warn(f"{called}: {twice:,} examples of {asked} are repeated; each counts once")
    if "neg" not in told and told["pos"]:
        drawn = len(domain) - sum(map(len, told.values()))
        _warn(
            f"{called}: no negatives are given, so {drawn:,} are drawn at random from the tuples of "
            f"{domain.X.predicate} that are not known to hold (closed world, up to ten for each positive); "
            "give neg.txt if you know better"
        )
    return domain


def read_fact_base(paths: str | Path | Iterable[str | Path]) -> dict[str, list[Row]]:
    r"""Read files of facts, or folders of a table for each predicate, into tuples by predicate, each fact once.

    Raises
    ------
    InputError
        With the file and the line, when a line is no fact or a predicate has two arities.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "facts.pl"
    ...     _ = file.write_text("professor('ann lee').  % the dean\npublication(t1, bob)")
    ...     read_fact_base(file)
    {'professor': [('ann lee',)], 'publication': [('t1', 'bob')]}
    """
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    if not several:
        raise InputError("no file of facts is named; give one at least")
    return _base([Path(path) for path in several]).tuples()


@dataclass(frozen=True)
class _Files:
    """Which files a place holds."""

    place: Path
    facts: list[Path]
    examples: dict[str, Path]
    types: Path | None


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=3)


def _base(paths: Sequence[Path]) -> Base:
    base = Base()
    for path in paths:
        if path.is_dir():
            tables = sorted(item for item in path.iterdir() if item.suffix.lower() == ".csv")
            if not tables:
                raise InputError(f"{path}: holds no table; put a .csv there for each predicate, named after it")
            for table in tables:
                base.add(table, table=True)
        elif path.is_file():
            base.add(path)
        else:
            raise InputError(f"{path}: no such file; check the path")
    return base


def _files(place: Path, part: str | None) -> _Files:
    """Find the files of a place.

    Raises
    ------
    InputError
        When there are none, two of one kind, or only folders that hold some.
    """
    if place.is_file():
        if part:
            raise InputError(f"{place}: is one file, which has no part; name the folder, or leave part out")
        return _Files(place, [place], {}, None)
    if not place.is_dir():
        raise InputError(f"{place}: no such file or folder; check the path")
    prefix = _prefix(place, part)
    facts = _found(place, f"{prefix}facts") or _found(place, "facts")
    if facts is None:
        inside = sorted(item.name for item in place.iterdir() if item.is_dir() and _looks_right(item))
        if inside:
            raise InputError(f"{place}: holds folders of facts, {listed(inside)}; name one of them")
        raise InputError(f"{place}: holds no {prefix}facts.txt (or {', '.join(SUFFIXES[1:])})")
    examples = {kind: found for kind in KINDS if (found := _found(place, f"{prefix}{kind}"))}
    stems = [f"{before}{stem}" for before in dict.fromkeys((prefix, "")) for stem in ("types", "schema")]
    types = next((found for stem in stems if (found := _found(place, stem))), None)
    return _Files(place, [facts], examples, types)


def _prefix(folder: Path, part: str | None) -> str:
    there = {
        before: any(_found(folder, f"{before}{stem}") for stem in ("facts", *KINDS)) for before in ("train_", "test_")
    }
    if part:
        if not there[f"{part}_"]:
            raise InputError(
                f"{folder}: holds no {part}_facts.txt and no {part}_pos.txt; leave part out, or check the path"
            )
        return f"{part}_"
    if not any(there.values()) or _found(folder, "pos"):
        return ""
    if not there["train_"]:
        raise InputError(f'{folder}: holds files of the test part only; ask for part="test"')
    return "train_"


def _found(folder: Path, stem: str) -> Path | None:
    """Return the file, or the folder of tables, that is called so."""
    found = [path for suffix in SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()]
    if stem.endswith("facts") and (folder / stem).is_dir():
        found.append(folder / stem)
    if len(found) > 1:
        raise InputError(f"{folder}: holds {listed(path.name for path in found)}; keep one of them")
    return found[0] if found else None


def _looks_right(folder: Path) -> bool:
    return any(_found(folder, f"{before}facts") for before in ("", "train_", "test_"))


def _asked(files: _Files, base: Base, examples: Mapping[str, Base], predicate: str | None) -> str:
    """Return the predicate to learn: the one asked for, or the one of which there are examples."""
    told = list(dict.fromkeys(name for each in examples.values() for name in each.rows))
    if predicate is None:
        if len(told) == 1:
            return told[0]
        where = next(iter(files.examples.values())) if told else files.facts[0]
        kind = "holds examples of several predicates" if told else "does not tell which predicate to learn"
        raise InputError(f"{where}: {kind}; name one with predicate=..., there is {listed(told or base.rows)}")
    if not told and not base.rows.get(predicate):
        raise InputError(f"{files.facts[0]}: no fact to learn from: {unknown_name('predicate', predicate, base.rows)}")
    return predicate


def _told(files: _Files, base: Base, examples: Mapping[str, Base], asked: str) -> dict[str, dict[Row, Place]]:
    """Return the examples of the predicate by kind; without a file of positives they are its facts.

    Raises
    ------
    InputError
        When one is of another predicate or has another arity, there is no positive, or one is of two kinds.
    """
    of_several = set(examples["pos"].rows) if "pos" in examples else set()
    arity, first = base.arities.get(asked, (0, None))
    for kind, each in examples.items():
        for name in each.rows:
            if name != asked and not {name, asked} <= of_several:
                raise InputError(
                    f"{said(each.first(name))}: a {KINDS[kind]} example of {name}, not of {asked}; "
                    "leave it out, or ask for its predicate"
                )
        if asked in each.arities:
            here, place = each.arities[asked]
            arity, first = (arity, first) if first else (here, place)
            if arity != here:
                raise InputError(
                    f"{said(place)}: {asked} has {counted(here)}, but {arity} in {said(first)}; write it one way"
                )
    found = {kind: each.rows.get(asked, {}) for kind, each in examples.items()}
    found = {"pos": found.pop("pos", base.rows.get(asked, {})), **found}
    if not found["pos"] and ("pos" in examples or found.keys() != {"pos", "unknown"}):
        raise InputError(
            f"{files.place}: no positive example of {asked} (a fold without positives); there is nothing to learn from"
        )
    seen: dict[Row, tuple[str, Place]] = {}
    for kind, rows in found.items():
        for row, place in rows.items():
            other, before = seen.setdefault(row, (kind, place))
            if other != kind:
                raise InputError(
                    f"{said(place)}: {asked}({', '.join(row)}) is {KINDS[kind]} here and {KINDS[other]} in "
                    f"{said(before)}; keep one of them"
                )
    return found


def _declared(files: _Files, told: Sequence[Base], asked: str) -> dict[str, Row]:
    """Return the declared types of the predicates.

    Raises
    ------
    InputError
        When one is declared twice or not at all, or with another number of arguments.
    """
    if files.types is None:
        return {}
    found = declarations(files.types)
    for each in told:
        for name, (arity, place) in each.arities.items():
            if name == f"recursion_{asked}":
                continue
            if name not in found:
                raise InputError(f"{said(place)}: {unknown_name('predicate', name, found, files.types.name)}")
            types, there = found[name]
            if len(types) != arity:
                raise InputError(
                    f"{said(place)}: {name} has {counted(arity)}, but {len(types)} in {said(there)}; write it one way"
                )
    return {name: types for name, (types, _) in found.items()}
