"""The common checks must be able to fail."""

from typing import ClassVar

import numpy as np
import pytest

from headstart import checks
from headstart.instances import InstanceMethod
from headstart.method import Needs


class Flat(InstanceMethod):
    """Weigh every row alike.

    Examples
    --------
    >>> Flat()
    Flat()
    """

    needs: ClassVar[Needs] = Needs()
    target_weight = 1.0

    def weigh(self, Xs, Xt, ys=None, yt=None):
        return np.ones(Xs.shape[0])


class EditsRows(Flat):
    def weigh(self, Xs, Xt, ys=None, yt=None):
        Xs[:] = 0
        return np.ones(Xs.shape[0])


class EditsParameter(Flat):
    def __init__(self, gamma=None):
        self.gamma = gamma

    def learn_source(self, source, learner):
        self.gamma = 1.0
        return super().learn_source(source, learner)


class DependsOnOrder(Flat):
    def weigh(self, Xs, Xt, ys=None, yt=None):
        return np.arange(Xs.shape[0]) ** 3.0


class UsesGlobalSeed(Flat):
    def weigh(self, Xs, Xt, ys=None, yt=None):
        return np.random.rand(Xs.shape[0])


class HidesRows(Flat):
    needs: ClassVar[Needs] = Needs(source_rows=False)


def test_a_right_method_passes():
    checks.check_method(Flat())


for wrong in (EditsRows, EditsParameter, DependsOnOrder, UsesGlobalSeed, HidesRows):
    wrong.__doc__ = Flat.__doc__


@pytest.mark.parametrize(
    ("method", "check"),
    [
        (DependsOnOrder, checks.check_order_of_rows),
        (UsesGlobalSeed, checks.check_same_seed_same_answer),
        (HidesRows, checks.check_knowledge_says_what_it_holds),
    ],
)
def test_a_wrong_method_fails_its_check(method, check):
    with pytest.raises(AssertionError):
        check(method())


def test_the_report_of_a_failure_names_method_and_check():
    with pytest.raises(AssertionError, match=r"DependsOnOrder: check_order_of_rows"):
        checks.check_method(DependsOnOrder())


def test_editing_the_inputs_is_caught():
    X, y, domain = checks.example()
    before = X.copy()
    checks.fitted(EditsRows(), (X, y, domain))
    # Transfer hands out copies, so even a careless method can't reach the caller's rows.
    np.testing.assert_array_equal(X, before)


def test_a_method_that_edits_its_parameters_leaves_the_callers_method_alone():
    checks.check_fit_leaves_parameters(EditsParameter())
