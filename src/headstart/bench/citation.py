"""Nodes of three citation networks, each as source and as target of the others, target labels unseen.

ACMv9, Citationv1 and DBLPv7: papers with words of their titles, links where one cites the other, five fields. Their
files are acmv9.mat, citationv1.mat and dblpv7.mat. A paper of several fields has the first. All target nodes are
scored. No setting was chosen by target labels.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from headstart.domain import Domain
from headstart.method import carry_and_learn, four_steps, learn_and_extract
from headstart.relations import AdversarialGraphTransfer, GraphClassifier, GraphTransfer, read_graph

NETWORKS = ("acmv9", "citationv1", "dblpv7")
#: Labels of each class where the target has some, and draws of them.
LABELS, DRAWS = 5, 5
#: What is compared, as methods; the first is the one without the graph, the second what is there by default.
METHODS: dict[str, Any] = {
    "no graph": GraphTransfer(0, 0),
    "rounds 2/10": GraphTransfer(),
    "rounds 1/1": GraphTransfer(1, 1),
    "rounds 1/10": GraphTransfer(1, 10),
    "rounds 2/2": GraphTransfer(2, 2),
    "rounds 5/5": GraphTransfer(5, 5),
    "rounds 10/10": GraphTransfer(10, 10),
    "rounds 2/20": GraphTransfer(2, 20),
    "adversarial, 2/10": AdversarialGraphTransfer(),
}


def measure_citation(folder: Path, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Return micro-F1, macro-F1 and seconds of every method, by direction and in the mean.

    Parameters
    ----------
    folder : Path
        Where the three files are.
    say : callable
        Is told in a line how far the work is.

    Returns
    -------
    figures : dict
        "methods": by name "micro", "macro" and "seconds", each by direction ("acmv9->dblpv7") and its "mean";
        "2/10, few labels" also learns from 5 labels of each class of the target; "target only" from these alone, and
        "no graph, target only" from these without links. All three are the mean of 5 draws, scored on all other nodes.
        "nodes": by network.
    """
    with warnings.catch_warnings():
        # That papers have several fields is said above.
        warnings.simplefilter("ignore", UserWarning)
        networks = {name: read_graph(folder / f"{name}.mat") for name in NETWORKS}
    methods: dict[str, dict[str, dict[str, float]]] = {}
    for name, method in METHODS.items():
        cells = {}
        for source, target in permutations(NETWORKS, 2):
            cells[f"{source}->{target}"] = _score(method, networks[source], networks[target])
        methods[name] = _by_measure(cells)
        say(f"{name}: micro-F1 {methods[name]['micro']['mean']:.3f}")
    few = {f"{s}->{t}": _few_labels(networks[s], networks[t]) for s, t in permutations(NETWORKS, 2)}
    methods["2/10, few labels"] = _by_measure(few)
    say(f"2/10, few labels: micro-F1 {methods['2/10, few labels']['micro']['mean']:.3f}")
    for name, rounds in (("no graph, target only", 0), ("target only", 10)):
        methods[name] = _by_measure({target: _target_only(networks[target], rounds) for target in NETWORKS})
        say(f"{name}: micro-F1 {methods[name]['micro']['mean']:.3f}")
    return {"methods": methods, "nodes": {name: len(domain) for name, domain in networks.items()}}


def _score(method: Any, source: Domain, target: Domain) -> dict[str, float]:
    start = time.perf_counter()
    unseen = Domain(target.X, name=target.name, modality="graph", task="classification")
    predicted = four_steps(method, source, unseen, None).predictor.predict(target.X)
    return _scores(target.labels, predicted, time.perf_counter() - start)


def _few_labels(source: Domain, target: Domain) -> dict[str, float]:
    """Score the default with few labels of the target; its seconds are those at the target."""
    knowledge, _ = learn_and_extract(GraphTransfer(), source, None)

    def predictor(known: np.ndarray) -> Any:
        y = np.full(len(target), np.nan)
        y[known] = target.labels[known]
        part = Domain(target.X, y, name=target.name, modality="graph", task="classification")
        return carry_and_learn(GraphTransfer(), knowledge, part, None)[0]

    return _mean_of_draws(target, predictor)


def _target_only(target: Domain, rounds: int) -> dict[str, float]:
    return _mean_of_draws(target, lambda known: GraphClassifier(rounds).fit(target.X[known], target.labels[known]))


def _mean_of_draws(target: Domain, fit: Callable[[np.ndarray], Any]) -> dict[str, float]:
    """Return the mean scores on all nodes but the few that are fitted on, drawn several times."""
    draws = []
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        known = np.concatenate(
            [rng.choice(np.flatnonzero(target.labels == field), LABELS, replace=False) for field in target.classes]
        )
        rest = np.setdiff1d(np.arange(len(target)), known)
        start = time.perf_counter()
        predicted = fit(known).predict(target.X[rest])
        draws.append(_scores(target.labels[rest], predicted, time.perf_counter() - start))
    return {measure: float(np.mean([draw[measure] for draw in draws])) for measure in draws[0]}


def _scores(truth: np.ndarray, predicted: np.ndarray, seconds: float) -> dict[str, float]:
    return {
        "micro": float(f1_score(truth, predicted, average="micro")),
        "macro": float(f1_score(truth, predicted, average="macro")),
        "seconds": seconds,
    }


def _by_measure(cells: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Turn cells by direction into directions by measure, with their mean."""
    return {
        measure: {
            **{direction: cell[measure] for direction, cell in cells.items()},
            "mean": float(np.mean([cell[measure] for cell in cells.values()])),
        }
        for measure in ("micro", "macro", "seconds")
    }
