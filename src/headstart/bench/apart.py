"""Data sets kept apart: neither the rule of choice nor the blend or its members were settled with a look at them.

That was done with the six sets of `headstart.bench.cases` in view; what it is worth elsewhere is measured here. Other
parts of headstart are measured on some of these sets too, in other forms: networks, graphs, weights of rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import numpy as np

from headstart.bench.cases import BACKBONE, Pair, Reader, drawn, pairs_of, words_of
from headstart.bench.citation import NETWORKS
from headstart.bench.instances import REVIEWS
from headstart.domain import Domain
from headstart.readers import read, read_domains
from headstart.readers.pictures import read_folders

#: Rows of a domain of which there are more.
ROWS = 2000


def pacs(folder: Path) -> Iterator[Pair]:
    """PACS, photographs, art, cartoons and sketches, features of EfficientNet-Lite0: 12 pairs."""
    from headstart import backbone

    base = backbone(BACKBONE)
    domains = [
        Domain(np.asarray(base.features(list(rows.X[:, 0])), float), rows.labels, name)
        for name, rows in read_folders(folder / "pacs").items()
    ]
    yield from pairs_of("pacs", domains)


def mushrooms(folder: Path) -> Iterator[Pair]:
    """Mushrooms whose stalk widens or tapers, edible or not: 2 pairs."""
    kinds = read_domains(folder / "mushroom.csv", label="class", domain_column="stalk_shape")
    yield from pairs_of("mushrooms", [drawn(rows, ROWS) for rows in kinds.values()], tables=True)


def films(folder: Path) -> Iterator[Pair]:
    """Product reviews of four kinds as sources, sentences about films (SST-2) as target, TF-IDF of words: 4 pairs."""
    target = drawn(read(folder / "sst2" / "train.csv", label="label", name="films"), ROWS)
    for name in REVIEWS:
        source = read(folder / "amazon_reviews" / f"{name}.csv", label="label", name=name)
        yield Pair("films", *words_of(source, target))


def papers(folder: Path) -> Iterator[Pair]:
    """Papers of three citation networks, words of titles without links, five fields: 6 pairs."""
    from headstart.relations import read_graph

    with warnings.catch_warnings():
        # That papers have several fields: each has the first.
        warnings.simplefilter("ignore", UserWarning)
        graphs = [read_graph(folder / "citation" / f"{name}.mat", name=name) for name in NETWORKS]
    domains = [drawn(Domain(nodes.X.attributes, nodes.labels, nodes.name), ROWS) for nodes in graphs]
    for source, target in permutations(domains, 2):
        often = np.asarray((source.X != 0).sum(axis=0) + (target.X != 0).sum(axis=0)).ravel() > 1
        of, to = (Domain(rows.X[:, often], rows.labels, rows.name) for rows in (source, target))
        yield Pair("papers", of, to)


#: Data sets by their names on the command line.
APART: dict[str, Reader] = {
    "pacs": (pacs, "pacs"),
    "mushrooms": (mushrooms, "mushroom.csv"),
    "films": (films, "sst2"),
    "papers": (papers, "citation"),
}
