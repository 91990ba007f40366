"""The common checks: what every method must do, run over the whole catalogue by the tests.

A new method passes `check_method(MyMethod())` before it enters the catalogue.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge

from headstart.domain import Domain, Task
from headstart.errors import HeadstartError, InputError, NeedsError
from headstart.method import Method, learn_and_extract
from headstart.transfer import Transfer


def example(
    task: Task = "classification", labelled: int = 12, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows (110, 4), labels with missing ones, and domains of a shifted pair, in mixed order."""
    rng = np.random.default_rng(seed)
    X = np.vstack([rng.normal(size=(60, 4)), 0.7 + rng.normal(size=(50, 4)) @ np.diag([1.5, 1, 1, 0.5])])
    y = X @ [1.0, 1.0, 0.5, 0.0] + 0.1 * rng.normal(size=110)
    if task == "classification":
        y = (y > np.repeat([0.0, 1.5], [60, 50])).astype(float)
    y[60 + labelled :] = np.nan
    domain = np.repeat(["source", "target"], [60, 50])
    order = rng.permutation(110)
    return X[order], y[order], domain[order]


def learner_for(task: Task) -> Any:
    """Return a learner that suits every method."""
    return LogisticRegression(max_iter=1000) if task == "classification" else Ridge()


def fitted(method: Method, data: Any = None, task: Task = "classification") -> Transfer:
    """Fit a method on the example."""
    X, y, domain = example(task) if data is None else data
    return Transfer(clone(method), learner_for(task)).fit(X, y, domain=domain)


def check_method(method: Method) -> None:
    """Run every common check on a method.

    Raises
    ------
    AssertionError
        Naming the check that failed.

    Examples
    --------
    >>> from headstart.features import CORAL
    >>> check_method(CORAL())
    """
    for check in CHECKS:
        try:
            check(method)
        except AssertionError as error:
            raise AssertionError(f"{type(method).__name__}: {check.__name__}: {error}") from error


def check_constructor_only_stores(method: Method) -> None:
    """The constructor's parameters, and nothing else, are attributes."""
    parameters = set(inspect.signature(type(method)).parameters)
    _require(set(vars(type(method)())) == parameters, "the constructor must store its parameters and nothing else")
    _require(repr(clone(method)) == repr(method), "a clone must look like the original")


def check_declares_family_and_needs(method: Method) -> None:
    """Family, needs and a docstring with reference or example are there."""
    _require(bool(method.family), "needs a family")
    _require(bool(method.needs.tasks), "needs at least one task")
    _require("Examples" in (type(method).__doc__ or ""), "needs a docstring with an example")


def check_fit_leaves_parameters(method: Method) -> None:
    """Fitting changes no parameter."""
    transfer = fitted(method)
    _require(repr(transfer.method) == repr(method), "fit changed a parameter")
    _require(vars(transfer.method).keys() == vars(clone(method)).keys(), "fit left attributes on its argument")


def check_fit_leaves_inputs(method: Method) -> None:
    """Fitting and predicting edit nothing they were given."""
    X, y, domain = example()
    copies = X.copy(), y.copy(), domain.copy()
    fitted(method, (X, y, domain)).predict(X)
    for given, copy in zip((X, y, domain), copies, strict=True):
        equal = np.array_equal(given, copy, equal_nan=given.dtype.kind == "f")
        _require(equal, "an input was edited")


def check_order_of_rows(method: Method) -> None:
    """Shuffled rows give the same answers, in the caller's order."""
    for task in method.needs.tasks:
        X, y, domain = example(task)
        first = fitted(method, (X, y, domain), task).predict(X)
        order = np.random.default_rng(1).permutation(len(X))
        second = fitted(method, (X[order], y[order], domain[order]), task).predict(X[order])
        _require(_close(first[order], second, 1e-4), f"the order of the rows matters ({task})")


def check_same_seed_same_answer(method: Method) -> None:
    """The same random_state gives the same answer, and no global generator is touched."""
    seeded = clone(method)
    if "random_state" in seeded.get_params():
        seeded.set_params(random_state=7)
    before = np.random.get_state(legacy=False)  # noqa: NPY002
    X = example()[0]
    _require(np.array_equal(_soft(fitted(seeded), X), _soft(fitted(seeded), X)), "two fits differ")
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    _require(repr(before) == repr(after), "the global generator was used")


def check_missing_labels(method: Method) -> None:
    """NaN, None and pandas.NA all mean that a label is not known, in source and target."""
    X, y, domain = example()
    y[np.flatnonzero(domain == "source")[:5]] = np.nan
    as_none = np.array([None if np.isnan(v) else int(v) for v in y], dtype=object)
    as_na = pd.Series([pd.NA if np.isnan(v) else int(v) for v in y], dtype="Int64")
    answers = [_soft(fitted(method, (X, labels, domain)), X) for labels in (y, as_none, as_na)]
    _require(all(np.array_equal(answers[0], other) for other in answers[1:]), "missing labels are read differently")


def check_text_labels(method: Method) -> None:
    """Classes may have names."""
    X, y, domain = example()
    named = np.array([None if np.isnan(v) else ("no", "yes")[int(v)] for v in y], dtype=object)
    answers = fitted(method, (X, named, domain)).predict(X)
    numbered = fitted(method, (X, y, domain)).predict(X)
    _require(np.array_equal(answers == "yes", numbered == 1), "named classes give other answers than numbered ones")


