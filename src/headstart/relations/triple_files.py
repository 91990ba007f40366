"""Files of triples, literals, names and pairs."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from headstart.errors import InputError
from headstart.relations.triples import KnowledgeGraph


def read_triples(
    path: str | Path, names: str | Path | None = None, literals: str | Path | None = None
) -> KnowledgeGraph:
    """Read a graph from a file with one triple a line: head, relation, tail.

    Parts are parted by tabs, or by commas where the file's name ends in .csv. There is no header.

    Parameters
    ----------
    path : str or Path
        The triples: of names, or of ids where `names` is given.
    names : str or Path, optional
        A file of ids and names of the entities, such as `ent_ids_1` beside the `triples_1` of DBP15K.
    literals : str or Path, optional
        A file of literals: entity, attribute, value.

    Raises
    ------
    InputError
        Naming the file and the line.
    """
    path = Path(path)
    if names is None:
        triples = [row for _, row in _rows(path, 3)]
        texts = [row for _, row in _rows(Path(literals), 3)] if literals is not None else []
        if not triples and not texts:
            raise InputError(f"{path}: no triples in it")
        return KnowledgeGraph.of(triples, texts)
    known = read_names(names)
    triples = []
    for line, (head, relation, tail) in _rows(path, 3):
        for end in (head, tail):
            if end not in known:
                raise InputError(f"{path}, line {line}: no id {end!r} in {names}")
        triples.append([known[head], relation, known[tail]])
    texts = []
    for line, (entity, attribute, value) in _rows(Path(literals), 3) if literals is not None else ():
        if entity not in known and entity not in known.values():
            raise InputError(f"{literals}, line {line}: no id {entity!r} in {names}")
        texts.append([known.get(entity, entity), attribute, value])
    if not triples and not texts:
        raise InputError(f"{path}: no triples in it")
    return KnowledgeGraph.of(triples, texts, entities=known.values())


def read_names(path: str | Path) -> dict[str, str]:
    """Read a file of ids and names, one of each a line.

    Raises
    ------
    InputError
        Naming the file and the line: also when an id or a name comes twice.
    """
    path = Path(path)
    known: dict[str, str] = {}
    seen: dict[str, int] = {}
    for line, (key, name) in _rows(path, 2):
        if key in known:
            raise InputError(f"{path}, line {line}: the id {key!r} was there before")
        if name in seen:
            raise InputError(f"{path}, line {line}: the name {name!r} was there before, in line {seen[name]}")
        known[key], seen[name] = name, line
    return known


def read_pairs(
    path: str | Path,
    source: KnowledgeGraph,
    target: KnowledgeGraph,
    ids: tuple[dict[str, str], dict[str, str]] | None = None,
) -> np.ndarray:
    """Read pairs, a source entity and a target entity a line, as positions of shape (p, 2).

    A first line "source", "target" is a header. More parts, such as the confidence that `headstart align` writes, are
    left aside.

    Parameters
    ----------
    path : str or Path
    source, target : KnowledgeGraph
    ids : two dicts, optional
        Names by ids, as `read_names` gives them: pairs may then be ids.

    Raises
    ------
    InputError
        Naming the file and the line.
    """
    path = Path(path)
    pairs: list[list[int]] = []
    for line, row in _rows(path, 2, more=True):
        if not pairs and row[:2] == ["source", "target"]:
            continue
        places = []
        for side, (name, graph) in enumerate(zip(row[:2], (source, target), strict=True)):
            called = name if ids is None or name in graph.places else ids[side].get(name, name)
            if called not in graph.places:
                raise InputError(f"{path}, line {line}: no {('source', 'target')[side]} entity {name!r}")
            places.append(graph.places[called])
        pairs.append(places)
    if not pairs:
        raise InputError(f"{path}: no pairs in it")
    return np.array(pairs)


def _rows(path: Path, parts: int, more: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Give the number and the parts of each line that is not empty."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            if path.suffix.casefold() == ".csv":
                reader = csv.reader(lines)
                split = ((reader.line_num, row) for row in reader)
            else:
                split = ((n, line.rstrip("\r\n").split("\t")) for n, line in enumerate(lines, 1))
            for number, row in split:
                if not any(row):
                    continue
                if len(row) < parts or (len(row) > parts and not more):
                    parted = "commas" if path.suffix.casefold() == ".csv" else "tabs"
                    raise InputError(f"{path}, line {number}: {len(row)} parts; there should be {parts}, with {parted}")
                yield number, row
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: can't be read as text ({error})") from error
