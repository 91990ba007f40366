"""The report: a result's document as one self-contained HTML page."""

from headstart.report.page import render

__all__ = ["render"]
