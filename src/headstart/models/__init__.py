"""Model-based transfer: parameters learned in the source are where learning in the target begins."""

from headstart.models.adaptive_svm import AdaptiveSVM
from headstart.models.regular import RegularTransfer
from headstart.models.transfer_forest import TransferForest
from headstart.models.transfer_tree import TransferTree
from headstart.models.warm_start import WarmStart

__all__ = ["AdaptiveSVM", "RegularTransfer", "TransferForest", "TransferTree", "WarmStart"]
