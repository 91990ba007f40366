"""Fine-tuning of pretrained networks: strategies as scikit-learn classifiers of pictures and texts."""

from headstart.models.fine_tuning.freeze_plan import FreezePlan
from headstart.models.fine_tuning.linear_probe import LinearProbe
from headstart.models.fine_tuning.strategies import L2SP, LPFT, BitFit, FineTune

__all__ = ["L2SP", "LPFT", "BitFit", "FineTune", "FreezePlan", "LinearProbe"]
