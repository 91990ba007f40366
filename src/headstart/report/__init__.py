"""The report: a result's document as one self-contained HTML page."""

from headstart.report.model_card import model_card
from headstart.report.page import render

__all__ = ["model_card", "render"]
