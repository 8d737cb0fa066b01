"""Residual-disease results with as few arguments as a test needs to state."""

from datetime import date
from typing import Any

from pipeline.model import Assay, DenominatorUnit, Material, MrdResult, Reason, Status


def mrd_result(**changes: Any) -> MrdResult:
    """A negative flow result of 3 million cells, with the fields in ``changes`` replaced."""
    fields: dict[str, Any] = {
        "study_id": "T1",
        "patient_id": "P01",
        "timepoint": "ASCT",
        "collected_on": date(2026, 3, 1),
        "material": Material.BONE_MARROW,
        "assay": Assay.FLOW,
        "panel": "euroflow",
        "target_id": "aberrant_plasma_cells",
        "value": 0.0,
        "ci_low": 0.0,
        "ci_high": 1.23e-6,
        "numerator": 0,
        "denominator": 3_000_000,
        "denominator_unit": DenominatorUnit.NUCLEATED_CELLS,
        "lod": 9.3e-6,
        "loq": 1.67e-5,
        "lod_basis": "20 events, 95 % power, 3,000,000 nucleated cells",
        "status": Status.NOT_DETECTED,
        "reason": Reason.BELOW_DECISION_COUNT,
        "qc": "pass",
        "run_id": "R1",
        "input_sha256": "0" * 64,
        "method_version": "test 1",
    }
    return MrdResult(**{**fields, **changes})
