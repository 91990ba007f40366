"""Feature-based transfer: a representation in which the domains agree."""

from headstart.features.anchor_ot import AnchorOT
from headstart.features.artl import ARTL
from headstart.features.base import FeatureMethod
from headstart.features.bda import BDA
from headstart.features.cca import CCA
from headstart.features.coot_transfer import COOTransfer
from headstart.features.coral import CORAL
from headstart.features.direct_standardization import DirectStandardization
from headstart.features.discriminant_transfer import DiscriminantTransfer
from headstart.features.easytl import EasyTL
from headstart.features.feature_augmentation import FeatureAugmentation
from headstart.features.feature_selection import FeatureSelection
from headstart.features.gfk import GFK
from headstart.features.heterogeneous_augmentation import HeterogeneousAugmentation
from headstart.features.jda import JDA
from headstart.features.jdot import JDOT
from headstart.features.jgsa import JGSA
from headstart.features.manifold_alignment import ManifoldAlignment
from headstart.features.mapping_transfer import MappingTransfer
from headstart.features.meda import MEDA
from headstart.features.msda import MSDA
from headstart.features.ot_mapping import OTMapping
from headstart.features.paired import PairedMethod
from headstart.features.per_domain_standardization import PerDomainStandardization
from headstart.features.piecewise_direct_standardization import PiecewiseDirectStandardization
from headstart.features.pred import PRED
from headstart.features.quantile_alignment import QuantileAlignment
from headstart.features.sca import SCA
from headstart.features.scl import SCL
from headstart.features.sfa import SFA
from headstart.features.sstca import SSTCA
from headstart.features.subspace_alignment import SubspaceAlignment
from headstart.features.tca import TCA
from headstart.features.tjm import TJM

__all__ = [
    "ARTL",
    "BDA",
    "CCA",
    "CORAL",
    "GFK",
    "JDA",
    "JDOT",
    "JGSA",
    "MEDA",
    "MSDA",
    "PRED",
    "SCA",
    "SCL",
    "SFA",
    "SSTCA",
    "TCA",
    "TJM",
    "AnchorOT",
    "COOTransfer",
    "DirectStandardization",
    "DiscriminantTransfer",
    "EasyTL",
    "FeatureAugmentation",
    "FeatureMethod",
    "FeatureSelection",
    "HeterogeneousAugmentation",
    "ManifoldAlignment",
    "MappingTransfer",
    "OTMapping",
    "PairedMethod",
    "PerDomainStandardization",
    "PiecewiseDirectStandardization",
    "QuantileAlignment",
    "SubspaceAlignment",
]
