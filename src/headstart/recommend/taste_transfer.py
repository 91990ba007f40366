"""TasteTransfer: what methods share that carry tastes from users who stand in both domains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix

from headstart.errors import NeedsError
from headstart.recommend.base import Arrived, CrossDomainMethod
from headstart.recommend.factorization import MatrixFactorization, Preferences, RatingTastes
from headstart.recommend.histories import Histories

#: Shared users below which a map is not fitted.
LEAST_SHARED = 10


@dataclass(frozen=True, eq=False)
class SharedTastes:
    """The users who stand in both domains, and how tastes are read off their histories.

    Attributes
    ----------
    there, here : Preferences or RatingTastes
        Of the sources, and of the target.
    columns : slice
        Of the target's items in a history.
    elsewhere, at_target : csr_matrix of shape (shared users, items)
        What they did in the sources, and in the target.
    """

    there: Preferences | RatingTastes
    here: Preferences | RatingTastes
    columns: slice
    elsewhere: csr_matrix
    at_target: csr_matrix


class TasteTransfer(CrossDomainMethod):
    """A method that factorises each domain by itself, and learns from shared users how tastes are carried."""

    # Twice as many as a map takes: some of them are held out.
    least_shared: ClassVar[int] = 2 * LEAST_SHARED

    def refuses(self, learner: Any) -> str | None:
        """Say that the learner must factorise."""
        if isinstance(learner, MatrixFactorization):
            return None
        return f"maps tastes, and {type(learner).__name__} finds none; take MatrixFactorization"

    def at_source(self, histories: Histories, learner: Any) -> dict[str, Any]:
        """Factorise the sources."""
        return {"tastes": learner.factorise(histories)}

    def shared(self, arrived: Arrived, learner: Any) -> SharedTastes:
        """Factorise the target, and return the users who stand in both domains.

        Raises
        ------
        NeedsError
            When there are fewer than ten.
        """
        histories, H = arrived.histories, arrived.histories.matrix
        span = histories.span(histories.target)
        here = learner.factorise(histories.only(histories.target))
        elsewhere = without_columns(H, span)
        both = np.flatnonzero(np.diff(elsewhere.indptr).astype(bool) & histories.active(histories.target))
        require_shared(both, histories, type(self).__name__)
        at_target = csr_matrix(H[both][:, span])
        return SharedTastes(arrived.learned["tastes"], here, span, csr_matrix(elsewhere[both]), at_target)


def without_columns(history: csr_matrix, columns: slice) -> csr_matrix:
    """Return histories without what was done in some columns; the target's are the last.

    The columns that are left are those of the sources, in order.
    """
    if columns.stop != history.shape[1]:
        raise ValueError("the target's columns are the last")
    return csr_matrix(history[:, : columns.start])


def require_shared(users: np.ndarray, histories: Histories, name: str) -> None:
    """Refuse to learn a map from fewer than ten users.

    Raises
    ------
    NeedsError
    """
    if len(users) < LEAST_SHARED:
        raise NeedsError(
            f"{name} learns from users who stand in {' or '.join(histories.sources)} and in {histories.target}, and "
            f"there are {len(users)}; it takes {LEAST_SHARED}. CodebookTransfer needs no shared user"
        )
