"""How far apart the domains are, how promising a transfer is, what it was worth, and what it did."""

from headstart.evidence.arrived import Arrived, arrived
from headstart.evidence.calibration import Reliability, reliability
from headstart.evidence.curve import Curve, learning_curve
from headstart.evidence.diagnosis import Diagnosis, diagnose
from headstart.evidence.domain_map import DomainMap, domain_map
from headstart.evidence.estimated import EstimatedAccuracy, estimated_accuracy
from headstart.evidence.forgetting import Forgetting, measure_forgetting
from headstart.evidence.gain import (
    METRICS,
    Gain,
    Metric,
    corrected_interval,
    cross_validated_gain,
    gain_on_rows,
    paired_interval,
)
from headstart.evidence.helpful_rows import HelpfulRows, helpful_rows
from headstart.evidence.interval import Interval, effect_size, fresh_rows_interval, mcnemar, rows_interval
from headstart.evidence.label_table import LabelTable, label_table
from headstart.evidence.layers import LayerTransferability, layer_transferability
from headstart.evidence.measured import Measured
from headstart.evidence.moved import Moved, moved
from headstart.evidence.power import Power, chance_to_show, power_of, rows_needed, visible_gain
from headstart.evidence.shift import Shift, measure_shift
from headstart.evidence.similarity import LayerSimilarity, cka, layer_similarity
from headstart.evidence.slices import SliceGain, holm, sliced_gains

__all__ = [
    "METRICS",
    "Arrived",
    "Curve",
    "Diagnosis",
    "DomainMap",
    "EstimatedAccuracy",
    "Forgetting",
    "Gain",
    "HelpfulRows",
    "Interval",
    "LabelTable",
    "LayerSimilarity",
    "LayerTransferability",
    "Measured",
    "Metric",
    "Moved",
    "Power",
    "Reliability",
    "Shift",
    "SliceGain",
    "arrived",
    "chance_to_show",
    "cka",
    "corrected_interval",
    "cross_validated_gain",
    "diagnose",
    "domain_map",
    "effect_size",
    "estimated_accuracy",
    "fresh_rows_interval",
    "gain_on_rows",
    "helpful_rows",
    "holm",
    "label_table",
    "layer_similarity",
    "layer_transferability",
    "learning_curve",
    "mcnemar",
    "measure_forgetting",
    "measure_shift",
    "moved",
    "paired_interval",
    "power_of",
    "reliability",
    "rows_interval",
    "rows_needed",
    "sliced_gains",
    "visible_gain",
]
