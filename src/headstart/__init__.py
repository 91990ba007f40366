"""headstart: transfer learning, measured.

Carry what was learned in a source domain to a target domain with few labels, and find out what it was worth.
Importing this package loads no framework; each name below loads what it needs when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from headstart.version import __version__

if TYPE_CHECKING:
    from headstart.backbones import backbone as backbone
    from headstart.catalogue import methods as methods
    from headstart.delivery import Model as Model
    from headstart.delivery import load as load
    from headstart.domain import Domain as Domain
    from headstart.pipeline import Result as Result
    from headstart.pipeline import carry as carry
    from headstart.pipeline import learn as learn
    from headstart.pipeline import run as run
    from headstart.readers import read as read
    from headstart.transfer import Transfer as Transfer

_HOME = {
    "Domain": "headstart.domain",
    "Model": "headstart.delivery",
    "Result": "headstart.pipeline",
    "Transfer": "headstart.transfer",
    "backbone": "headstart.backbones",
    "carry": "headstart.pipeline",
    "learn": "headstart.pipeline",
    "load": "headstart.delivery",
    "methods": "headstart.catalogue",
    "read": "headstart.readers",
    "run": "headstart.pipeline",
}

__all__ = [
    "Domain",
    "Model",
    "Result",
    "Transfer",
    "__version__",
    "backbone",
    "carry",
    "learn",
    "load",
    "methods",
    "read",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
