"""Couplings of rows, maps between the spaces of source and target, and the learner of both."""

from headstart.mapping.coupling import Coupling
from headstart.mapping.kernel_map import KernelMap
from headstart.mapping.maps import AffineMap, IdentityMap, LinearMap, Map
from headstart.mapping.perceptron_map import PerceptronMap

__all__ = ["AffineMap", "Coupling", "IdentityMap", "KernelMap", "LinearMap", "Map", "PerceptronMap"]
