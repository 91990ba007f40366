"""Entity alignment finds what was renamed and shuffled, whatever the order in which graphs are given."""

import numpy as np
import pytest
from sklearn.base import clone

from headstart.errors import InputError
from headstart.relations.entity_alignment import EntityAlignment
from headstart.relations.triples import KnowledgeGraph

SMALL = {"n_dims": 128, "n_candidates": 50}


def names_of_triples(n=120, relations=6, degree=5, seed=0):
    """A random graph in which some entities are met more often than others."""
    rng = np.random.default_rng(seed)
    heads = rng.integers(n, size=n * degree)
    tails = (n * rng.random(n * degree) ** 2).astype(int)
    kinds = rng.integers(relations, size=n * degree)
    return [(f"e{h}", f"r{k}", f"e{t}") for h, k, t in zip(heads, kinds, tails, strict=True) if h != t]


def renamed(triples, seed=1):
    """The same graph under other names, in another order, and the true pairs."""
    rng = np.random.default_rng(seed)
    entities = sorted({name for h, _, t in triples for name in (h, t)})
    new = dict(zip(entities, (f"x{i}" for i in rng.permutation(len(entities))), strict=True))
    kinds = sorted({r for _, r, _ in triples})
    called = dict(zip(kinds, (f"q{i}" for i in rng.permutation(len(kinds))), strict=True))
    shuffled = [triples[i] for i in rng.permutation(len(triples))]
    return [(new[h], called[r], new[t]) for h, r, t in shuffled], list(new.items())


@pytest.fixture(scope="module")
def task():
    triples = names_of_triples()
    other, truth = renamed(triples)
    return KnowledgeGraph.of(triples), KnowledgeGraph.of(other), truth


@pytest.fixture(scope="module")
def aligned(task):
    source, target, truth = task
    return EntityAlignment(**SMALL).fit(source, target, truth[::15])


def as_dict(alignment):
    return {source: (target, confidence) for source, target, confidence in alignment.pairs_.itertuples(index=False)}


def test_a_renamed_and_shuffled_graph_is_aligned_exactly(task, aligned):
    source, _, truth = task
    assert len(truth[::15]) == 8
    assert {name: pair[0] for name, pair in as_dict(aligned).items()} == dict(truth)
    rest = [pair for i, pair in enumerate(truth) if i % 15]
    for candidates, size in (("tested", len(rest)), ("all", len(source))):
        scored = aligned.hits(rest, at=(1, 5), candidates=candidates)
        assert (scored.hits, scored.mrr, scored.n_candidates) == ({1: 1.0, 5: 1.0}, 1.0, size)


def test_a_graph_with_edges_missing_is_aligned_better_with_neighbours(task):
    triples = names_of_triples()
    other, truth = renamed(triples)
    rng = np.random.default_rng(2)
    source = KnowledgeGraph.of([t for t in triples if rng.random() < 0.75], entities=[a for a, _ in truth])
    target = KnowledgeGraph.of([t for t in other if rng.random() < 0.75], entities=[b for _, b in truth])
    rest = [pair for i, pair in enumerate(truth) if i % 8]
    plain, refined = (
        EntityAlignment(n_refinements=n, **SMALL).fit(source, target, truth[::8]).hits(rest).hits[1] for n in (0, 5)
    )
    assert refined > plain + 0.05


def test_the_order_of_entities_and_triples_changes_nothing(task, aligned):
    source, target, truth = task
    rng = np.random.default_rng(3)
    turned = []
    for graph in (source, target):
        place = rng.permutation(len(graph))
        names = [""] * len(graph)
        for old, new in enumerate(place):
            names[new] = graph.entities[old]
        triples = graph.triples[rng.permutation(len(graph.triples))]
        turned.append(
            KnowledgeGraph(
                names, graph.relations, np.stack([place[triples[:, 0]], triples[:, 1], place[triples[:, 2]]], axis=1)
            )
        )
    again = EntityAlignment(**SMALL).fit(*turned, truth[::15][::-1])
    assert as_dict(again) == as_dict(aligned)
    assert again.pairs_["source"].tolist() == [name for name in turned[0].entities if name in as_dict(again)]


def test_the_same_seed_gives_the_same_answer(task, aligned):
    source, target, truth = task
    again = clone(aligned).fit(source, target, truth[::15])
    assert (again.confidence_ != aligned.confidence_).nnz == 0
    other = clone(aligned).set_params(random_state=1).fit(source, target, truth[::15])
    assert (other.confidence_ != aligned.confidence_).nnz > 0


