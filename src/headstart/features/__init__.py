"""Feature-based transfer: a representation in which the domains agree."""

from headstart.features.base import FeatureMethod
from headstart.features.coral import CORAL
from headstart.features.direct_standardization import DirectStandardization
from headstart.features.feature_augmentation import FeatureAugmentation
from headstart.features.feature_selection import FeatureSelection
from headstart.features.paired import PairedMethod
from headstart.features.per_domain_standardization import PerDomainStandardization
from headstart.features.piecewise_direct_standardization import PiecewiseDirectStandardization
from headstart.features.pred import PRED

__all__ = [
    "CORAL",
    "PRED",
    "DirectStandardization",
    "FeatureAugmentation",
    "FeatureMethod",
    "FeatureSelection",
    "PairedMethod",
    "PerDomainStandardization",
    "PiecewiseDirectStandardization",
]
