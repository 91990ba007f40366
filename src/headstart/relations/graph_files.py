"""Files that hold a graph: MATLAB matrices, and lists of links with tables beside them."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, issparse

from headstart.domain import Domain
from headstart.errors import InputError, listed
from headstart.relations.graphs import Graph

#: What a MATLAB file calls links, attributes and classes, as files of citation networks do.
NETWORK, ATTRIBUTES, GROUP = "network", "attrb", "group"
#: First lines of a list of links that are names of columns.
HEADERS = ({"source", "target"}, {"from", "to"}, {"src", "dst"}, {"node1", "node2"}, {"id1", "id2"})


def read_graph(
    path: str | Path,
    *,
    attributes: str | Path | None = None,
    labels: str | Path | None = None,
    name: str | None = None,
) -> Domain:
    r"""Read a graph: its nodes are the rows of a domain.

    Parameters
    ----------
    path : path
        A MATLAB file (.mat, version 7 or older) with matrices "network" (n, n), "attrb" (n, d) and, where classes are
        known, "group" (n, k); or a list of links: a CSV or TSV file with two names a line, and a weight if wanted. Its
        first line may be "source,target", "from,to" or the like; a line that begins with "#" is skipped.
    attributes : path, optional
        For a list of links: a CSV or TSV table with names of columns, a line for each node: its name, then numbers.
        The nodes have its order. Without, nodes are those that have a link or a label, and their only attribute is how
        many links they have.
    labels : path, optional
        For a list of links: a table with names of columns, "name,label" a line. Nodes without a line, and those whose
        label is empty, have none.
    name : str, optional
        What the domain is called; by default after the file.

    Returns
    -------
    domain : Domain
        With `Nodes` for rows. The class of a node of a MATLAB file is the number of the first column of "group" that
        is largest; nodes that belong to several are counted in a warning.

    Raises
    ------
    InputError
        When a file is not there or broken. The line is named.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "links.csv").write_text("ann,bob\nbob,eve\n")
    >>> _ = (folder / "people.csv").write_text("name,age\nann,31\nbob,40\neve,25\n")
    >>> _ = (folder / "votes.csv").write_text("name,vote\nann,yes\neve,no\n")
    >>> read_graph(folder / "links.csv", attributes=folder / "people.csv", labels=folder / "votes.csv", name="town")
    Domain('town', 3 nodes, 2 labelled, classification)
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    called = path.stem if name is None else name
    if path.suffix.lower() == ".mat":
        if attributes is not None or labels is not None:
            raise InputError(f"{path}: a MATLAB file holds attributes and labels itself; leave them out")
        graph, y = _matlab(path)
    else:
        graph, y = _links(path, attributes, labels)
    return Domain(graph.nodes(), y, name=called, modality="graph", task=None if y is None else "classification")


def _matlab(path: Path) -> tuple[Graph, np.ndarray | None]:
    from scipy.io import loadmat, whosmat

    try:
        there = [item[0] for item in whosmat(path)]
        found = loadmat(path, variable_names=[NETWORK, ATTRIBUTES, GROUP])
    except (ValueError, TypeError, NotImplementedError, EOFError, OSError, KeyError) as error:
        raise InputError(f"{path}: can't be read as a MATLAB file of version 7 or older ({error})") from error
    for key in (NETWORK, ATTRIBUTES):
        if key not in there:
            raise InputError(f"{path}: no matrix {key!r}; there is {listed(there)}")
    network, attributes = (_numbers(found[key], key, path) for key in (NETWORK, ATTRIBUTES))
    attributes = attributes if issparse(attributes) else _sparse_if_empty(attributes)
    try:
        graph = Graph(network, attributes)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if GROUP not in there:
        return graph, None
    group = _numbers(found[GROUP], GROUP, path)
    group = np.asarray(group.todense() if issparse(group) else group, dtype=float)
    if group.ndim != 2 or len(group) != len(graph):
        raise InputError(f"{path}: {len(graph)} nodes but {GROUP!r} of shape {group.shape}; give a row for each node")
    belongs = (group > 0).sum(axis=1)
    if (belongs > 1).any():
        warnings.warn(
            f"{path}: {int((belongs > 1).sum())} of {len(graph)} nodes belong to several classes; "
            "the largest, or the first of equals, is taken",
            stacklevel=3,
        )
    return graph, np.where(belongs > 0, group.argmax(axis=1), np.nan)


def _numbers(matrix: Any, key: str, path: Path) -> Any:
    if matrix.dtype.kind not in "fiub":
        raise InputError(f"{path}: {key!r} holds {matrix.dtype}, not numbers")
    return matrix


