"""The cases of the benchmarks of choice and of the guard: real sources and targets, of a few hundred rows each.

Columns of pictures and of texts are brought to the common principal components of source and target, before anything
is chosen and without a label. What is fitted, and how it is chosen, then sees these columns only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from headstart.bench import pictures
from headstart.bench.comparison import Case, stack_as_one
from headstart.bench.instances import REVIEWS
from headstart.delivery import Plan
from headstart.domain import Domain
from headstart.errors import InputError
from headstart.evidence.curve import drawing_order
from headstart.readers import align, read, read_domains
from headstart.readers.pictures import read_folders

#: Rows of a source, rows of a target beside the labelled ones, and test rows, at most.
SOURCE, UNLABELLED, TESTED = 300, 200, 1000
#: Columns that pictures and texts are brought to.
COLUMNS = 100
#: Words that texts are counted by: those that occur in most rows.
WORDS = 5000
BACKBONE = "bundled:efficientnet-lite0"
#: Wines of this quality or more are good ones.
GOOD = 6


@dataclass(frozen=True, eq=False)
class Pair:
    """A whole source and a whole target, and how their rows become columns of numbers: tables as they are."""

    data: str
    source: Domain
    target: Domain
    tables: bool = False

    @property
    def name(self) -> str:
        """Source and target."""
        return f"{self.source.name} -> {self.target.name}"


def office_surf(folder: Path) -> Iterator[Pair]:
    """Office-Caltech10, SURF, each domain standardised by itself: 12 pairs."""
    found = pictures.office_surf(folder)
    yield from pairs_of(
        "office-surf", [Domain(found[key].X, found[key].y, name) for key, name in pictures.OFFICE.items()]
    )


def office_backbone(folder: Path) -> Iterator[Pair]:
    """Office-Caltech10, features of EfficientNet-Lite0: 12 pairs."""
    from headstart import backbone

    base = backbone(BACKBONE)
    domains = []
    for name, rows in read_folders(folder / "office_caltech10_images").items():
        X = np.asarray(base.features(list(rows.X[:, 0])), float)
        domains.append(Domain(X, rows.labels, name))
    yield from pairs_of("office-backbone", domains)


def digits(folder: Path) -> Iterator[Pair]:
    """USPS and MNIST, pixels: 2 pairs."""
    found = pictures.digits(folder)
    yield from pairs_of(
        "digits", [Domain(found[key].X, found[key].y, name) for key, name in (("U", "usps"), ("M", "mnist"))]
    )


def heart(folder: Path) -> Iterator[Pair]:
    """Heart disease, four hospitals: 12 pairs."""
    hospitals = read_domains(folder / "heart_disease.csv", label="disease", domain_column="hospital")
    yield from pairs_of("heart", list(hospitals.values()), tables=True)


def reviews(folder: Path) -> Iterator[Pair]:
    """Amazon reviews, TF-IDF of words: 12 pairs."""
    texts = {name: read(folder / "amazon_reviews" / f"{name}.csv", label="label", name=name) for name in REVIEWS}
    for source, target in permutations(texts.values(), 2):
        yield Pair("reviews", *words_of(source, target))


def wine(folder: Path) -> Iterator[Pair]:
    """Red and white wine, good (a quality of 6 or more) or not: 2 pairs."""
    wines = read_domains(folder / "wine_quality.csv", label="quality", domain_column="colour", task="regression")
    both = [replace(rows, y=(rows.labels >= GOOD).astype(int), task="classification") for rows in wines.values()]
    yield from pairs_of("wine", both, tables=True)


#: How the pairs of a data set are read from a folder, and the file or folder that it needs there.
Reader = tuple[Callable[[Path], Iterator[Pair]], str]

#: Data sets by their names on the command line.
PAIRS: dict[str, Reader] = {
    "office-surf": (office_surf, "office_caltech10_surf"),
    "office-backbone": (office_backbone, "office_caltech10_images"),
    "digits": (digits, "digits"),
    "heart": (heart, "heart_disease.csv"),
    "reviews": (reviews, "amazon_reviews"),
    "wine": (wine, "wine_quality.csv"),
}


def in_turn(names: Sequence[str], folder: Path, sets: Mapping[str, Reader] | None = None) -> Iterator[Pair]:
    """Yield the pairs of data sets, one of each in turn, so that what is there after an interruption is some of all."""
    waiting = [(sets or PAIRS)[name][0](folder) for name in names]
    while waiting:
        still = []
        for pairs in waiting:
            pair = next(pairs, None)
            if pair is not None:
                still.append(pairs)
                yield pair
        waiting = still


def pairs_of(data: str, domains: Sequence[Domain], *, tables: bool = False) -> Iterator[Pair]:
    """Yield every ordered pair of domains."""
    for source, target in permutations(domains, 2):
        yield Pair(data, source, target, tables)


def words_of(source: Domain, target: Domain) -> tuple[Domain, Domain]:
    """Return two domains of texts as TF-IDF of the words that occur in both together most often."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(min_df=2, max_features=WORDS, sublinear_tf=True)
    words.fit([*source.X["text"], *target.X["text"]])
    of, to = (Domain(words.transform(domain.X["text"]), domain.labels, domain.name) for domain in (source, target))
    return of, to


