"""The common checks: what every method must do, run over the whole catalogue by the tests.

A new method passes `check_method(MyMethod())` before it enters the catalogue.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge

from headstart.domain import Domain, Task
from headstart.draws import canonical_order
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


def fitted(method: Method, data: Any = None, task: Task | None = None, **fit: Any) -> Transfer:
    """Fit a method on the example, or on other rows, labels and domains; without a task, on the method's first."""
    task = method.needs.tasks[0] if task is None else task
    X, y, domain = example(task) if data is None else data
    if method.needs.pairs and len(domain) == X.shape[0]:
        fit = {"pair": pairs_in(X, domain), **fit}
    return Transfer(clone(method), learner_for(task)).fit(X, y, domain=domain, **fit)


def pairs_in(X: Any, domain: np.ndarray, most: int = 15) -> np.ndarray:
    """Return made-up names of pairs, shape (n,): the first rows of each domain, in an order that the rows decide."""
    pair = np.full(X.shape[0], np.nan)
    for name in np.unique(domain):
        rows = np.flatnonzero(domain == name)
        first = rows[canonical_order(X[rows])[:most]]
        pair[first] = np.arange(len(first))
    return pair


def example_for(method: Method) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the example of a method's first task."""
    return example(method.needs.tasks[0])


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
    X, y, domain = example_for(method)
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
    X = example_for(method)[0]
    _require(np.array_equal(_soft(fitted(seeded), X), _soft(fitted(seeded), X)), "two fits differ")
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    _require(repr(before) == repr(after), "the global generator was used")


def check_missing_labels(method: Method) -> None:
    """NaN, None and pandas.NA all mean that a label is not known, in source and target."""
    X, y, domain = example_for(method)
    y[np.flatnonzero(domain == "source")[:5]] = np.nan
    as_none = np.array([None if np.isnan(v) else float(v) for v in y], dtype=object)
    as_na = pd.Series([pd.NA if np.isnan(v) else float(v) for v in y], dtype="Float64")
    answers = [_soft(fitted(method, (X, labels, domain)), X) for labels in (y, as_none, as_na)]
    _require(all(np.array_equal(answers[0], other) for other in answers[1:]), "missing labels are read differently")


def check_text_labels(method: Method) -> None:
    """Classes may have names."""
    if "classification" not in method.needs.tasks:
        return
    X, y, domain = example()
    named = np.array([None if np.isnan(v) else ("no", "yes")[int(v)] for v in y], dtype=object)
    answers = fitted(method, (X, named, domain)).predict(X)
    numbered = fitted(method, (X, y, domain)).predict(X)
    _require(np.array_equal(answers == "yes", numbered == 1), "named classes give other answers than numbered ones")


def check_class_missing_in_target(method: Method) -> None:
    """A class without a labelled target row is no obstacle, with two classes and with three."""
    if "classification" not in method.needs.tasks:
        return
    X, y, domain = example()
    three = np.where(np.isnan(y), np.nan, y + (X[:, 3] > 0))
    for labels in (y, three):
        one = labels.copy()
        one[(domain == "target") & (labels == 1)] = np.nan
        predicted = fitted(method, (X, one, domain)).predict(X)
        _require(set(predicted) <= {0, 1, 2}, "predicted a class that does not exist")


def check_no_target_labels(method: Method) -> None:
    """Without target labels a method works, or says that it needs some."""
    X, y, domain = example_for(method)
    y[domain == "target"] = np.nan
    if method.needs.target_labels:
        _refuses(NeedsError, "labelled target rows", lambda: fitted(method, (X, y, domain)))
    else:
        _require(len(fitted(method, (X, y, domain)).predict(X)) == len(X), "fails without target labels")


def check_float32(method: Method) -> None:
    """Rows in float32 are not silently widened on the way to the learner."""
    X, y, domain = example_for(method)
    transfer = fitted(method, (X.astype(np.float32), y, domain))
    inner = getattr(transfer.predictor_, "model", transfer.predictor_)
    if hasattr(inner, "coef_"):
        _require(inner.coef_.dtype == np.float32, f"the learner was fitted on {inner.coef_.dtype}")


def check_row_alone(method: Method) -> None:
    """A row alone gets the prediction it gets among others."""
    X, y, domain = example_for(method)
    transfer = fitted(method, (X, y, domain))
    together = _soft(transfer, X[:5])
    alone = np.concatenate([_soft(transfer, X[i : i + 1]) for i in range(5)])
    _require(_close(together, alone, 1e-10), "a row alone is predicted otherwise")


