"""The labelled rows that count, for methods that go through them one by one."""

from __future__ import annotations

from headstart.domain import Domain
from headstart.errors import NeedsError


def counted(domain: Domain, name: str) -> Domain:
    """Return the labelled rows whose weight is above zero.

    Raises
    ------
    NeedsError
        When there is none.

    Examples
    --------
    >>> import numpy as np
    >>> counted(Domain(np.eye(3), [0, 1, None], weight=[1.0, 0.0, 1.0]), "example")
    Domain('target', 1 rows x 3 columns, 1 labelled, classification)
    """
    labelled = domain.labelled_rows()
    if labelled.weight is not None:
        labelled = labelled.rows(labelled.weight > 0)
    if not len(labelled):
        raise NeedsError(f"{name}: no labelled row of {domain.name} has a weight above zero; there is nothing to learn")
    return labelled
