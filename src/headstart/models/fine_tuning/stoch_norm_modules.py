"""Batch norms that normalise some channels, drawn anew each time, by their running statistics."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.errors import NeedsError


class _Stochastic(_BatchNorm):
    """A batch norm that in training chooses for each channel whose mean and variance it takes.

    Parameters
    ----------
    norm : batch norm
        Its weights and statistics are shared, not copied.
    p : float
        Probability of the running statistics, as they were before this batch; otherwise the batch's own.
    """

    def __init__(self, norm: Any, p: float) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine)
        _share(norm, self)
        self.p = p

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the normalised input, of the same shape."""
        if not self.training or rows.numel() == rows.shape[1]:
            # A single value in each channel has no variance: nothing can be learned from it.
            return self._normalised(rows, self.running_mean, self.running_var)
        before = self.running_mean.clone(), self.running_var.clone()  # type: ignore[union-attr]
        by_batch = super().forward(rows)
        by_running = self._normalised(rows, *before)
        # Drawn on the processor, whose state of chance a checkpoint holds.
        chosen = (torch.rand(self.num_features) < self.p).to(rows.device)
        return torch.where(chosen.view(1, -1, *[1] * (rows.ndim - 2)), by_running, by_batch)

    def _normalised(self, rows: torch.Tensor, mean: Any, variance: Any) -> torch.Tensor:
        return nn.functional.batch_norm(rows, mean, variance, self.weight, self.bias, False, 0.0, self.eps)


class StochNorm1d(_Stochastic, nn.BatchNorm1d):
    """In place of `torch.nn.BatchNorm1d`."""


class StochNorm2d(_Stochastic, nn.BatchNorm2d):
    """In place of `torch.nn.BatchNorm2d`."""


class StochNorm3d(_Stochastic, nn.BatchNorm3d):
    """In place of `torch.nn.BatchNorm3d`."""


KINDS: dict[type, Any] = {
    nn.BatchNorm1d: StochNorm1d,
    nn.BatchNorm2d: StochNorm2d,
    nn.BatchNorm3d: StochNorm3d,
}


def stochastic(network: nn.Module, p: float) -> int:
    """Replace the batch norms of a network, in place, and return how many there were.

    Those without running statistics stay as they are.

    Raises
    ------
    NeedsError
        When there is a batch norm of a kind of its own, of which it is not known what else it does.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    for norm in norms:
        if type(norm) not in KINDS:
            raise NeedsError(f"StochNorm knows torch's own batch norms, not {type(norm).__name__}; take FineTune")
    _replace(network, {norm: KINDS[type(norm)](norm, p) for norm in norms})
    return len(norms)


def plain(network: nn.Module) -> None:
    """Replace what `stochastic` put into a network by plain batch norms, in place."""
    kinds = {stoch: kind for kind, stoch in KINDS.items()}
    found: dict[nn.Module, nn.Module] = {}
    for norm in network.modules():
        if isinstance(norm, _Stochastic):
            found[norm] = kinds[type(norm)](norm.num_features, norm.eps, norm.momentum, norm.affine)
            _share(norm, found[norm])
    _replace(network, found)


def _share(norm: Any, other: Any) -> None:
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        setattr(other, name, getattr(norm, name))
    other.training = norm.training


def _replace(network: nn.Module, others: dict[nn.Module, Any]) -> None:
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child in others:
                setattr(parent, name, others[child])
