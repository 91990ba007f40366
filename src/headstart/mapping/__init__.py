"""Couplings of rows, maps between the spaces of source and target, and the learner of both."""

from headstart.mapping.coupling import Coupling
from headstart.mapping.embeddings import EmbeddingAlignment
from headstart.mapping.kernel_map import KernelMap
from headstart.mapping.label_maps import LabelMap, LinearLabelMap
from headstart.mapping.learner import MappingLearner
from headstart.mapping.maps import AffineMap, IdentityMap, LinearMap, Map
from headstart.mapping.perceptron_map import PerceptronMap
from headstart.mapping.retrieval import mutual_neighbors, nearest_targets, precision_at
from headstart.mapping.saved import SavedMapping, load_mapping, save_mapping

__all__ = [
    "AffineMap",
    "Coupling",
    "EmbeddingAlignment",
    "IdentityMap",
    "KernelMap",
    "LabelMap",
    "LinearLabelMap",
    "LinearMap",
    "Map",
    "MappingLearner",
    "PerceptronMap",
    "SavedMapping",
    "load_mapping",
    "mutual_neighbors",
    "nearest_targets",
    "precision_at",
    "save_mapping",
]
