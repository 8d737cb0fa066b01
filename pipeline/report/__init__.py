"""Pages, figures and tables. Sees result types only, never an assay."""

from pipeline.report.data import InputFile, PatientNote, Provenance, ReportData, TimepointLabel
from pipeline.report.pages import write_report

__all__ = ["InputFile", "PatientNote", "Provenance", "ReportData", "TimepointLabel", "write_report"]
