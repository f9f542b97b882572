"""Reports: charts and the self-contained HTML report of a run."""

from trueline.reports.report import write_report

__all__ = ["write_report"]
