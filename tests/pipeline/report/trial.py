"""A small trial as the report sees it: four stories, and the same repeated to any size.

P01 responds: negative one year into maintenance, in samples deep enough to say so.
P02 relapses after a low found below the limit of quantification. P03 has no clone that
could be sequenced, and an indeterminate tube. P04 is negative in samples too shallow to
say so at 1e-5.
"""

import hashlib
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from pipeline.detection import garwood, sample_lod
from pipeline.model import Assay, DenominatorUnit, GateCount, Marker, Material, MrdResult, Reason, Status
from pipeline.report import InputFile, PatientNote, Provenance, ReportData, TimepointLabel

TIMEPOINTS = (
    ("BASE", "before treatment", date(2025, 1, 14)),
    ("IND", "after induction", date(2025, 5, 20)),
    ("ASCT", "day 60-90 after transplant", date(2025, 9, 9)),
    ("MNT1Y", "one year of maintenance", date(2026, 9, 15)),
)
SEVEN = (
    ("BASE", "before treatment", date(2025, 1, 14)),
    ("IND", "after induction", date(2025, 5, 20)),
    ("PBSC", "harvest", date(2025, 6, 10)),
    ("ASCT", "day 60-90 after transplant", date(2025, 9, 9)),
    ("CONS", "after consolidation", date(2026, 1, 20)),
    ("MNT1Y", "one year of maintenance", date(2026, 9, 15)),
    ("MNT2Y", "two years of maintenance", date(2027, 9, 14)),
)
METHODS = ((Assay.FLOW, "euroflow"), (Assay.FLOW, "srl"), (Assay.NGS, ""))

# found and examined per visit, for EuroFlow, SRL and sequencing
STORIES: dict[str, tuple[tuple[tuple[float, int], ...], ...]] = {
    "P01": (
        ((11_904, 60_200), (5_930, 30_100), (9_811.0, 50_000)),
        ((1_031, 1_002_000), (502, 498_000), (948.4, 1_000_000)),
        ((212, 4_020_000), (131, 2_101_000), (61.3, 1_000_000)),
        ((3, 10_040_000), (1, 9_120_000), (0, 1_000_000)),
    ),
    "P02": (
        ((15_012, 61_000), (7_407, 29_800), (12_377.0, 50_000)),
        ((640, 3_110_000), (288, 1_490_000), (214.2, 1_000_000)),
        ((34, 9_870_000), (22, 8_020_000), (3.1, 1_000_000)),
        ((4_201, 1_003_000), (2_097, 502_000), (3_911.0, 1_000_000)),
    ),
    "P03": (
        ((7_210, 60_400), (3_650, 30_300), (0, 50_000)),
        ((1_366, 150_400), (661, 75_000), (0, 800_000)),
        ((205, 200_300), (41, 99_000), (0, 800_000)),
        ((118, 300_400), (63, 150_200), (0, 800_000)),
    ),
    "P04": (
        ((9_066, 60_100), (4_490, 30_000), (7_420.0, 50_000)),
        ((173, 301_000), (95, 148_800), (291.5, 500_000)),
        ((4, 302_000), (1, 151_100), (0, 152_000)),
        ((2, 398_000), (0, 12_400), (0, 201_000)),
    ),
}
DIGEST = hashlib.sha256(b"simulated").hexdigest()


