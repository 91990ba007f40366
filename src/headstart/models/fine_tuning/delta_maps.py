"""Feature maps of a network's layers: caught as they pass, compared, and weighed channel by channel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.errors import InputError


class Maps:
    """Catches what some layers of a body give, at each pass.

    Parameters
    ----------
    body : torch module
        Hooks are put into it, which change nothing.
    places : sequence of str
        Where in the body the layers stand.
    """

    def __init__(self, body: nn.Module, places: Sequence[str]) -> None:
        self.places = places
        self._caught: dict[str, torch.Tensor] = {}
        for place in places:
            body.get_submodule(place).register_forward_hook(partial(self._catch, place))

    def _catch(self, place: str, module: nn.Module, inputs: Any, output: Any) -> None:
        self._caught[place] = _map_of(output)

    def taken(self) -> list[torch.Tensor]:
        """Return the maps of the last pass, and forget them."""
        missing = [place for place in self.places if place not in self._caught]
        if missing:
            raise InputError(f"nothing passes the layer {missing[0]!r}; name another one")
        maps = [self._caught[place] for place in self.places]
        self._caught.clear()
        return maps


def distance(
    found: torch.Tensor, began: torch.Tensor, weights: torch.Tensor | None, mask: torch.Tensor | None
) -> torch.Tensor:
    """Return the squared distance of two maps, summed over channels, mean over rows and places.

    Parameters
    ----------
    found, began : tensors of shape (n, c), (n, tokens, c) or (n, c, ...)
    weights : tensor of shape (c,), optional
        Of the channels; by default 1.
    mask : tensor of shape (n, tokens), optional
        0 for tokens that only fill up; they don't count.

    Examples
    --------
    >>> distance(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2), torch.tensor([0.5, 1.5]), None)
    tensor(6.5000)
    """
    squares = (_by_place(found).float() - _by_place(began).float()) ** 2
    per_place = (squares if weights is None else squares * weights).sum(dim=2)
    if mask is None or found.ndim != 3 or mask.shape != per_place.shape:
        return per_place.mean()
    share = mask / mask.sum(dim=1, keepdim=True).clamp(min=1)
    return (per_place * share).sum(dim=1).mean()


def attention(
    body: nn.Module, place: str, batch: dict[str, torch.Tensor], head: tuple[np.ndarray, np.ndarray], y: np.ndarray
) -> torch.Tensor:
    r"""Return how much each channel of a layer matters to the loss, shape (c,), 1 on average.

    .. math:: w_j = c \, \frac{\exp(L_j - L)}{\sum_i \exp(L_i - L)}

    with :math:`L` the cross-entropy of the batch, and :math:`L_j` what it is with channel j set to zero.

    Parameters
    ----------
    body : torch module
    place : str
        Where in the body the layer stands.
    batch : dict of str to tensor
    head : tuple of arrays of shape (k, d) and (k,)
        Weights and offsets that fit the body's features.
    y : array of shape (n,)
        Numbers of the classes.
    """
    device = next(iter(batch.values())).device
    W, b = (torch.tensor(part, dtype=torch.float32, device=device) for part in head)
    codes = torch.from_numpy(y).to(device)
    off: list[int] = []
    channels: list[int] = []

    def without(module: nn.Module, inputs: Any, output: Any) -> Any:
        found = _map_of(output)
        axis = _axis(found)
        channels[:] = [found.shape[axis]]
        if not off:
            return output
        found = found.clone()
        found.select(axis, off[0]).zero_()
        return (found, *output[1:]) if isinstance(output, tuple) else found

    def loss() -> torch.Tensor:
        return nn.functional.cross_entropy(body(**batch).float() @ W.T + b, codes)

    hook = body.get_submodule(place).register_forward_hook(without)
    try:
        with torch.no_grad():
            whole = loss()
            rises = []
            for j in range(channels[0]):
                off[:] = [j]
                rises.append(loss() - whole)
    finally:
        hook.remove()
    return len(rises) * torch.softmax(torch.stack(rises), dim=0)


def _map_of(output: Any) -> torch.Tensor:
    found: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return found


def _axis(found: torch.Tensor) -> int:
    """Return where a map has its channels: tokens have them last, pictures after the rows."""
    return 1 if found.ndim > 3 else found.ndim - 1


def _by_place(found: torch.Tensor) -> torch.Tensor:
    """Return a map in shape (n, places, channels)."""
    if found.ndim > 3:
        return found.flatten(2).transpose(1, 2)
    return found if found.ndim == 3 else found[:, None]
