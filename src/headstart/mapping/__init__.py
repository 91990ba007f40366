"""Maps between the spaces of source and target."""

from headstart.mapping.kernel_map import KernelMap
from headstart.mapping.maps import AffineMap, IdentityMap, LinearMap, Map

__all__ = ["AffineMap", "IdentityMap", "KernelMap", "LinearMap", "Map"]
