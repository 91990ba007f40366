"""What fine-tuning is asked: rows to learn from, few or more of them, and test rows of this domain and of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.bench.instances import REVIEWS
from headstart.domain import Domain
from headstart.evidence.curve import drawing_order
from headstart.readers import read
from headstart.readers.pictures import read_folders


@dataclass(frozen=True, eq=False)
class Exam:
    """One domain to learn from, and its test rows.

    Parameters
    ----------
    data, place : str
        The data set, and the domain that is learned from.
    modality : {"image", "text"}
    draw : int
        The seed of the rows' order.
    items, y : lists of length n
        Rows that may be learned from, in the order in which they are.
    tests : dict of str to (items, labels)
        Test rows by domain; those of `place` are of the same domain.
    sizes : sequence of int
        Labels, of each class where `by_class`.
    """

    data: str
    place: str
    modality: str
    draw: int
    items: Sequence[Any]
    y: np.ndarray
    tests: dict[str, tuple[list[Any], np.ndarray]]
    sizes: Sequence[int]
    by_class: bool

    def first(self, size: int) -> np.ndarray:
        """Return the positions of the rows to learn from; fewer are always among more."""
        if not self.by_class:
            return np.arange(size)
        return np.sort(np.concatenate([np.flatnonzero(self.y == name)[:size] for name in np.unique(self.y)]))


@dataclass(frozen=True)
class Kind:
    """A data set: what it needs, and how its exams are made of it."""

    needs: str
    modality: str
    by_class: bool
    protocol: str
    make: Callable[[Path, int], Iterator[Exam]]


LABELS_A_CLASS = (1, 3, 5, 10, 20)
LABELS = (8, 32, 128, 512)
#: Test rows of a class and domain: so many at most, and a third of them at most where they are also learned from.
TESTED = 10
#: Test rows of a domain of texts.
TEXTS_TESTED = 200


def office(folder: Path, draw: int) -> Iterator[Exam]:
    """Learn from each of the four domains, tested on all four: 12 pairs."""
    domains = read_folders(folder / "office_caltech10_images")
    for name, domain in domains.items():
        others = {other: _some(rows, TESTED, draw) for other, rows in domains.items() if other != name}
        yield _by_class("office", name, domain, others, draw)


def pacs(folder: Path, draw: int) -> Iterator[Exam]:
    """Learn from three domains, tested on them and on the fourth."""
    domains = read_folders(folder / "pacs")
    for name, left_out in domains.items():
        rest = [rows for other, rows in domains.items() if other != name]
        X, y = np.concatenate([rows.X[:, 0] for rows in rest]), np.concatenate([rows.labels for rows in rest])
        place = f"all but {name}"
        yield _by_class(
            "pacs", place, Domain(X[:, None], y, place, "image"), {name: _some(left_out, TESTED, draw)}, draw
        )


def reviews(folder: Path, draw: int) -> Iterator[Exam]:
    """Learn from the reviews of three kinds of goods, tested on them and on the fourth."""
    domains = {name: read(folder / "amazon_reviews" / f"{name}.csv", label="label", name=name) for name in REVIEWS}
    for name, left_out in domains.items():
        rest = [rows for other, rows in domains.items() if other != name]
        texts = np.concatenate([rows.X["text"].to_numpy(object) for rows in rest])
        whole = Domain(texts[:, None], np.concatenate([rows.labels for rows in rest]), f"all but {name}", "text")
        order = drawing_order(whole, np.random.default_rng(draw))
        own = whole.rows(order[-TEXTS_TESTED:])
        other = np.random.default_rng(draw).permutation(len(left_out))[:TEXTS_TESTED]
        tests = {
            whole.name: (list(own.X[:, 0]), own.labels),
            name: (left_out.X["text"].to_numpy(object)[other].tolist(), left_out.labels[other]),
        }
        learned = whole.rows(order[: max(LABELS)])
        yield Exam("amazon", whole.name, "text", draw, list(learned.X[:, 0]), learned.labels, tests, LABELS, False)


def sentences(data: str, most: int) -> Callable[[Path, int], Iterator[Exam]]:
    """Return the exams of a data set that comes as train.csv and test.csv."""

    def make(folder: Path, draw: int) -> Iterator[Exam]:
        train, test = (read(folder / data / f"{part}.csv", label="label", name=data) for part in ("train", "test"))
        order = drawing_order(train, np.random.default_rng(draw))[: max(LABELS)]
        at = np.random.default_rng(0).permutation(len(test))[:most]
        tests = {data: (test.X["text"].to_numpy(object)[at].tolist(), test.labels[at])}
        texts = train.X["text"].to_numpy(object)[order].tolist()
        yield Exam(data, data, "text", draw, texts, train.labels[order], tests, LABELS, False)

    return make


def _by_class(
    data: str, place: str, domain: Domain, others: dict[str, tuple[list[Any], np.ndarray]], draw: int
) -> Exam:
    """Return the exam of a domain of pictures: test rows first, what is left is learned from."""
    order = np.random.default_rng(draw).permutation(len(domain))
    y = domain.labels[order]
    counts = {name: int((y == name).sum()) for name in np.unique(y)}
    tested = np.concatenate([np.flatnonzero(y == name)[: min(TESTED, n // 3)] for name, n in counts.items()])
    learned = np.setdiff1d(np.arange(len(y)), tested)
    least = min(n - min(TESTED, n // 3) for n in counts.values())
    paths = domain.X[order, 0]
    return Exam(
        data,
        place,
        "image",
        draw,
        list(paths[learned]),
        y[learned],
        {place: (list(paths[tested]), y[tested]), **others},
        [size for size in LABELS_A_CLASS if size <= least],
        True,
    )


def _some(domain: Domain, of_class: int, draw: int) -> tuple[list[Any], np.ndarray]:
    order = np.random.default_rng(draw).permutation(len(domain))
    y = domain.labels[order]
    at = np.sort(np.concatenate([np.flatnonzero(y == name)[:of_class] for name in np.unique(y)]))
    return list(domain.X[order[at], 0]), y[at]


_PICTURES = f"test rows: {TESTED} a class and domain at most; labels a class: {LABELS_A_CLASS}, where there are so many"
EXAMS: dict[str, Kind] = {
    "office": Kind(
        "office_caltech10_images",
        "image",
        True,
        f"Office-Caltech10, learn from each domain, tested on it and on the three others; {_PICTURES}",
        office,
    ),
    "pacs": Kind(
        "pacs", "image", True, f"PACS, learn from three domains, tested on them and the fourth; {_PICTURES}", pacs
    ),
    "amazon": Kind(
        "amazon_reviews",
        "text",
        False,
        f"Amazon reviews, learn from three kinds of goods, tested on {TEXTS_TESTED} of them and of the fourth",
        reviews,
    ),
    "sst2": Kind("sst2", "text", False, "SST-2, tested on 400 sentences of its test part", sentences("sst2", 400)),
    "trec": Kind("trec", "text", False, "TREC, tested on all 500 questions of its test part", sentences("trec", 500)),
}
