"""Maps between the spaces of source and target."""

from headstart.mapping.maps import AffineMap, IdentityMap, Map

__all__ = ["AffineMap", "IdentityMap", "Map"]
