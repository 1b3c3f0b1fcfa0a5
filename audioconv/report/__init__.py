"""An evaluation as one page of HTML that needs nothing else: no network, no scripts, no other files."""

from audioconv.report.facts import Facts
from audioconv.report.page import render, write_report

__all__ = ["Facts", "render", "write_report"]
