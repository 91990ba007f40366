"""Entity alignment measured: how often the true partner comes first, on the DBP15K data and on made graphs.

Of the known partners a share, drawn at random, is given; the others are asked for. Made graphs tell how time and memory
grow.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError
from headstart.relations.entity_alignment import EntityAlignment
from headstart.relations.triple_files import read_names, read_pairs, read_triples
from headstart.relations.triples import KnowledgeGraph

FILES = ("triples_1", "triples_2", "ent_ids_1", "ent_ids_2", "ref_ent_ids")


def measure_entities(
    folder: str | Path, seeds_share: float = 0.3, random_state: int = 0, **settings: Any
) -> dict[str, Any]:
    """Align the two graphs of a folder in the layout of DBP15K, and return the figures.

    Parameters
    ----------
    folder : str or Path
        With `triples_1`, `triples_2`, `ent_ids_1`, `ent_ids_2` and `ref_ent_ids`.
    seeds_share : float
        The share of the known pairs that is given.
    random_state : int
        Of the split, and of the alignment.
    **settings
        Of `EntityAlignment`.

    Returns
    -------
    dict
        Hits and MRR among the tested target entities and among all, of the held-out pairs; seconds on the wall and of
        the processors for `fit`; peak memory of the process so far, in MiB; and the settings.
    """
    folder = Path(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder}: no {' and no '.join(missing)}; the layout of DBP15K is needed")
    source, target = (read_triples(folder / f"triples_{i}", folder / f"ent_ids_{i}") for i in (1, 2))
    ids = read_names(folder / "ent_ids_1"), read_names(folder / "ent_ids_2")
    pairs = read_pairs(folder / "ref_ent_ids", source, target, ids)
    order = np.random.default_rng(random_state).permutation(len(pairs))
    n_seeds = round(seeds_share * len(pairs))
    if not 0 < n_seeds < len(pairs):
        raise InputError(f"seeds_share must leave pairs to give and to test, not {seeds_share}")
    seeds, tested = pairs[order[:n_seeds]], pairs[order[n_seeds:]]
    alignment = EntityAlignment("structure", random_state=random_state, **settings)
    took = _timed(alignment, source, target, seeds)
    found: dict[str, Any] = {"n_seeds": n_seeds, "n_tested": len(tested), "random_state": random_state}
    for candidates in ("tested", "all"):
        scored = alignment.hits(tested, (1, 10), candidates)
        found[candidates] = {**{f"hits@{k}": share for k, share in scored.hits.items()}, "mrr": scored.mrr}
    return {**found, **took, "settings": alignment.get_params()}


def made_graphs(n: int, random_state: int = 0, degree: int = 5, kept: float = 0.8) -> tuple[Any, Any, np.ndarray]:
    """Return two graphs of n entities, each with a share of the same made triples, and the true partners.

    Some entities and relations are named far more often than others, as in encyclopedias.
    """
    rng = np.random.default_rng(random_state)
    m = max(2, n // 20)
    h = rng.integers(n, size=degree * n)
    r, t = ((size * rng.random(degree * n) ** 2).astype(np.int64) for size in (m, n))
    triples = np.unique(np.stack([h, r, t], axis=1)[h != t], axis=0)
    place = rng.permutation(n)
    names = [f"e{i}" for i in range(n)]
    relations = [f"r{i}" for i in range(m)]
    other = np.stack([place[triples[:, 0]], triples[:, 1], place[triples[:, 2]]], axis=1)
    graphs = [KnowledgeGraph(names, relations, side[rng.random(len(side)) < kept]) for side in (triples, other)]
    return graphs[0], graphs[1], np.stack([np.arange(n), place], axis=1)


def measure_size(n: int, seeds_share: float = 0.1, random_state: int = 0, **settings: Any) -> dict[str, Any]:
    """Align made graphs of n entities each, and return hits, seconds and peak memory."""
    source, target, truth = made_graphs(n, random_state)
    order = np.random.default_rng(random_state).permutation(n)
    n_seeds = max(1, round(seeds_share * n))
    alignment = EntityAlignment("structure", random_state=random_state, **settings)
    took = _timed(alignment, source, target, truth[order[:n_seeds]])
    scored = alignment.hits(truth[order[n_seeds:]], candidates="all")
    return {"entities": n, "hits@1": scored.hits[1], **took, "settings": alignment.get_params()}


def _timed(
    alignment: EntityAlignment, source: KnowledgeGraph, target: KnowledgeGraph, seeds: np.ndarray
) -> dict[str, float]:
    begun, spent = time.perf_counter(), time.process_time()
    alignment.fit(source, target, seeds)
    seconds, processor = time.perf_counter() - begun, time.process_time() - spent
    # Linux counts in KiB, macOS in bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return {"seconds": seconds, "processor_seconds": processor, "peak_mib": peak}
