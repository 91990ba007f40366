"""What is carried is the weighted mean, or the weighted frequencies, of what is known."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from headstart.errors import InputError
from headstart.relations.carry_over import carry_over
from headstart.relations.entity_alignment import EntityAlignment
from headstart.relations.triples import KnowledgeGraph

CONFIDENCE = csr_matrix([[0.5, 0.0, 0.0], [0.25, 1.0, 0.0], [0.25, 0.0, 0.0]])


def test_quantities_are_weighted_means_of_those_that_are_known():
    carried = carry_over(CONFIDENCE, [2.0, 8.0, None])
    np.testing.assert_allclose(carried.values, [(0.5 * 2 + 0.25 * 8) / 0.75, 8.0, np.nan])
    np.testing.assert_allclose(carried.weight, [0.75, 1, 0])
    assert carried.coverage == pytest.approx(2 / 3)
    assert carried.classes is None


def test_classes_are_weighted_frequencies():
    carried = carry_over(CONFIDENCE, np.array(["b", "a", "a"]))
    assert carried.classes.tolist() == ["a", "b"]
    np.testing.assert_allclose(carried.frequencies, [[0.5, 0.5], [1, 0], [0, 0]])
    assert carried.values[1:].tolist() == ["a", None]
    assert repr(carried) == "Carried(2 classes to 2 of 3 target entities, 67%)"


def test_truths_are_classes():
    carried = carry_over(CONFIDENCE, [True, False, False])
    assert carried.classes.tolist() == [False, True]
    assert carried.values.tolist()[1:] == [False, None]


def test_values_by_name_arrive_at_the_partner():
    here = KnowledgeGraph.of([("Rom", "liegt in", "Italien"), ("Paris", "liegt in", "Frankreich")])
    there = KnowledgeGraph.of([("Paris", "in", "France"), ("Rome", "in", "Italy")])
    alignment = EntityAlignment().fit(here, there, [("Rom", "Rome"), ("Paris", "Paris")])
    carried = alignment.carry({"Italien": 59.0, "Frankreich": 68.0})
    arrived = dict(zip(there.entities, carried.values, strict=True))
    assert (arrived["Italy"], arrived["France"]) == (59.0, 68.0)
    assert np.isnan(arrived["Rome"])
    assert carried.coverage == 0.5


@pytest.mark.parametrize(("values", "words"), [([1.0], "1 values for 3"), ([None] * 3, "no value is known")])
def test_values_that_do_not_suit_are_refused(values, words):
    with pytest.raises(InputError, match=words):
        carry_over(CONFIDENCE, values)
