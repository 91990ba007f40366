"""Neighbour agreement and the meetings of relations are their formulas, summed over all pairs of statements."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from headstart.relations.label_propagation import Views
from headstart.relations.neighbour_agreement import neighbour_agreement, relation_agreement
from headstart.relations.statements import Statements, relation_meetings


def random_statements(seed, n, m=3, size=30):
    rng = np.random.default_rng(seed)
    triples = np.unique(rng.integers([n, m, n], size=(size, 3)), axis=0)
    return Statements.of(triples, n, m)


@pytest.fixture
def sides():
    return random_statements(0, 9), random_statements(1, 8, m=4)


def all_statements(side):
    return list(zip(side.x.tolist(), side.r.tolist(), side.y.tolist(), strict=True))


def test_statements_are_read_both_ways():
    side = Statements.of(np.array([[0, 0, 1], [2, 1, 1], [0, 0, 2]]), 3, 2)
    assert set(all_statements(side)) == {(0, 0, 1), (1, 2, 0), (2, 1, 1), (1, 3, 2), (0, 0, 2), (2, 2, 0)}
    # Relation 0: two y for two pairs; its inverse: one y for two pairs.
    np.testing.assert_allclose(side.inverse_functionality(), [1, 1, 0.5, 1])
    weight = dict(zip(side.r.tolist(), side.rarity().tolist(), strict=True))
    assert weight == pytest.approx({0: np.log(3 / 2), 1: np.log(3), 2: np.log(3 / 2), 3: np.log(3)})


def test_meetings_are_counted_over_all_pairs_of_statements(sides):
    here, there = sides
    partner = np.array([3, -1, 0, 5, 7, -1, 1, 2, 6])
    sure = np.linspace(0.2, 1, 9)
    met, of_source, of_target = relation_meetings(here, there, partner, sure)
    wanted = np.zeros_like(met)
    stated = all_statements(there)
    for x, r, y in all_statements(here):
        for x_, r_, y_ in stated:
            if partner[x] == x_ and partner[y] == y_:
                wanted[r, r_] += sure[x] * sure[y]
    assert wanted.sum() > 0
    np.testing.assert_allclose(met, wanted)
    paired = np.where(partner >= 0, sure, 0)
    back = {int(j): s for j, s in zip(partner, sure, strict=True) if j >= 0}
    for r in range(here.n_relations):
        assert of_source[r] == pytest.approx(sum(paired[x] * paired[y] for x, k, y in all_statements(here) if k == r))
    for r in range(there.n_relations):
        total = sum(back.get(x, 0) * back.get(y, 0) for x, k, y in stated if k == r)
        assert of_target[r] == pytest.approx(total)


@pytest.mark.parametrize("block", [1, 50, 10**6])
def test_agreement_of_neighbours_is_the_formula(sides, block):
    here, there = sides
    rng = np.random.default_rng(2)
    P = rng.random((9, 8)) * (rng.random((9, 8)) < 0.4)
    W = rng.random((here.n_relations, there.n_relations))
    wanted = np.zeros((9, 8))
    lengths = np.zeros(9), np.zeros(8)
    weights = here.rarity(), there.rarity()
    for side, length, w in zip(sides, lengths, weights, strict=True):
        np.add.at(length, side.x, w**2)
    for (x, r, y), w in zip(all_statements(here), weights[0], strict=True):
        for (x_, r_, y_), w_ in zip(all_statements(there), weights[1], strict=True):
            if (r < 3) == (r_ < 4):
                share = w * w_ * (1 + W[r, r_]) / 2 * P[y, y_]
                wanted[x, x_] += share / np.sqrt(lengths[0][x] * lengths[1][x_])
    found = neighbour_agreement(here, there, csr_matrix(P), W, 8, block)
    np.testing.assert_allclose(found.toarray(), wanted, rtol=1e-4, atol=1e-7)


def test_relations_that_always_meet_agree_nearly():
    side = random_statements(3, 40, m=3, size=400)
    agreement = relation_agreement(side, side, csr_matrix(np.eye(40)))
    assert (np.diag(agreement) > 0.97).all()
    assert (agreement - np.diag(np.diag(agreement))).max() < 0.6


def test_one_round_of_labels_is_worked_by_hand():
    # 0 -r-> 1 <-s- 2, the label at 1; each relation has one of two triples: weight log 2.
    side = Statements.of(np.array([[0, 0, 1], [2, 1, 1]]), 3, 2)
    label = np.zeros((3, 2), dtype=np.float32)
    label[1] = [1, 0]
    seen = Views(side).propagate(label, 2, np.array([1, 0]))
    # Entities see the label as it is, along the relation; from 0 it comes back turned. All rows have unit length.
    s = np.sqrt(0.5)
    # In round 2 entity 1 hears from 0 and 2, turned, and from the inverse relations, which have heard of it: as it was.
    np.testing.assert_allclose(seen[[0, 2]], [[0, 0, 1, 0, 0, 0]] * 2, atol=1e-6)
    np.testing.assert_allclose(seen[1], np.array([1, 0, 0, 0, s, s]) / np.sqrt(2), atol=1e-6)
