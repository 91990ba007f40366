"""Feature-based transfer: a representation in which the domains agree."""

from headstart.features.base import FeatureMethod
from headstart.features.coral import CORAL

__all__ = ["CORAL", "FeatureMethod"]
