"""One file of facts, in any of its notations, into tuples that know where they stood."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.errors import InputError

#: What files of facts may end with; the first is written in messages.
SUFFIXES = (".txt", ".pl", ".facts", ".csv", ".json")

#: A file, and the line in it (or what else tells where).
Place = tuple[Path, int | str]
Row = tuple[str, ...]

_NAME = re.compile(r"[^\W\d][\w-]*")
_FACT = re.compile(r"""\s*([^\W\d][\w-]*)\s*\(((?:[^()"']++|"[^"]*"|'[^']*')*+)\)\s*(\.)?\s*""")
_ARGUMENT = re.compile(r"""\s*("[^"]*"|'[^']*'|[^,"']*?)\s*(,|$)""")
_COMMENT = ("%", "//")


@dataclass(frozen=True, eq=False)
class Base:
    """Tuples by predicate, each once, with the place where it was first met.

    Attributes
    ----------
    rows : dict of str to dict of tuple to place
    arities : dict of str to tuple of int and place
        How many arguments a predicate has, and where that was first seen.
    repeated : dict of str to int
        How many were met again.
    """

    rows: dict[str, dict[Row, Place]] = field(default_factory=dict)
    arities: dict[str, tuple[int, Place]] = field(default_factory=dict)
    repeated: dict[str, int] = field(default_factory=dict)

    def add(self, path: Path, *, table: bool = False) -> Base:
        """Take in the facts of a file; as a `table`, it is a CSV named after its one predicate, with a header.

        Raises
        ------
        InputError
            With file and line: when one is no fact, or has another number of arguments than one before.
        """
        told = 0
        for predicate, row, mark in (table_of if table else facts_of)(path):
            told += 1
            place = (path, mark)
            if row is None:
                self.rows.setdefault(predicate, {})
                continue
            arity, before = self.arities.setdefault(predicate, (len(row), place))
            if arity != len(row):
                raise InputError(
                    f"{said(place)}: {predicate} has {counted(len(row))}, but {arity} in {said(before)}; "
                    "give one of them another name"
                )
            known = self.rows.setdefault(predicate, {})
            if row in known:
                self.repeated[predicate] = self.repeated.get(predicate, 0) + 1
            else:
                known[row] = place
        if not told:
            raise InputError(f"{path}: is empty")
        return self

    def first(self, predicate: str) -> Place:
        """Return where a predicate was first met."""
        return self.arities[predicate][1]

    def tuples(self) -> dict[str, list[Row]]:
        """Return the tuples by predicate, in the order in which they stood."""
        return {predicate: list(rows) for predicate, rows in self.rows.items()}


def said(place: Place) -> str:
    """Write a place for a message.

    >>> said((Path("facts.txt"), 3))
    'facts.txt, line 3'
    """
    path, mark = place
    return f"{path}, line {mark}" if isinstance(mark, int) else f"{path}, {mark}"


def counted(n: int) -> str:
    """Say how many arguments.

    >>> counted(1), counted(2)
    ('1 argument', '2 arguments')
    """
    return f"{n} argument{'' if n == 1 else 's'}"


def declarations(path: Path) -> dict[str, tuple[Row, Place]]:
    """Return the types of each predicate's arguments, and where they are declared.

    Raises
    ------
    InputError
        When a predicate is declared twice, and differently.
    """
    if path.suffix.lower() == ".json":
        told = json_object(path, _text(path))
        wrong = [name for name, of in told.items() if not (isinstance(of, list) and of and all(map(_constant, of)))]
        if wrong:
            raise InputError(
                f"{path}: {wrong[0]} has no list of types; write " + '{"publication": ["title", "person"]}'
            )
        return {name: (tuple(map(_constant, of)), (path, name)) for name, of in told.items()}
    found = {}
    for name, rows in Base().add(path).rows.items():
        (types, place), *more = rows.items()
        if more:
            raise InputError(f"{said(more[0][1])}: {name} is declared otherwise in {said(place)}; keep one of them")
        found[name] = (types, place)
    return found


def facts_of(path: Path) -> Iterator[tuple[str, Row | None, int | str]]:
    """Yield predicate, arguments and mark; no arguments where a predicate is named that no fact has."""
    text = _text(path)
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _of_json(path, text)
    if suffix == ".csv":
        return _of_csv(path, text)
    return _of_text(path, text)


def _text(path: Path) -> str:
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: facts are read from {', '.join(SUFFIXES)}, not {path.suffix or 'a bare name'!r}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def _of_text(path: Path, text: str) -> Iterator[tuple[str, Row, int]]:
    for number, line in enumerate(text.split("\n"), start=1):
        at = 0
        open_end = False
        rest = line.strip()
        while rest and not rest.startswith(_COMMENT):
            found = _FACT.match(line, at)
            row = None if found is None or open_end else _arguments(found[2])
            if found is None or row is None:
                raise InputError(
                    f"{path}, line {number}: {rest[:60]!r} is no fact; write predicate(constant, constant). "
                    "and quote constants with spaces or marks in them"
                )
            yield found[1], row, number
            at, open_end = found.end(), found[3] is None
            rest = line[at:].strip()


def _arguments(told: str) -> Row | None:
    """Return constants as written between the brackets; None when they are none."""
    if '"' in told or "'" in told:
        parts = []
        at = 0
        while True:
            found = _ARGUMENT.match(told, at)
            if found is None:
                return None
            part = found[1]
            quoted = part[:1] in {'"', "'"}
            parts.append(part[1:-1] if quoted else part)
            if not parts[-1].strip() or not (quoted or _is_bare(part)):
                return None
            at = found.end()
            if not found[2]:
                return tuple(parts)
    row = tuple(part.strip() for part in told.split(","))
    return row if all(map(_is_bare, row)) else None


def _is_bare(part: str) -> bool:
    """Whether it is a constant that needs no quotes."""
    return part != "_" and len(part.split()) == 1


def _of_csv(path: Path, text: str) -> Iterator[tuple[str, Row, int]]:
    """Yield rows of which the first cell is the predicate; cells that are empty at the end are none."""
    for cells, number in _csv_rows(path, text):
        predicate, *row = cells
        if number == 1 and predicate.lower() == "predicate":
            continue
        if not _NAME.fullmatch(predicate) or not row or not all(row):
            raise InputError(
                f"{path}, line {number}: {','.join(cells)[:60]!r} is no fact; write the predicate, then its constants, "
                "none of them empty"
            )
        yield predicate, tuple(row), number


def table_of(path: Path) -> Iterator[tuple[str, Row | None, int]]:
    """Yield the facts of one predicate's table: the file is named after it, and its first line names the arguments."""
    if not _NAME.fullmatch(path.stem):
        raise InputError(f"{path}: name the file after its predicate, of letters, digits, _ and -")
    header = None
    for cells, number in _csv_rows(path, _text(path)):
        if header is None:
            header = cells
            yield path.stem, None, number
            continue
        if len(cells) != len(header) or not all(cells):
            raise InputError(
                f"{path}, line {number}: {','.join(cells)[:60]!r} has not the {counted(len(header))} "
                "that the first line names"
            )
        yield path.stem, tuple(cells), number


def _csv_rows(path: Path, text: str) -> Iterator[tuple[list[str], int]]:
    reader = csv.reader(io.StringIO(text), skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            while row and not row[-1]:
                row.pop()
            if row:
                yield row, reader.line_num
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: is no CSV ({error})") from error


def _of_json(path: Path, text: str) -> Iterator[tuple[str, Row | None, str]]:
    if not text.strip():
        return
    for predicate, entries in json_object(path, text).items():
        if not _NAME.fullmatch(predicate):
            raise InputError(f"{path}: {predicate!r} is no name of a predicate; use letters, digits, _ and -")
        if not isinstance(entries, list):
            raise InputError(f"{path}: {predicate} holds no list; write " + '{"predicate": [["a", "b"], ...]}')
        if not entries:
            yield predicate, None, predicate
        for number, entry in enumerate(entries, start=1):
            row = tuple(map(_constant, entry if isinstance(entry, list) else [entry]))
            if not row or not all(row):
                raise InputError(
                    f"{path}, {predicate}, entry {number}: {json.dumps(entry)[:60]} is no fact; "
                    'write a list of constants, ["a", "b"]'
                )
            yield predicate, row, f"{predicate}, entry {number}"


def _constant(cell: Any) -> str:
    """Return a constant, or nothing where it is none."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return ""
    return str(cell).strip()


def json_object(path: Path, text: str) -> dict[str, Any]:
    """Return the object that a JSON text holds, refusing one that names something twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InputError(f"{path}: {twice[0]!r} is there twice; put its facts together")
        return dict(pairs)

    try:
        found = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: is no JSON ({error.msg})") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: is no JSON object; write " + '{"predicate": [["a", "b"], ...]}')
    return found
