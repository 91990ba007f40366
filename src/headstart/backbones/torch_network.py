"""A network of torch in two parts: a body that gives features, and a head on top of them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class TorchNetwork:
    """A body and a head.

    Parameters
    ----------
    body : torch module
        Takes the arrays of a batch as tensors, by name; returns features of shape (n, d).
    width : int
        Columns of the features.
    head : torch module or None
        From features to class scores.
    blocks : dict of str to torch module
        Parts of the body whose outputs can be features, from the input on.
    """

    body: Any
    width: int
    head: Any = None
    blocks: Any = None

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the blocks."""
        return tuple(self.blocks or ())

    @property
    def parameters(self) -> int:
        """How many numbers are learned, head included."""
        modules = [self.body] if self.head is None else [self.body, self.head]
        return sum(p.numel() for module in modules for p in module.parameters())

    def features(self, batch: dict[str, np.ndarray], layer: str | None = None) -> np.ndarray:
        """Return the features of a batch, or the output of one block averaged over space or tokens."""
        import torch

        tensors = tensors_of(batch)
        with torch.inference_mode():
            if layer is None:
                return np.asarray(self.body(**tensors).float().numpy())
            caught: list[Any] = []
            hook = self.blocks[layer].register_forward_hook(lambda module, inputs, output: caught.append(output))
            try:
                self.body(**tensors)
            finally:
                hook.remove()
            return np.asarray(_averaged(caught[0], tensors).float().numpy())

    def probabilities(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        """Return class probabilities of a batch."""
        import torch

        with torch.inference_mode():
            scores = self.head(self.body(**tensors_of(batch)))
            return np.asarray(torch.softmax(scores.float(), dim=1).numpy())

    def module(self, n_classes: int | None) -> Any:
        """Return a copy for training: a batch's tensors to scores, with the head of its own or a new linear one."""
        import torch

        from headstart.backbones.torch_modules import Network

        head = deepcopy(self.head) if n_classes is None else torch.nn.Linear(self.width, n_classes)
        return Network(deepcopy(self.body), head)

    def fingerprint(self) -> str:
        """Return SHA-256 over names, shapes and values of all weights."""
        found = sha256()
        for part in ("body", "head"):
            module = getattr(self, part)
            for name, value in sorted(module.state_dict().items()) if module is not None else ():
                found.update(f"{part}.{name} {value.dtype} {tuple(value.shape)}".encode())
                found.update(np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
        return found.hexdigest()


def tensors_of(batch: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the arrays of a batch as tensors; pixels lie in memory as convolutions like them."""
    import torch

    return {
        name: torch.from_numpy(value).contiguous(memory_format=torch.channels_last)
        if value.ndim == 4
        else torch.from_numpy(value)
        for name, value in batch.items()
    }


def _averaged(output: Any, tensors: dict[str, Any]) -> Any:
    output = output[0] if isinstance(output, tuple) else output
    if output.ndim == 4:
        return output.mean(dim=(2, 3))
    if output.ndim == 3 and "attention_mask" in tensors:
        mask = tensors["attention_mask"][..., None].to(output.dtype)
        return (output * mask).sum(dim=1) / mask.sum(dim=1)
    return output.mean(dim=1) if output.ndim == 3 else output
