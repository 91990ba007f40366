"""Maps f between spaces, learned from where a coupling sends the source rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.errors import InputError, unknown_name
from headstart.mapping import AffineMap, Coupling, Map
from headstart.mapping.fit_maps import fit_affine, fit_kernel
from headstart.mapping.measures import Measure

FAMILIES = ("affine", "kernel")


def coupled_map(
    coupling: Coupling, source: Measure, target: Measure, f: str, alpha: float, random_state: int | None, dtype: Any
) -> Map:
    r"""Return the map of a family that comes nearest to sending each source row to its barycenter.

    .. math:: \min_{f}\; \sum_i a_i \Bigl\|f(x_i) - \sum_j \pi_{ij} x'_j / a_i\Bigr\|^2 + \alpha\,\Omega(f)

    Old rows and new ones go through the same f, so that what a learner was fitted on is what it meets again.

    Parameters
    ----------
    coupling : Coupling
        Of the rows that carry mass.
    source, target : Measure
    f : {"affine", "kernel"}
    alpha : float
        Weight of the ridge penalty; for "affine" in units of the source's mean variance a column.
    random_state : int, optional
        Choice of the landmarks of a kernel map.
    dtype : float type
        Of the affine map's numbers.
    """
    if f not in FAMILIES:
        raise InputError(unknown_name("family of maps f", f, FAMILIES))
    sends = coupling.source_mass > 0
    rows, images = source.rows[sends], coupling.barycenters(target.rows)[sends]
    mass = coupling.source_mass[sends]
    if f == "kernel":
        return fit_kernel(rows, images, mass, alpha, random_state=random_state)
    centered = rows - mass @ rows / mass.sum()
    unit = float(mass @ np.square(centered).mean(axis=1) / mass.sum())
    affine = fit_affine(rows, images, mass, alpha * (unit or 1.0))
    return AffineMap(affine.center.astype(dtype), affine.A.astype(dtype), affine.shift.astype(dtype))
