"""A network of torch in two parts: a body that gives features, and a head on top of them."""

from __future__ import annotations

import sys
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
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

        with torch.inference_mode():
            return np.asarray(self.run(tensors_of(batch), layer).float().numpy())

    def run(self, tensors: dict[str, Any], layer: str | None) -> Any:
        """Return what `features` does, from tensors to a tensor."""
        if layer is None:
            return self.body(**tensors)
        caught: list[Any] = []
        hook = self.blocks[layer].register_forward_hook(lambda module, inputs, output: caught.append(output))
        try:
            self.body(**tensors)
        finally:
            hook.remove()
        return _averaged(caught[0], tensors)

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

    def with_weights_of(self, module: Any) -> TorchNetwork:
        """Return the network whose parts are those of a module that `module` gave, as they are."""
        blocks = {
            name: module.body.get_submodule(_place(block, self.body)) for name, block in (self.blocks or {}).items()
        }
        return TorchNetwork(module.body, self.width, module.head, blocks)

    def fingerprint(self) -> str:
        """Return SHA-256 over names, shapes and values of all weights."""
        found = sha256()
        for part in ("body", "head"):
            module = getattr(self, part)
            for name, value in sorted(module.state_dict().items()) if module is not None else ():
                found.update(f"{part}.{name} {value.dtype} {tuple(value.shape)}".encode())
                found.update(_bytes_of(value))
        return found.hexdigest()

    def identity(self) -> str:
        """Return SHA-256 over all that features depend on: the body's weights, its modules, settings and code.

        It is taken anew at each call, so that weights changed in place are other weights. The head is no part of it.
        """
        found = sha256()
        for name, module in self.body.named_modules():
            settings = {
                key: value
                for key, value in vars(module).items()
                # Where a model lay says nothing of what it does.
                if _plain(value) and key != "name_or_path"
            }
            kind = f"{type(module).__module__}.{type(module).__qualname__}"
            found.update(repr((name, kind, sorted(settings.items()))).encode())
        kinds = {kind for module in self.body.modules() for kind in type(module).__mro__ if kind is not object}
        for code in sorted({_code_of(kind) for kind in kinds}):
            found.update(code)
        for name, value in [*self.body.named_parameters(), *self.body.named_buffers()]:
            found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            found.update(_bytes_of(value))
        found.update(repr([(name, _place(block, self.body)) for name, block in (self.blocks or {}).items()]).encode())
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


def _bytes_of(tensor: Any) -> Any:
    """Return the values of a tensor as bytes, also of types that numpy has not."""
    import torch

    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _plain(value: Any) -> bool:
    return isinstance(value, int | float | str | None) or (isinstance(value, tuple) and all(map(_plain, value)))


def _code_of(kind: type) -> bytes:
    """Return the hash of the file that defines a class; without one, what its forward does."""
    path = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if path is not None:
        return sha256(Path(path).read_bytes()).digest()
    code = getattr(getattr(kind, "forward", None), "__code__", None)
    return b"" if code is None else repr((code.co_code, code.co_names, str(code.co_consts))).encode()


def _place(block: Any, body: Any) -> str:
    """Return where in the body a block stands."""
    return next((name for name, module in body.named_modules() if module is block), "")


def _averaged(output: Any, tensors: dict[str, Any]) -> Any:
    output = output[0] if isinstance(output, tuple) else output
    if output.ndim == 4:
        return output.mean(dim=(2, 3))
    if output.ndim == 3 and "attention_mask" in tensors:
        mask = tensors["attention_mask"][..., None].to(output.dtype)
        return (output * mask).sum(dim=1) / mask.sum(dim=1)
    return output.mean(dim=1) if output.ndim == 3 else output
