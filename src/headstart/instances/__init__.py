"""Instance-based transfer: source rows, reweighted."""

from headstart.instances.base import DensityRatioMethod, InstanceMethod
from headstart.instances.kmm import KMM

__all__ = ["KMM", "DensityRatioMethod", "InstanceMethod"]