def trial(patients: int = 4, *, visits: tuple[tuple[str, str, date], ...] = TIMEPOINTS) -> ReportData:
    """The four stories, repeated under other identifiers until there are ``patients``."""
    stories = list(STORIES)
    results, markers, gates, inputs = [], [], [], []
    width = max(2, len(str(patients)))
    for number in range(patients):
        patient, story = f"P{number + 1:0{width}d}", stories[number % 4]
        own = patient_results(patient, story, visits, days=3 * (number // 4))
        results += own
        markers += patient_markers(patient, trackable=story != "P03")
        gates += [g for r in own if r.assay is Assay.FLOW for g in patient_gates(r)]
        inputs += [
            InputFile(patient_id=patient, name=f"{patient}_{r.timepoint}_{r.assay}{i}", sha256=DIGEST)
            for r in own
            for i in (1, 2)
        ]
    return ReportData(
        study_id="NADIR-DEMO",
        title="NADIR-DEMO: a simulated trial",
        timepoints=tuple(TimepointLabel(code=c, label=label) for c, label, _ in visits),
        thresholds=(1e-5, 1e-6),
        results=tuple(results),
        markers=tuple(markers),
        gates=tuple(gates),
        provenance=Provenance(
            version="0.1.0", config_sha256=DIGEST, plan_sha256=DIGEST, inputs=tuple(inputs)
        ),
    )


def with_troubles(data: ReportData) -> ReportData:
    """The same with a failed task, a patient's note and an unverified default."""
    return replace(
        data,
        notes=("Task P04-ngs failed: P04_IND_R1.fastq.gz ends in the middle of a record.",),
        patient_notes=(PatientNote(patient_id="P04", text="Sequencing of IND failed and is missing here."),),
        unverified=("flow background of the SRL panel",),
    )


def patient_results(
    patient: str, story: str, visits: tuple[tuple[str, str, date], ...], *, days: int = 0
) -> list[MrdResult]:
    results = []
    for i, (code, _, day) in enumerate(visits):
        counts = STORIES[story][round(i * 3 / (len(visits) - 1)) if len(visits) > 1 else 0]
        for (assay, panel), (found, examined) in zip(METHODS, counts, strict=True):
            changes: dict[str, Any] = {}
            if story == "P03" and assay is Assay.NGS:
                changes = NO_CLONE
            elif story == "P03" and code == "ASCT" and panel == "srl":
                changes = {
                    "status": Status.INDETERMINATE,
                    "reason": Reason.DISCORDANT_TUBES,
                    "qc": "discordant_tubes; time_gap",
                }
            elif story == "P04" and code == "MNT1Y" and panel == "srl":
                changes = {"status": Status.INDETERMINATE, "reason": Reason.FAILED_QC, "qc": "time_gap"}
            results.append(
                counted(patient, code, day + timedelta(days=days), assay, panel, found, examined, **changes)
            )
    return results


NO_CLONE = {
    "value": None,
    "ci_low": None,
    "ci_high": None,
    "lod": None,
    "loq": None,
    "lod_basis": "no marker, so no limit can be given",
    "status": Status.NOT_EVALUABLE,
    "reason": Reason.NO_TRACKABLE_CLONE,
}


def counted(
    patient: str, code: str, day: date, assay: Assay, panel: str, found: float, examined: int, **changes: Any
) -> MrdResult:
    """A result of a count, with the house's own interval and limit."""
    needed = 20 if assay is Assay.FLOW else 1
    interval = garwood(found)
    detected = found >= needed
    fields: dict[str, Any] = {
        "study_id": "NADIR-DEMO",
        "patient_id": patient,
        "timepoint": code,
        "collected_on": day,
        "material": Material.STEM_CELL_PRODUCT if code == "PBSC" else Material.BONE_MARROW,
        "assay": assay,
        "panel": panel,
        "target_id": "aberrant_plasma_cells" if assay is Assay.FLOW else "IGH-1",
        "value": found / examined,
        "ci_low": interval.low / examined,
        "ci_high": interval.high / examined,
        "numerator": found,
        "denominator": examined,
        "denominator_unit": DenominatorUnit.NUCLEATED_CELLS,
        "lod": sample_lod(examined, needed),
        "loq": 50 / examined if assay is Assay.FLOW else 10 / examined,
        "lod_basis": f"{needed} or more with 95% probability among {examined} nucleated cells",
        "status": Status.DETECTED if detected else Status.NOT_DETECTED,
        "reason": Reason.AT_OR_ABOVE_DECISION_COUNT if detected else Reason.BELOW_DECISION_COUNT,
        "qc": "",
        "run_id": f"R{code}-{assay}",
        "input_sha256": DIGEST,
        "method_version": "flow-gates-1" if assay is Assay.FLOW else "ngs-track-1",
    }
    return MrdResult(**{**fields, **changes})


def patient_markers(patient: str, *, trackable: bool) -> list[Marker]:
    first = Marker(
        patient_id=patient,
        target_id="IGH-1",
        locus="IGH",
        v_call="IGHV3-23*01",
        d_call="IGHD3-10*01",
        j_call="IGHJ4*02",
        junction="TGTGCGAAAGATCGGGGTTCGGGGAGTTATTATAACGGCTTTGACTACTGG",
        sequence="GCCGTGTATTACTGTGCGAAAGATCGGGGTTCGGGGAGTTATTATAACGGCTTTGACTACTGGGGCCAGG",
        reads=48_112,
        locus_reads=61_540,
        templates=9_820.0,
        fraction_of_cells=0.196,
        taken=True,
        reason="above 5 % of cells and 0.2 % of cells beyond the next decade",
    )
    second = replace(
        first,
        target_id="IGH-2",
        v_call="IGHV1-69*01",
        d_call="",
        j_call="IGHJ6*02",
        junction="TGTGCGAGAGGGTACTACTACGGTATGGACGTCTGG",
        reads=804,
        templates=None,
        fraction_of_cells=None,
        taken=False,
        reason="1.3 % of the locus: below the 5 % a clone's marker needs",
    )
    return [first, second] if trackable else [second]


def patient_gates(result: MrdResult) -> list[GateCount]:
    n = int(result.denominator)
    tubes = (1, 2) if result.panel == "euroflow" else (1,)
    chain = (
        ("time", n * 5 // 4, n * 5 // 4, "whole file", "no gap in Time"),
        ("singlets", n * 6 // 5, n * 5 // 4, "FSC-A against FSC-H", "ratio 0.82 to 1.21"),
        ("nucleated", n, n * 6 // 5, "valley", "CD45 above 310, SSC below 180,000"),
        ("plasma cells", n // 300, n, "valley", "CD38 above 21,000 and CD138 above 1,150"),
        ("aberrant", int(result.numerator), n // 300, "template", "CD19 negative, CD56 above 4,000"),
    )
    return [
        GateCount(
            patient_id=result.patient_id,
            timepoint=result.timepoint,
            panel=result.panel,
            tube=tube,
            gate=name,
            path="/".join(link[0] for link in chain[: depth + 1]),
            count=count,
            parent_count=parent,
            rule=rule,
            detail=detail,
            unverified=name == "aberrant" and result.panel == "srl",
        )
        for tube in tubes
        for depth, (name, count, parent, rule, detail) in enumerate(chain)
    ]
