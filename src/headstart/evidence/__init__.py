"""How far apart the domains are, and what the transfer was worth."""

from headstart.evidence.curve import Curve, learning_curve
from headstart.evidence.gain import METRICS, Gain, Metric, corrected_interval, paired_interval
from headstart.evidence.shift import Shift, measure_shift

__all__ = [
    "METRICS",
    "Curve",
    "Gain",
    "Metric",
    "Shift",
    "corrected_interval",
    "learning_curve",
    "measure_shift",
    "paired_interval",
]
