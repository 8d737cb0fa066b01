"""The nouns: what is measured, and what is said about it."""

from pipeline.model.finding import Finding
from pipeline.model.gate import GateCount
from pipeline.model.marker import Marker
from pipeline.model.population import PopulationChange, PopulationShare
from pipeline.model.result import WHOLE_CLONE, DenominatorUnit, MrdResult, Reason, Status
from pipeline.model.review import AppliedChange, Change, Revision, SampleKey, Signature
from pipeline.model.sample import Assay, Material, Role, Sample, Sex, is_identifier, looks_personal
from pipeline.model.units import format_fraction, per_million
from pipeline.model.validated import ValidatedLimits

__all__ = [
    "WHOLE_CLONE",
    "AppliedChange",
    "Assay",
    "Change",
    "DenominatorUnit",
    "Finding",
    "GateCount",
    "Marker",
    "Material",
    "MrdResult",
    "PopulationChange",
    "PopulationShare",
    "Reason",
    "Revision",
    "Role",
    "Sample",
    "SampleKey",
    "Sex",
    "Signature",
    "Status",
    "ValidatedLimits",
    "format_fraction",
    "is_identifier",
    "looks_personal",
    "per_million",
]
