"""What is trained and what stands still, as data: applied, verified, saved, printed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

from headstart.errors import InputError


@dataclass(frozen=True)
class FreezePlan:
    """Which parameters of a network are trained, and which batch norms go on averaging what passes.

    Parameters
    ----------
    trained, frozen : tuples of str
        Names of parameters.
    moving, still : tuples of str
        Names of the batch norms whose running means and variances move, and of those that stand still.
    sizes : dict of str to int
        How many numbers each parameter has.

    Examples
    --------
    >>> from torch import nn
    >>> from headstart.backbones.torch_modules import Network
    >>> network = Network(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8)), nn.Linear(8, 2))
    >>> print(FreezePlan.of(network, lambda name: name.startswith("head.")))
    trains 18 of 74 numbers (head); 1 of 1 batch norms stands still
    """

    trained: tuple[str, ...]
    frozen: tuple[str, ...]
    moving: tuple[str, ...]
    still: tuple[str, ...]
    sizes: dict[str, int]

    @classmethod
    def of(cls, network: Any, trains: Callable[[str], bool], *, norms_move: bool = False) -> Self:
        """Return the plan under which the parameters are trained that `trains` says yes to, by their names.

        A batch norm moves when that is asked for and one of its own parameters is trained: what is frozen stands still.
        """
        names = [name for name, _ in network.named_parameters()]
        trained = tuple(name for name in names if trains(name))
        if not trained:
            raise InputError("the plan trains nothing; name parameters that the network has")
        moving: list[str] = []
        still: list[str] = []
        for name, module in _norms(network):
            own = {f"{name}.{parameter}" for parameter, _ in module.named_parameters(recurse=False)}
            (moving if norms_move and own & set(trained) else still).append(name)
        return cls(
            trained,
            tuple(name for name in names if name not in set(trained)),
            tuple(moving),
            tuple(still),
            {name: parameter.numel() for name, parameter in network.named_parameters()},
        )

    def apply(self, network: Any) -> None:
        """Freeze and unfreeze the network's parameters, and tell it which batch norms stand still, also in training.

        Raises
        ------
        InputError
            When the network has other parameters or batch norms than the plan.
        """
        self._require_same(network)
        trained = set(self.trained)
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name in trained)
        network.still = frozenset(self.still)
        network.train(network.training)

    def verify(self, network: Any) -> None:
        """Refuse a network that is not as the plan says.

        Raises
        ------
        InputError
            Naming the first parameter or batch norm that differs.
        """
        self._require_same(network)
        trained, still = set(self.trained), set(self.still)
        for name, parameter in network.named_parameters():
            if parameter.requires_grad != (name in trained):
                raise InputError(f"{name} is {'trained' if parameter.requires_grad else 'frozen'}, against the plan")
        for name, module in _norms(network):
            if module.training and name in still:
                raise InputError(f"the batch norm {name} moves, against the plan")

    def _require_same(self, network: Any) -> None:
        own = {name: parameter.numel() for name, parameter in network.named_parameters()}
        if own != self.sizes:
            strange = sorted(own.keys() ^ self.sizes.keys()) or [name for name in own if own[name] != self.sizes[name]]
            raise InputError(f"the plan is for another network: they differ in {strange[0]}")
        norms = {name for name, _ in _norms(network)}
        if norms != {*self.moving, *self.still}:
            raise InputError("the plan is for another network: it has other batch norms")

    def to_dict(self) -> dict[str, Any]:
        """Return the plan in plain JSON types."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, plan: dict[str, Any]) -> Self:
        """Return the plan that `to_dict` wrote."""
        trained, frozen, moving, still = (tuple(plan[name]) for name in ("trained", "frozen", "moving", "still"))
        return cls(trained, frozen, moving, still, dict(plan["sizes"]))

    def __str__(self) -> str:
        total = sum(self.sizes.values())
        count = sum(self.sizes[name] for name in self.trained)
        parts = sorted({name.split(".")[0] for name in self.trained})
        norms = len(self.moving) + len(self.still)
        stand = "stands" if len(self.still) == 1 else "stand"
        told = f"; {len(self.still)} of {norms} batch norms {stand} still" if norms else ""
        return f"trains {count:,} of {total:,} numbers ({', '.join(parts)}){told}"


def _norms(network: Any) -> list[tuple[str, Any]]:
    from torch.nn.modules.batchnorm import _BatchNorm

    return [(name, module) for name, module in network.named_modules() if isinstance(module, _BatchNorm)]
