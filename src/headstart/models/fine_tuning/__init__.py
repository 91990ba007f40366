"""Fine-tuning of pretrained networks: strategies as scikit-learn classifiers of pictures and texts, and as methods."""

from headstart.models.fine_tuning.adapter import Adapter
from headstart.models.fine_tuning.bi_tuning import BiTuning
from headstart.models.fine_tuning.bit_fit import BitFit
from headstart.models.fine_tuning.bss import BSS
from headstart.models.fine_tuning.co_tuning import CoTuning
from headstart.models.fine_tuning.delta import DELTA
from headstart.models.fine_tuning.discriminative_lr import DiscriminativeLR
from headstart.models.fine_tuning.distill import Distill
from headstart.models.fine_tuning.fine_tune import FineTune
from headstart.models.fine_tuning.freeze_plan import FreezePlan
from headstart.models.fine_tuning.from_scratch import FromScratch
from headstart.models.fine_tuning.gradual_unfreezing import GradualUnfreezing
from headstart.models.fine_tuning.ia3 import IA3
from headstart.models.fine_tuning.l2_sp import L2SP
from headstart.models.fine_tuning.linear_probe import LinearProbe
from headstart.models.fine_tuning.lora import LoRA
from headstart.models.fine_tuning.lp_ft import LPFT
from headstart.models.fine_tuning.lwf import LwF
from headstart.models.fine_tuning.model_card import model_card
from headstart.models.fine_tuning.soup import Soup
from headstart.models.fine_tuning.stoch_norm import StochNorm
from headstart.models.fine_tuning.tuned import TunedNetwork
from headstart.models.fine_tuning.tuned_onnx import write_onnx

__all__ = [
    "BSS",
    "DELTA",
    "IA3",
    "L2SP",
    "LPFT",
    "Adapter",
    "BiTuning",
    "BitFit",
    "CoTuning",
    "DiscriminativeLR",
    "Distill",
    "FineTune",
    "FreezePlan",
    "FromScratch",
    "GradualUnfreezing",
    "LinearProbe",
    "LoRA",
    "LwF",
    "Soup",
    "StochNorm",
    "TunedNetwork",
    "model_card",
    "write_onnx",
]
