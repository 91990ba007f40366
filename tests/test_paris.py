"""PARIS is its formula, worked by hand, and finds graphs by their literals."""

import numpy as np
import pytest

from headstart.relations.entity_alignment import EntityAlignment
from headstart.relations.paris import paris
from headstart.relations.triples import KnowledgeGraph

HERE = KnowledgeGraph.of(
    [("c", "knows", "a"), ("c", "knows", "b"), ("a", "knows", "b")],
    [("a", "name", "Ada"), ("b", "name", "Bob")],
    entities="abc",
)
THERE = KnowledgeGraph.of(
    [("C", "kennt", "A"), ("C", "kennt", "B"), ("A", "kennt", "B")],
    [("A", "Name", " ada"), ("B", "Name", "BOB ")],
    entities="ABC",
)


def test_the_first_round_is_the_formula_by_hand():
    # Only the names tell: f^-1(name) = 2 values / 2 statements = 1, and P(name in Name) = 0.1 both ways.
    wanted = np.diag([1 - 0.9 * 0.9, 1 - 0.9 * 0.9, 0])
    np.testing.assert_allclose(paris(HERE, THERE, n_rounds=1).toarray(), wanted)


def test_the_second_round_is_the_formula_by_hand():
    # a = A and b = B with p = 0.19. Names meet wherever both sides are paired, so P(name in Name) = 1: a = A and b = B
    # are certain. "knows" meets "kennt" on (a, b), the only statement whose both ends are paired: P = 1 too.
    # f^-1(knows) = 2 known people / 3 statements.
    p, f = 0.19, 2 / 3
    one = (1 - f * p) ** 2
    # c and C know both; c shares b with A, and a shares B with C. b is known by a, as B is by A.
    wanted = np.array([[1, 0, 1 - one], [0, 1, 0], [1 - one, 0, 1 - one**2]])
    found = paris(HERE, THERE, n_rounds=2).toarray()
    # f^-1 of the inverse is 2 who know / 3: b = B gains nothing, as it is certain.
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_relations_that_never_meet_lose_their_say():
    literals = [(f"e{i}", "code", str(i)) for i in range(6)] + [(f"e{i}", "age", str(50 + i)) for i in range(6)]
    others = [(f"x{i}", "id", str(i)) for i in range(6)] + [(f"x{i}", "speed", str(51 + i)) for i in range(6)]
    found = paris(KnowledgeGraph.of([], literals), KnowledgeGraph.of([], others))
    # Ages equal the speeds of others by chance; no believed pair bears that out, so it is forgotten.
    np.testing.assert_allclose(found.toarray(), np.eye(6), atol=1e-3)


def test_a_value_that_everyone_shares_says_nothing():
    here = KnowledgeGraph.of([], [(f"e{i}", "sex", "f") for i in range(4)])
    assert paris(here, here, most_shared=15).nnz == 0
    assert paris(here, here, n_rounds=1, most_shared=16).nnz == 16


@pytest.fixture(scope="module")
def literate():
    """A graph whose entities have literals in part, renamed; some values are wrong."""
    rng = np.random.default_rng(0)
    n = 150
    triples = [(f"e{h}", f"r{k}", f"e{t}") for h, k, t in zip(*rng.integers([n, 5, n], size=(700, 3)).T, strict=True)]
    place = rng.permutation(n)
    other = [(f"x{place[int(h[1:])]}", f"q{r[1:]}", f"x{place[int(t[1:])]}") for h, r, t in triples]
    known = rng.random(n) < 0.5
    here = KnowledgeGraph.of(
        triples, [(f"e{i}", "born", str(1000 + i)) for i in range(n) if known[i]], entities=[f"e{i}" for i in range(n)]
    )
    there = KnowledgeGraph.of(
        other,
        [(f"x{place[i]}", "year", str(1000 + i)) for i in range(n) if known[i]],
        entities=[f"x{i}" for i in range(n)],
    )
    return here, there, [(f"e{i}", f"x{place[i]}") for i in range(n)], known


def test_without_pairs_literals_find_them(literate):
    here, there, truth, known = literate
    alignment = EntityAlignment().fit(here, there)
    assert alignment.method_ == "literals"
    assert alignment.hits([pair for pair, has in zip(truth, known, strict=True) if has], candidates="all").hits[1] == 1
    # Relations carry it to those without a literal.
    rest = [pair for pair, has in zip(truth, known, strict=True) if not has]
    assert alignment.hits(rest, candidates="all").hits[1] > 0.9


def test_pairs_of_literals_are_seeds_of_the_structure(literate):
    here, there, truth, _ = literate
    alignment = EntityAlignment("both", n_dims=128).fit(here, there)
    assert len(alignment.seeds_) > 60
    assert {(here.entities[i], there.entities[j]) for i, j in alignment.seeds_} <= set(truth)
    assert alignment.hits(truth, candidates="all").hits[1] > 0.97
    given = EntityAlignment("both", n_dims=128).fit(here, there, [truth[0]])
    assert set(given.pairs_.loc[given.pairs_["source"] == "e0", "target"]) == {truth[0][1]}
