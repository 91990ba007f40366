"""Fine-tuning of pretrained networks: strategies as scikit-learn classifiers of pictures and texts, and as methods."""

from headstart.models.fine_tuning.bit_fit import BitFit
from headstart.models.fine_tuning.fine_tune import FineTune
from headstart.models.fine_tuning.freeze_plan import FreezePlan
from headstart.models.fine_tuning.from_scratch import FromScratch
from headstart.models.fine_tuning.l2_sp import L2SP
from headstart.models.fine_tuning.linear_probe import LinearProbe
from headstart.models.fine_tuning.lp_ft import LPFT
from headstart.models.fine_tuning.tuned import TunedNetwork

__all__ = ["L2SP", "LPFT", "BitFit", "FineTune", "FreezePlan", "FromScratch", "LinearProbe", "TunedNetwork"]
