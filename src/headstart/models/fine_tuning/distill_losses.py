"""What a student is taught by a teacher's answers and features. Only what trains with torch imports this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn.functional import huber_loss, kl_div, log_softmax, mse_loss

if TYPE_CHECKING:
    from headstart.models.fine_tuning.training import Step


class Taught(nn.Module):
    """The loss of a step with a teacher's part in it.

    Parameters
    ----------
    kind : {"logits", "hints", "distance", "angle"}
    told : array of shape (n, k) or (n, d)
        Of each row of the training: the teacher's probabilities at the temperature ("logits"), or its features.
    weight : float
        The teacher's share of the loss ("logits"), or the factor of what is added to it.
    temperature : float
    width : int
        Columns of the student's features.
    """

    told: torch.Tensor

    def __init__(self, kind: str, told: np.ndarray, weight: float, temperature: float, width: int) -> None:
        super().__init__()
        self.kind = kind
        self.weight = weight
        self.temperature = temperature
        self.regressor = nn.Linear(width, told.shape[1]) if kind == "hints" else None
        # No part of a checkpoint: it is found again from rows and teacher.
        self.register_buffer("told", torch.from_numpy(told.astype(np.float32)), persistent=False)

    def forward(self, step: Step) -> torch.Tensor:
        """Return the loss of a step."""
        told = self.told[step.at]
        if self.kind == "logits":
            return (1 - self.weight) * step.loss + self.weight * answers_loss(step.scores, told, self.temperature)
        if self.regressor is not None:
            return step.loss + self.weight * mse_loss(self.regressor(step.features), told)
        relation = distance_loss if self.kind == "distance" else angle_loss
        return step.loss + self.weight * relation(step.features, told)


def answers_loss(scores: torch.Tensor, P: torch.Tensor, temperature: float) -> torch.Tensor:
    r"""Return how far a student's probabilities are from the teacher's, both at a temperature.

    .. math:: T^2 \, \frac{1}{n} \sum_i \sum_c p_{ic} \log \frac{p_{ic}}{q_{ic}},\quad
              q_{ic} = \frac{e^{s_{ic} / T}}{\sum_u e^{s_{iu} / T}}

    Gradients shrink with the square of the temperature; the factor makes up for that.

    Parameters
    ----------
    scores : tensor of shape (n, k)
        The student's.
    P : tensor of shape (n, k)
        The teacher's probabilities, at the temperature.
    temperature : float

    Examples
    --------
    >>> round(float(answers_loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), 2.0)), 4)
    2.7726
    """
    return temperature**2 * kl_div(log_softmax(scores / temperature, dim=1), P, reduction="batchmean")


def distance_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    r"""Return how differently rows lie apart for student and teacher.

    .. math:: \frac{1}{|B|} \sum_{(i, j) \in B} h\left( \frac{\|f_i - f_j\|}{\mu} - \frac{\|g_i - g_j\|}{\nu} \right)

    with :math:`B` the pairs of a batch, :math:`\mu` and :math:`\nu` the mean distances over them, and :math:`h` the
    Huber loss, a half of the square up to 1 and linear beyond. Fewer than two rows have none: zero.

    Parameters
    ----------
    student, teacher : tensors of shape (n, d) and (n, e)
        Features f and g.

    Examples
    --------
    >>> rows = torch.tensor([[0.0], [1.0], [4.0]])
    >>> float(distance_loss(rows, 10 * rows + 3))
    0.0
    """
    if len(student) < 2:
        return student.sum() * 0
    return huber_loss(_relative_distances(student), _relative_distances(teacher))


def angle_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    r"""Return how differently rows stand to each other, seen from a third, for student and teacher.

    .. math:: \frac{1}{|B|} \sum_{(i, j, k) \in B} h\left( \cos \angle f_i f_j f_k - \cos \angle g_i g_j g_k \right)

    with :math:`B` the triplets of three rows of a batch, and :math:`h` the Huber loss. A triplet whose middle lies on
    one of the others has no angle and does not count; without a triplet it is zero. Parameters as in `distance_loss`.

    >>> square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> float(angle_loss(square, 5 * square))
    0.0
    """
    total, count = student.sum() * 0, 0
    for j in range(len(student)):
        # From one row at a time: never all differences at once.
        f, g = student - student[j], teacher - teacher[j]
        apart = (f != 0).any(dim=1) & (g != 0).any(dim=1)
        m = int(apart.sum())
        if m < 2:
            continue
        found, wanted = _cosines(f[apart]), _cosines(g[apart])
        total = total + huber_loss(found, wanted, reduction="sum")
        count += found.numel()
    return total / max(count, 1)


def _relative_distances(rows: torch.Tensor) -> torch.Tensor:
    """Return the distances of all pairs over their mean; where all rows are the same, zeros."""
    at = torch.triu_indices(len(rows), len(rows), offset=1, device=rows.device)
    # Not by inner products, in which the distance of rows near each other and far from zero is lost.
    distances = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")[at[0], at[1]]
    return distances / distances.mean().clamp(min=torch.finfo(rows.dtype).tiny ** 0.5)


def _cosines(rows: torch.Tensor) -> torch.Tensor:
    """Return the cosines of the angles between all pairs of rows, none of which is zero."""
    # By the largest entry first: the square of a small one would vanish.
    scaled = rows / rows.detach().abs().amax(dim=1, keepdim=True)
    unit = scaled / scaled.norm(dim=1, keepdim=True)
    at = torch.triu_indices(len(rows), len(rows), offset=1, device=rows.device)
    return (unit @ unit.T)[at[0], at[1]]
