"""The common checks, over every method in the catalogue."""

import importlib
import pkgutil

import numpy as np
import pytest

import headstart
from headstart import Domain
from headstart.catalogue import ENTRIES
from headstart.checks import CHECKS, example, learner_for, pairs_in
from headstart.delivery import Plan, fit_together
from headstart.method import Method, RowMethod

FAMILIES = ("baselines", "instances", "features", "models", "models.fine_tuning")
#: Methods for tables; those that train networks have common checks of their own in test_strategies.py.
OF_TABLES = [entry for entry in ENTRIES if not entry.load().needs.items and "table" in entry.load().needs.reads]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("entry", OF_TABLES, ids=lambda entry: entry.name)
def test_every_method_passes_the_common_checks(entry, check):
    check(entry.load()())


def test_every_method_class_of_a_family_is_in_the_catalogue():
    known = {entry.load() for entry in ENTRIES}
    for family in FAMILIES:
        package = importlib.import_module(f"headstart.{family}")
        for module in pkgutil.iter_modules(package.__path__):
            contents = vars(importlib.import_module(f"headstart.{family}.{module.name}")).values()
            found = {c for c in contents if isinstance(c, type) and issubclass(c, Method)}
            concrete = {c for c in found if not c.__abstractmethods__ and c is not RowMethod}
            assert concrete <= known


def test_the_catalogue_table_has_a_line_for_every_method():
    table = headstart.methods()
    assert table.index.tolist() == [entry.name for entry in ENTRIES]
    assert not table.loc["regular-transfer", "source rows travel"]
    assert set(headstart.methods("baseline").index) == {"target-only", "source-only", "pooled"}


def test_an_unknown_method_names_the_close_ones():
    with pytest.raises(headstart.errors.NeedsError, match="did you mean 'coral'"):
        headstart.catalogue.find("corla")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("entry", OF_TABLES, ids=lambda entry: entry.name)
def test_a_model_of_every_method_is_saved_without_pickle_and_predicts_the_same_when_loaded(entry, tmp_path):
    method = entry.load()()
    task = method.needs.tasks[0]
    X, y, domain = example(task)
    pair = pairs_in(X, domain) if method.needs.pairs else np.full(len(X), np.nan)
    source, target = (
        Domain(X[domain == name], y[domain == name], name=name, task=task, pair=pair[domain == name])
        for name in ("source", "target")
    )
    model, _ = fit_together(method, learner_for(task), source, target, Plan(task))
    model.save(tmp_path / "model", check_on=X)
    again = headstart.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