def check_constant_columns(method: Method) -> None:
    """A column that never changes is harmless."""
    X, y, domain = example_for(method)
    X = np.column_stack([X, np.full(len(X), 3.0), np.where(domain == "target", 1.0, 0.0)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        answers = _soft(fitted(method, (X, y, domain)), X)
    _require(bool(np.isfinite(answers).all()), "a constant column gives numbers that are not finite")


def check_clear_errors(method: Method) -> None:
    """What can't be learned from is refused in one line."""
    X, y, domain = example_for(method)
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
    if "classification" in method.needs.tasks:
        _refuses(InputError, "one class", lambda: fitted(method, (X, np.where(np.isnan(y), y, 1.0), domain)))
    unlabelled = np.where(domain == "source", np.nan, y)
    _refuses(HeadstartError, "source", lambda: fitted(method, (X, unlabelled, domain)))


def check_knowledge_says_what_it_holds(method: Method) -> None:
    """Knowledge says whether source rows are inside, and that is true."""
    task = method.needs.tasks[0]
    X, y, domain = example(task)
    rows = domain == "source"
    pair = pairs_in(X, domain)[rows] if method.needs.pairs else None
    source = Domain(X[rows], y[rows], name="source", task=task, pair=pair)
    knowledge, _ = learn_and_extract(clone(method), source, learner_for(task))
    arrays = [array for array in knowledge.arrays.values() if isinstance(array, np.ndarray)]
    held = any(row.tobytes() in array.tobytes() for row in source.X for array in arrays)
    _require(knowledge.holds_source_rows == held, "the manifest is wrong about source rows")
    _require(knowledge.holds_source_rows == method.needs.source_rows, "the needs are wrong about source rows")


def check_sample_weights(method: Method) -> None:
    """Weights of one change nothing; a row of weight zero is as good as absent; others matter."""
    for task in method.needs.tasks:
        X, y, domain = example(task)
        plain = _soft(fitted(method, (X, y, domain), task), X)
        ones = _soft(fitted(method, (X, y, domain), task, sample_weight=np.full(len(X), 1.0)), X)
        _require(_close(plain, ones, 1e-6), f"weights of one are not the same as none ({task})")
        weight = np.ones(len(X))
        weight[np.flatnonzero(domain == "source")[:20]] = 0.0
        kept = weight > 0
        pair = {"pair": pairs_in(X, domain)} if method.needs.pairs else {}
        zeros = _soft(fitted(method, (X, y, domain), task, sample_weight=weight, **pair), X)
        pair = {name: names[kept] for name, names in pair.items()}
        absent = _soft(fitted(method, (X[kept], y[kept], domain[kept]), task, **pair), X)
        _require(_close(zeros, absent, 1e-6), f"rows of weight zero have a say ({task})")
    _refuses(InputError, "weight", lambda: fitted(method, (X, y, domain), task, sample_weight=-weight))


def check_probabilities(method: Method) -> None:
    """With a learner that gives probabilities there are some; they sum to one and agree with the predictions."""
    if "classification" not in method.needs.tasks:
        return
    X = example()[0]
    transfer = fitted(method)
    probabilities = transfer.predict_proba(X)
    _require(_close(probabilities.sum(axis=1), np.ones(len(X)), 1e-6), "probabilities don't sum to one")
    likeliest = transfer.classes_[probabilities.argmax(axis=1)]
    _require(np.array_equal(likeliest, transfer.predict(X)), "the likeliest class is not the one predicted")


def check_sparse_rows(method: Method) -> None:
    """Sparse rows give the answers of dense ones, or are refused."""
    for task in method.needs.tasks:
        X, y, domain = example(task)
        X = np.where(np.abs(X) < 0.5, 0.0, X)
        if method.needs.dense:
            _refuses(NeedsError, "sparse", partial(fitted, method, (csr_matrix(X), y, domain), task))
            continue
        dense = _soft(fitted(method, (X, y, domain), task), X)
        sparse = _soft(fitted(method, (csr_matrix(X), y, domain), task), csr_matrix(X))
        _require(_close(dense, sparse, 1e-3), f"sparse rows are treated otherwise than dense ones ({task})")


def check_hard_cases(method: Method) -> None:
    """Few rows, one column, rows given twice, no overlap: finite predictions, or one line that says why not."""
    for task in method.needs.tasks:
        X, y, domain = example(task)
        source, target = np.flatnonzero(domain == "source"), np.flatnonzero(domain == "target")
        known = target[~np.isnan(y[target])]
        few = np.concatenate([source[:10], target])
        lone = np.concatenate([source, target[np.isnan(y[target])][:1]])
        scarce = np.concatenate([source, known[:1] if task == "regression" else _one_a_class(y, known)])
        far = X + 1000.0 * (domain == "target")[:, None]
        cases = {
            "one column": (X[:, :1], y, domain),
            "rows given twice": (np.repeat(X, 2, axis=0), np.repeat(y, 2), np.repeat(domain, 2)),
            "ten source rows": (X[few], y[few], domain[few]),
            "one target row": (X[lone], y[lone], domain[lone]),
            "one labelled target row a class": (X[scarce], y[scarce], domain[scarce]),
            "all rows the same": (np.ones_like(X), y, domain),
            "no overlap": (far, y, domain),
        }
        for name, (rows, labels, domains) in cases.items():
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                warnings.simplefilter("ignore", UserWarning)
                try:
                    answers = _soft(fitted(method, (rows, labels, domains), task), rows)
                except HeadstartError as error:
                    _require("\n" not in str(error), f"{name}: the error takes more than one line")
                    continue
            _require(bool(np.isfinite(answers).all()), f"{name}: predictions are not finite ({task})")


def _one_a_class(y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.array([rows[y[rows] == label][0] for label in np.unique(y[rows])])


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
    check_sample_weights,
    check_probabilities,
    check_sparse_rows,
    check_hard_cases,
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
