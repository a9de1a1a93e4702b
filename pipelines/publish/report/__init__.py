"""The committee's report: one self-contained Hebrew page, every number tied to its mart cell."""

from pipelines.publish.report.page import ReportContext, render_report

__all__ = ["ReportContext", "render_report"]
