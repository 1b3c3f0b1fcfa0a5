"""Report of an evaluation: one HTML file without network, scripts or other files."""

from audioconv.report.facts import Facts
from audioconv.report.page import render, write_report

__all__ = ["Facts", "render", "write_report"]
