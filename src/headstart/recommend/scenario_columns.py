"""Tables of categories and numbers as codes and standardised values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from headstart.errors import InputError, unknown_name


@dataclass(frozen=True, eq=False)
class Columns:
    """What a table's columns hold, as learned from training rows.

    Parameters
    ----------
    fields : list of str
        Columns of categories.
    categories : list of str arrays
        The known values of each, sorted.
    numbers : list of str
        Columns of numbers.
    means, scales : arrays of shape (numbers,)
    """

    fields: list[str]
    categories: list[np.ndarray]
    numbers: list[str]
    means: np.ndarray
    scales: np.ndarray

    @classmethod
    def of(cls, X: pd.DataFrame, numbers: Sequence[str] | None = None) -> Columns:
        """Learn from a table; by default columns of floats are numbers, and all others categories.

        Raises
        ------
        InputError
            When a named column is not there, or one of numbers holds something else.
        """
        named = [str(name) for name in X.columns]
        if numbers is None:
            numbers = [name for name in named if X[name].dtype.kind == "f"]
        for name in numbers:
            if name not in named:
                raise InputError(unknown_name("column", name, named, "numbers"))
        fields = [name for name in named if name not in numbers]
        values = _numbers(X, list(numbers))
        # A column without any number is zero throughout.
        count = np.maximum(np.isfinite(values).sum(axis=0), 1)
        means = np.nansum(values, axis=0) / count
        scales = np.sqrt(np.nansum((values - means) ** 2, axis=0) / count)
        categories = [np.unique(_texts(X[name])[~X[name].isna().to_numpy()]) for name in fields]
        return cls(fields, categories, list(numbers), means, np.where(scales > 0, scales, 1.0))

    @property
    def starts(self) -> np.ndarray:
        """Where each column's categories begin in one table of all; the first of each is the unknown one."""
        return np.cumsum([0, *(1 + len(known) for known in self.categories)])

    def read(self, X: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return codes, int shape (n, fields), and standardised numbers, shape (n, numbers).

        What is missing or new is the unknown category, and a missing number the mean.

        Raises
        ------
        InputError
            When a column is not there.
        """
        for name in (*self.fields, *self.numbers):
            if name not in X.columns:
                raise InputError(unknown_name("column", name, X.columns, "X"))
        codes = np.empty((len(X), len(self.fields)), dtype=np.int64)
        for j, (name, known, start) in enumerate(zip(self.fields, self.categories, self.starts[:-1], strict=True)):
            at = pd.Index(known).get_indexer(pd.Index(_texts(X[name])))
            codes[:, j] = start + np.where(X[name].isna(), 0, at + 1)
        values = (_numbers(X, self.numbers) - self.means) / self.scales
        return codes, np.where(np.isfinite(values), values, 0.0).astype(np.float32)


def _texts(column: pd.Series) -> np.ndarray:
    return column.astype(str).to_numpy().astype(str)


def _numbers(X: pd.DataFrame, names: list[str]) -> np.ndarray:
    for name in names:
        if X[name].dtype.kind not in "fiub":
            raise InputError(f"column {name!r} holds no numbers; leave it out of numbers, and it holds categories")
    return X[names].to_numpy(dtype=float).reshape(len(X), len(names))


def scenario_of(X: Any, scenario: Any) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the table without the scenario, and each row's scenario as text, shape (n,).

    Parameters
    ----------
    scenario : str or array of shape (n,)
        A column's name, or the values themselves.

    Raises
    ------
    InputError
        When X is no table with named columns, or scenario neither a column nor one value a row.
    """
    if not isinstance(X, pd.DataFrame):
        raise InputError(f"X must be a table with named columns (a DataFrame), not {type(X).__name__}")
    X = X.rename(columns=str)
    if isinstance(scenario, str):
        if scenario not in X.columns:
            raise InputError(unknown_name("column", scenario, X.columns, "scenario"))
        return X.drop(columns=scenario), _texts(X[scenario])
    if scenario is None:
        raise InputError("say of which scenario each row is: scenario= the name of a column, or one value a row")
    found = _texts(pd.Series(np.asarray(scenario).ravel()))
    if len(found) != len(X):
        raise InputError(f"scenario names {len(found)} rows, but X has {len(X)}; give one value a row")
    return X, found
