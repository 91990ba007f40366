"""Instance-based transfer: source rows, reweighted, boosted or dropped."""

from headstart.instances.balanced import BalancedWeighting
from headstart.instances.base import DensityRatioMethod, InstanceMethod
from headstart.instances.bbse import BBSE
from headstart.instances.domain_classifier import DomainClassifierWeighting
from headstart.instances.dynamic_tradaboost import DynamicTrAdaBoost
from headstart.instances.gaussian import GaussianWeighting
from headstart.instances.kde import KDEWeighting
from headstart.instances.kliep import KLIEP
from headstart.instances.kmm import KMM
from headstart.instances.label_shift_em import LabelShiftEM
from headstart.instances.mmd_target_shift import MMDTargetShift
from headstart.instances.multi_source_tradaboost import MultiSourceTrAdaBoost
from headstart.instances.nearest_neighbor import NearestNeighborWeighting
from headstart.instances.pruning import InstancePruning
from headstart.instances.rlls import RLLS
from headstart.instances.rulsif import RULSIF
from headstart.instances.source_weighting import SourceWeighting
from headstart.instances.tradaboost import TrAdaBoost
from headstart.instances.tradaboost_r2 import TrAdaBoostR2
from headstart.instances.two_stage_tradaboost_r2 import TwoStageTrAdaBoostR2
from headstart.instances.ulsif import ULSIF

__all__ = [
    "BBSE",
    "KLIEP",
    "KMM",
    "RLLS",
    "RULSIF",
    "ULSIF",
    "BalancedWeighting",
    "DensityRatioMethod",
    "DomainClassifierWeighting",
    "DynamicTrAdaBoost",
    "GaussianWeighting",
    "InstanceMethod",
    "InstancePruning",
    "KDEWeighting",
    "LabelShiftEM",
    "MMDTargetShift",
    "MultiSourceTrAdaBoost",
    "NearestNeighborWeighting",
    "SourceWeighting",
    "TrAdaBoost",
    "TrAdaBoostR2",
    "TwoStageTrAdaBoostR2",
]
