"""The report's charts: inline SVG that takes its colours and its font from the page."""

from headstart.report.charts.canvas import WIDTHS
from headstart.report.charts.curves import curve_chart, worth_segment
from headstart.report.charts.gains import Interval, gain_chart
from headstart.report.charts.mappings import mapping_chart
from headstart.report.charts.panels import evenly, map_panel, reliability_panel

__all__ = [
    "WIDTHS",
    "Interval",
    "curve_chart",
    "evenly",
    "gain_chart",
    "map_panel",
    "mapping_chart",
    "reliability_panel",
    "worth_segment",
]