def _sparse_if_empty(X: np.ndarray) -> Any:
    """Return a matrix as CSR where less than a quarter of it is filled."""
    return csr_matrix(X) if X.ndim == 2 and np.count_nonzero(X) < X.size / 4 else X


def _links(path: Path, attributes: str | Path | None, labels: str | Path | None) -> tuple[Graph, np.ndarray | None]:
    known = None if labels is None else _labels(Path(labels))
    names, X = (None, None) if attributes is None else _attributes(Path(attributes))
    at = {} if names is None else {node: i for i, node in enumerate(names)}
    weights: dict[tuple[int, int], float] = {}
    for number, (line, cells) in enumerate(_lines(path)):
        if number == 0 and {cell.casefold() for cell in cells[:2]} in HEADERS:
            continue
        if len(cells) not in (2, 3) or not all(cells[:2]):
            raise InputError(f"{path}, line {line}: a link is two names, and a weight if wanted, not {_shown(cells)}")
        for node in cells[:2]:
            if names is not None and node not in at:
                raise InputError(f"{path}, line {line}: no node {node!r} in {attributes}; add it there")
            at.setdefault(node, len(at))
        weight = _number(cells[2], path, line, least=0) if len(cells) == 3 else 1.0
        ends = at[cells[0]], at[cells[1]]
        weights[ends] = max(weight, weights.get(ends, 0.0))
    for node, (_, line) in (known or {}).items():
        if names is not None and node not in at:
            raise InputError(f"{labels}, line {line}: no node {node!r} in {attributes}; add it there")
        at.setdefault(node, len(at))
    if not at:
        raise InputError(f"{path}: is empty")
    n = len(at)
    ends_of_all = np.array(list(weights), dtype=int).reshape(-1, 2)
    matrix = csr_matrix((list(weights.values()), ends_of_all.T), shape=(n, n))
    graph = Graph(matrix, np.zeros((n, 1)) if X is None else X, np.array(list(at)))
    if X is None:
        graph = Graph(matrix, np.diff(graph.adjacency.indptr)[:, None], graph.names)
    return graph, None if known is None else _as_array([known[node][0] if node in known else "" for node in at])


def _attributes(path: Path) -> tuple[list[str], Any]:
    found: dict[str, list[float]] = {}
    wide = 0
    for number, (line, cells) in enumerate(_lines(path)):
        if number == 0:
            wide = len(cells)
            if wide < 2:
                raise InputError(f"{path}, line {line}: names of columns are wanted: a node's, then its attributes'")
            continue
        if len(cells) != wide:
            raise InputError(f"{path}, line {line}: {len(cells)} values under {wide} names of columns")
        if not cells[0] or cells[0] in found:
            raise InputError(
                f"{path}, line {line}: the node {cells[0]!r} has {'no name' if not cells[0] else 'a line already'}"
            )
        found[cells[0]] = [_number(cell, path, line) for cell in cells[1:]]
    if not found:
        raise InputError(f"{path}: is empty")
    return list(found), _sparse_if_empty(np.array(list(found.values())))


def _labels(path: Path) -> dict[str, tuple[str, int]]:
    found: dict[str, tuple[str, int]] = {}
    for number, (line, cells) in enumerate(_lines(path)):
        if len(cells) != 2 or not cells[0]:
            raise InputError(f"{path}, line {line}: a node's name and its label are wanted, not {_shown(cells)}")
        if number == 0:
            continue
        if cells[0] in found:
            raise InputError(f"{path}, line {line}: the node {cells[0]!r} has a label already")
        found[cells[0]] = cells[1], line
    return found


def _as_array(labels: list[str]) -> np.ndarray:
    """Return labels as numbers where all are, else as text; an empty one is missing."""
    try:
        return np.array([float(label) if label else np.nan for label in labels])
    except ValueError:
        return np.array([label or None for label in labels], dtype=object)


def _number(cell: str, path: Path, line: int, least: float = -np.inf) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if not (np.isfinite(value) and value >= least):
        raise InputError(f"{path}, line {line}: {cell!r} is not a number{' of zero or more' if least == 0 else ''}")
    return value


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield lines as cells, with their numbers; blank lines and comments are skipped."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text; save the file as UTF-8") from error
    begun = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    reader = csv.reader(text.splitlines(), delimiter="\t" if "\t" in begun else ",")
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped) and not stripped[0].startswith("#"):
                yield reader.line_num, stripped
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}") from error


def _shown(cells: Sequence[str]) -> str:
    text = ",".join(cells)
    return repr(text if len(text) <= 40 else text[:37] + "...")
