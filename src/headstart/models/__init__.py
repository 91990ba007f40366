"""Model-based transfer: parameters as the knowledge."""

from headstart.models.regular import RegularTransfer

__all__ = ["RegularTransfer"]