def drawn(domain: Domain, most: int) -> Domain:
    """Return a domain's rows, or so many of them drawn at random, the same ones each time.

    >>> len(drawn(Domain(np.zeros((5, 1)), name="few"), 9)), len(drawn(Domain(np.zeros((5, 1)), name="many"), 3))
    (5, 3)
    """
    if len(domain) <= most:
        return domain
    return domain.rows(np.sort(np.random.default_rng(0).permutation(len(domain))[:most]))


def by_class(domain: Domain, each: int, draw: int) -> np.ndarray:
    """Return a random order of the rows that begins with so many of each class.

    Raises
    ------
    InputError
        When a class has fewer rows.
    """
    order = np.random.default_rng(draw).permutation(len(domain))
    labels = domain.labels[order]
    of_class = [np.flatnonzero(labels == name)[:each] for name in np.unique(labels)]
    if min(len(rows) for rows in of_class) < each:
        raise InputError(f"{domain.name}: a class has fewer than {each} rows")
    first = np.sort(np.concatenate(of_class))
    return np.concatenate([order[first], order[np.setdiff1d(np.arange(len(order)), first)]])


def with_rows(pair: Pair, order: np.ndarray, labelled: int, draw: int) -> Case:
    """Return the case in which the first rows of an order of the target's are labelled.

    Of the other rows, a third at most and 200 at most are the target's without labels, and the rest are test rows,
    1,000 at most. The source gives 300 rows at most, drawn in proportion to the classes.
    """
    target, source = pair.target, pair.source
    rest = order[labelled:]
    pool = min(UNLABELLED, len(rest) // 3)
    known, unknown = target.rows(order[:labelled]), replace(target.rows(rest[:pool]), y=None)
    test = replace(target.rows(rest[pool : pool + TESTED]), name=f"{target.name}-test")
    source = source.rows(np.sort(drawing_order(source, np.random.default_rng(draw))[:SOURCE]))
    target = stack_as_one(known, unknown) if labelled else replace(unknown, name=target.name)
    target = replace(target, task="classification")
    if pair.tables:
        aligned = align([source, test], target)
        source, test = aligned.sources
        plan = Plan("classification", aligned.kinds, "auto", source.label)
        return Case(pair.data, pair.name, draw, source, aligned.target, test, plan)
    project = components(source.X, target.X)
    source, target, test = (domain.with_rows(project(domain.X)) for domain in (source, target, test))
    return Case(pair.data, pair.name, draw, source, target, test, Plan("classification", None, "passthrough"))


def components(Xs: Any, Xt: Any) -> Callable[[Any], np.ndarray]:
    """Return the projection on the common principal components, scaled alike so that the mean variance is 1.

    >>> project = components(np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[0.0, 4.0], [2.0, 4.0]]))
    >>> float(project(np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 4.0], [2.0, 4.0]])).var(axis=0).mean().round(6))
    1.0
    """
    dense = [np.asarray(X.todense() if hasattr(X, "todense") else X, float) for X in (Xs, Xt)]
    both = np.vstack(dense)
    fitted = PCA(min(COLUMNS, *both.shape), svd_solver="full").fit(both)
    scale = np.sqrt(fitted.transform(both).var(axis=0).mean())
    return lambda X: fitted.transform(np.asarray(X.todense() if hasattr(X, "todense") else X, float)) / scale


def kept(place: Path | None, kind: Callable[..., Any]) -> list[Any]:
    """Return the cells that a file holds, one a line; none where there is no file."""
    if place is None or not place.exists():
        return []
    return [kind(**json.loads(line)) for line in place.read_text(encoding="utf-8").splitlines()]


def keep(place: Path | None, cell: Any) -> None:
    """Add a cell to the file, if there is one."""
    if place is not None:
        with place.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(cell)) + "\n")


def packed(hits: np.ndarray) -> str:
    """Write zeros and ones, or folds below ten, as a line of digits.

    >>> packed(np.array([1.0, 0.0, 1.0])), unpacked("101").tolist()
    ('101', [1, 0, 1])
    """
    return "".join(str(int(value)) for value in hits)


def unpacked(line: str) -> np.ndarray:
    """Read what `packed` wrote."""
    return np.array([int(digit) for digit in line])
