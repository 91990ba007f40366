"""The benchmark on citation networks, on three small ones of the same form."""

import numpy as np
import pytest
from scipy.io import savemat

from headstart.bench import citation


def networks(folder):
    """Three networks of two fields; words of a field are a little more frequent in it, links mostly within."""
    words = np.random.default_rng(9).permutation(np.repeat([0.06, 0.12], 30))
    for seed, name in enumerate(citation.NETWORKS):
        rng = np.random.default_rng(seed)
        field = np.repeat([0, 1], 60)
        links = np.triu(rng.uniform(size=(120, 120)) < np.where(field[:, None] == field, 0.1, 0.01), 1)
        chance = np.where(field[:, None] == 0, words, 0.18 - words)
        counts = rng.uniform(size=(120, 60)) < chance
        savemat(folder / f"{name}.mat", {"network": links + links.T, "attrb": counts * 1, "group": np.eye(2)[field]})


def test_every_direction_is_measured_and_the_mean_is_theirs(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from headstart.relations import AdversarialGraphTransfer

    monkeypatch.setattr(citation, "DRAWS", 2)
    few = {name: citation.METHODS[name] for name in ("no graph", "rounds 2/10")}
    monkeypatch.setattr(citation, "METHODS", {**few, "adversarial, 2/10": AdversarialGraphTransfer(epochs=10)})
    networks(tmp_path)
    told = []
    figures = citation.measure_citation(tmp_path, told.append)
    assert figures["nodes"] == dict.fromkeys(citation.NETWORKS, 120)
    assert len(told) == len(figures["methods"]) == len(citation.METHODS) + 3
    for name, measured in figures["methods"].items():
        for values in measured.values():
            assert len(values) == (4 if "target only" in name else 7)
            assert values["mean"] == pytest.approx(np.mean([v for key, v in values.items() if key != "mean"]))
    micro = {name: measured["micro"]["mean"] for name, measured in figures["methods"].items()}
    assert micro["rounds 2/10"] > 0.95
    assert micro["no graph"] < 0.9
    assert micro["target only"] > micro["no graph, target only"]


def test_labels_of_the_target_are_never_seen(tmp_path):
    from headstart.relations import GraphTransfer, read_graph

    networks(tmp_path)
    source, target = (read_graph(tmp_path / f"{name}.mat") for name in citation.NETWORKS[:2])
    right = citation._score(GraphTransfer(), source, target)
    other = citation._score(GraphTransfer(), source, type(target)(target.X, 1 - target.y, task="classification"))
    # The same predictions: what is right of the one truth is wrong of the other.
    assert right["micro"] + other["micro"] == pytest.approx(1)
