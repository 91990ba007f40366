"""One training in several processes: each takes its share of every batch, and all take the same step."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from headstart.errors import NeedsError

#: Devices that multiply in half precision, where small gradients are kept by scaling the loss.
HALF = ("cuda", "xpu")


class Processes:
    """The processes of a training, as torchrun or `accelerate launch` started them; one, where nothing did.

    Gradients are added up here and not by a wrapper around the network: what is trained may then change from epoch to
    epoch, and a process without rows of a batch takes part.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.device: torch.device = accelerator.device
        self.count = int(accelerator.num_processes)
        self.index = int(accelerator.process_index)
        self.main = bool(accelerator.is_main_process)

    def share(self, at: np.ndarray) -> np.ndarray:
        """Return which rows of a batch are this process's; none, where there are more processes than rows."""
        return at[self.index :: self.count]

    def total(self, values: Iterable[float]) -> list[float]:
        """Return the sums over all processes, the same in each."""
        own = list(values)
        if self.count == 1:
            return own
        # Devices that know no float64 add in float32.
        kind = torch.float32 if self.device.type == "mps" else torch.float64
        found = self.accelerator.reduce(torch.tensor(own, dtype=kind, device=self.device), "sum")
        return [float(value) for value in found]

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give each process the sum of all gradients; a parameter that no process has one of is left without."""
        if self.count == 1:
            return
        trained = [value for value in parameters if value.requires_grad]
        has = [float(value.grad is not None) for value in trained]
        parts = [(torch.zeros_like(value) if value.grad is None else value.grad).reshape(-1) for value in trained]
        flat = self.accelerator.reduce(torch.cat([*parts, torch.tensor(has, device=self.device)]), "sum")
        sizes = [value.numel() for value in trained]
        *sums, counts = torch.split(flat, [*sizes, len(has)])
        for value, found, n in zip(trained, sums, counts.tolist(), strict=True):
            value.grad = found.view_as(value).clone() if n else None

    def average(self, buffers: Iterable[torch.Tensor]) -> None:
        """Bring statistics that moved by each process's rows to their mean."""
        moved = [value for value in buffers if value.is_floating_point()]
        if self.count == 1 or not moved:
            return
        flat = self.accelerator.reduce(torch.cat([value.reshape(-1) for value in moved]), "mean")
        for value, found in zip(moved, torch.split(flat, [value.numel() for value in moved]), strict=True):
            value.copy_(found.view_as(value))

    def wait(self) -> None:
        """Wait for all."""
        self.accelerator.wait_for_everyone()


def precision_of(name: str, device: torch.device) -> torch.dtype | None:
    """Return what a network computes in; None for float32.

    Raises
    ------
    NeedsError
        When the device can't.
    """
    if name == "no":
        return None
    if name == "fp16":
        able = device.type in HALF
    else:
        able = torch.cuda.is_bf16_supported() if device.type == "cuda" else device.type in ("cpu", "xpu")
    if not able:
        raise NeedsError(f"mixed_precision={name!r}: the device here ({device.type}) can't; take 'no'")
    return torch.float16 if name == "fp16" else torch.bfloat16