@pytest.mark.parametrize("one_to_one", ["mutual", "greedy", "assigned"])
def test_seeds_stay_pairs_even_when_they_are_wrong(task, one_to_one):
    source, target, truth = task
    wrong = [(truth[0][0], truth[1][1]), (truth[1][0], truth[0][1]), *truth[2::15]]
    alignment = EntityAlignment(one_to_one=one_to_one, **SMALL).fit(source, target, wrong)
    found = as_dict(alignment)
    assert [found[a] for a, _ in wrong] == [(b, 1.0) for _, b in wrong]
    assert alignment.pairs_["target"].is_unique
    assert alignment.ranking([truth[0][0]], 3)["target"].tolist() == [truth[1][1]]


def test_names_and_positions_are_the_same_pairs(task, aligned):
    source, target, truth = task
    places = np.stack([source.find([a for a, _ in truth[::15]]), target.find([b for _, b in truth[::15]])], axis=1)
    assert as_dict(EntityAlignment(**SMALL).fit(source, target, places)) == as_dict(aligned)
    by_name, by_place = aligned.ranking(["e7"], 4), aligned.ranking(source.find(["e7"]), 4)
    assert by_name.equals(by_place)
    assert by_name["confidence"].is_monotonic_decreasing


def test_the_coupling_has_mass_one_and_the_pairs(task, aligned):
    source, target, truth = task
    assert aligned.coupling_.shape == (len(source), len(target))
    assert aligned.coupling_.mass == pytest.approx(1)
    rows = source.find([a for a, _ in truth])
    best = np.asarray(aligned.coupling_.matrix.tocsr()[rows].argmax(axis=1)).ravel()
    assert [target.entities[i] for i in best] == [b for _, b in truth]


def test_equal_candidates_rank_the_true_one_last():
    star = KnowledgeGraph.of([("hub", "has", leaf) for leaf in "abcd"])
    alignment = EntityAlignment(**SMALL).fit(star, star, [("hub", "hub")])
    scored = alignment.hits([(leaf, leaf) for leaf in "abcd"], at=(1, 4))
    assert (scored.hits, scored.mrr) == ({1: 0.0, 4: 1.0}, 0.25)


def test_entities_that_no_label_reaches_have_no_partner(task):
    _, target, truth = task
    island = KnowledgeGraph.of([*names_of_triples(), ("i", "unheard of", "j")])
    alignment = EntityAlignment(**SMALL).fit(island, target, truth[::15])
    assert not {"i", "j"} & set(alignment.pairs_["source"])
    assert alignment.ranking(["i"]).empty


def refused(words, *graphs, pairs=None, **settings):
    with pytest.raises(InputError, match=words) as error:
        EntityAlignment(**settings).fit(*graphs, pairs=pairs)
    assert "\n" not in str(error.value)


def test_wrong_input_is_refused_in_one_line(task):
    source, target, truth = task
    (a, b), (c, _) = truth[:2]
    refused("source: no entity 'nobody'", source, target, pairs=[("nobody", b)])
    refused("did you mean 'e1'", source, target, pairs=[("E1", b)])
    refused(f"target entity '{b}' comes twice", source, target, pairs=[(a, b), (c, b)])
    refused(f"source entity '{a}' comes twice", source, target, pairs=[(a, b), (a, truth[1][1])])
    refused("from 0 to", source, target, pairs=np.array([[0, 100_000]]))
    refused("at least one", source, target, pairs=[])
    refused("list of", source, target, pairs=["ab"])
    refused("no pairs are given, and there are no literals in source and target", source, target)
    refused("needs literals", source, target, pairs=[(a, b)], method="both")
    refused("needs pairs", source, target, method="structure")
    refused("none in target", source, KnowledgeGraph.of([], entities=["x"]), pairs=[(a, "x")])
    refused("no method 'magic'", source, target, method="magic")
    refused("temperature", source, target, pairs=[(a, b)], temperature=0.0)
    with pytest.raises(InputError, match="this one has none"):
        KnowledgeGraph.of([])


def test_a_graph_refuses_names_that_come_twice_and_positions_that_are_not_there():
    with pytest.raises(InputError, match="twice there is 'a'"):
        KnowledgeGraph(["a", "a"], ["r"], np.array([[0, 0, 1]]))
    with pytest.raises(InputError, match="beyond"):
        KnowledgeGraph(["a", "b"], ["r"], np.array([[0, 1, 1]]))
    with pytest.raises(InputError, match="three parts"):
        KnowledgeGraph.of([("a", "b")])


def test_where_all_are_known_nothing_is_left_to_find(task):
    source, target, truth = task
    alignment = EntityAlignment(**SMALL).fit(source, target, truth)
    assert as_dict(alignment) == {a: (b, 1.0) for a, b in truth}