def check_class_missing_in_target(method: Method) -> None:
    """A class without a labelled target row is no obstacle, with two classes and with three."""
    X, y, domain = example()
    three = np.where(np.isnan(y), np.nan, y + (X[:, 3] > 0))
    for labels in (y, three):
        one = labels.copy()
        one[(domain == "target") & (labels == 1)] = np.nan
        predicted = fitted(method, (X, one, domain)).predict(X)
        _require(set(predicted) <= {0, 1, 2}, "predicted a class that does not exist")


def check_no_target_labels(method: Method) -> None:
    """Without target labels a method works, or says that it needs some."""
    X, y, domain = example()
    y[domain == "target"] = np.nan
    if method.needs.target_labels:
        _refuses(NeedsError, "labelled target rows", lambda: fitted(method, (X, y, domain)))
    else:
        _require(len(fitted(method, (X, y, domain)).predict(X)) == len(X), "fails without target labels")


def check_float32(method: Method) -> None:
    """Rows in float32 are not silently widened on the way to the learner."""
    X, y, domain = example()
    transfer = fitted(method, (X.astype(np.float32), y, domain))
    inner = getattr(transfer.predictor_, "model", transfer.predictor_)
    if hasattr(inner, "coef_"):
        _require(inner.coef_.dtype == np.float32, f"the learner was fitted on {inner.coef_.dtype}")


def check_row_alone(method: Method) -> None:
    """A row alone gets the prediction it gets among others."""
    X, y, domain = example()
    transfer = fitted(method, (X, y, domain))
    together = _soft(transfer, X[:5])
    alone = np.concatenate([_soft(transfer, X[i : i + 1]) for i in range(5)])
    _require(_close(together, alone, 1e-10), "a row alone is predicted otherwise")


def check_constant_columns(method: Method) -> None:
    """A column that never changes is harmless."""
    X, y, domain = example()
    X = np.column_stack([X, np.full(len(X), 3.0), np.where(domain == "target", 1.0, 0.0)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        answers = _soft(fitted(method, (X, y, domain)), X)
    _require(bool(np.isfinite(answers).all()), "a constant column gives numbers that are not finite")


def check_clear_errors(method: Method) -> None:
    """What can't be learned from is refused in one line."""
    X, y, domain = example()
    holed = X.copy()
    holed[3, 1] = np.nan
    _refuses(InputError, "NaN", lambda: fitted(method, (holed, y, domain)))
    infinite = X.copy()
    infinite[3, 1] = np.inf
    _refuses(InputError, "infinity", lambda: fitted(method, (infinite, y, domain)))
    _refuses(InputError, "target", lambda: fitted(method, (X, y, np.full(len(X), "source"))))
    _refuses(InputError, "no source", lambda: fitted(method, (X, y, np.full(len(X), "target"))))
    _refuses(InputError, "labels", lambda: fitted(method, (X, y[:-1], domain)))
    _refuses(InputError, "columns", lambda: fitted(method).predict(X[:, :2]))
    _refuses(InputError, "one class", lambda: fitted(method, (X, np.where(np.isnan(y), y, 1.0), domain)))
    unlabelled = np.where(domain == "source", np.nan, y)
    _refuses(HeadstartError, "source", lambda: fitted(method, (X, unlabelled, domain)))


def check_knowledge_says_what_it_holds(method: Method) -> None:
    """Knowledge says whether source rows are inside, and that is true."""
    X, y, domain = example()
    rows = domain == "source"
    source = Domain(X[rows], y[rows], name="source")
    knowledge, _ = learn_and_extract(clone(method), source, learner_for("classification"))
    arrays = [array for array in knowledge.arrays.values() if isinstance(array, np.ndarray)]
    held = any(row.tobytes() in array.tobytes() for row in source.X for array in arrays)
    _require(knowledge.holds_source_rows == held, "the manifest is wrong about source rows")
    _require(knowledge.holds_source_rows == method.needs.source_rows, "the needs are wrong about source rows")


CHECKS: tuple[Callable[[Method], None], ...] = (
    check_constructor_only_stores,
    check_declares_family_and_needs,
    check_fit_leaves_parameters,
    check_fit_leaves_inputs,
    check_order_of_rows,
    check_same_seed_same_answer,
    check_missing_labels,
    check_text_labels,
    check_class_missing_in_target,
    check_no_target_labels,
    check_float32,
    check_row_alone,
    check_constant_columns,
    check_clear_errors,
    check_knowledge_says_what_it_holds,
)


def _soft(transfer: Transfer, X: np.ndarray) -> np.ndarray:
    return transfer.predict_proba(X) if hasattr(transfer, "predict_proba") else transfer.predict(X)


def _close(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance))


def _require(truth: bool, message: str) -> None:
    if not truth:
        raise AssertionError(message)


def _refuses(kind: type[Exception], word: str, work: Callable[[], Any]) -> None:
    try:
        work()
    except kind as error:
        said = str(error)
        _require(word.casefold() in said.casefold(), f"the error says {said!r}, without {word!r}")
        _require("\n" not in said, "the error takes more than one line")
    else:
        raise AssertionError(f"accepted what it should refuse ({word})")
