"""The HTML report about an evaluation: one file, no outside parts."""

from spikeloom.report.page import write_report

__all__ = ["write_report"]
