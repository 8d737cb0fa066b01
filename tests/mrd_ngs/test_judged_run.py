"""What a judged run does to one patient's results: a word in qc, or doubt, and no other patient's name."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from mrd_ngs.judged_run import Judged, read_judged, with_run
from mrd_ngs.run_control import Finding, MarkerFinding, SampleVerdict
from mrd_ngs.settings import NgsSettings
from pipeline.errors import DamagedFile
from pipeline.formats.records import to_json
from pipeline.model import WHOLE_CLONE, Assay, DenominatorUnit, Material, MrdResult, Reason, Role, Status

SETTINGS = NgsSettings()


def result(**changes: Any) -> MrdResult:
    fields: dict[str, Any] = {
        "study_id": "T1", "patient_id": "P01", "timepoint": "ASCT", "collected_on": date(2026, 3, 1),
        "material": Material.BONE_MARROW, "assay": Assay.NGS, "panel": "", "target_id": "IGH-1",
        "value": 1e-4, "ci_low": 1e-5, "ci_high": 1e-3, "numerator": 10.0, "denominator": 1e5,
        "denominator_unit": DenominatorUnit.NUCLEATED_CELLS, "lod": 1e-5, "loq": None, "lod_basis": "x",
        "status": Status.DETECTED, "reason": Reason.AT_OR_ABOVE_DECISION_COUNT, "qc": "pass",
        "run_id": "R1", "input_sha256": "a" * 64, "method_version": "t",
    }  # fmt: skip
    return MrdResult(**{**fields, **changes})


def finding(**changes: Any) -> MarkerFinding:
    """By default the patient's own marker, called with 60 reads."""
    fields: dict[str, Any] = {
        "sample": 1, "input_sha256": "a" * 64, "patient_id": "P01", "marker_patient_id": "P01",
        "target_id": "IGH-1", "reads": 60, "donor_reads": 0, "hopped_reads": 0.0, "look_alike_reads": 0.0,
        "decision_reads": 2, "finding": Finding.FOUND, "called": True,
    }  # fmt: skip
    return MarkerFinding(**{**fields, **changes})


def in_control(reads: int, marker_patient_id: str = "P01", target_id: str = "IGH-1") -> MarkerFinding:
    return finding(
        sample=9, input_sha256="c" * 64, patient_id="", marker_patient_id=marker_patient_id,
        target_id=target_id, reads=reads, finding=Finding.CONTAMINATION, called=False,
    )  # fmt: skip


def verdict(*problems: str, control: tuple[str, ...] = ()) -> SampleVerdict:
    return SampleVerdict(
        sample=9, input_sha256="c" * 64, patient_id="", role=Role.NEGATIVE, kept_reads=100, passed=False,
        problems=(*problems, *control), notes=(), control_problems=control,
    )  # fmt: skip


@pytest.fixture
def judged() -> Callable[..., Judged]:
    def make(*findings: MarkerFinding, **changes: Any) -> Judged:
        fields: dict[str, Any] = {
            "run_id": "R1", "findings": findings, "in_controls": (), "controls": (), "unread_controls": (),
            "unknown_patients": 0,
        }  # fmt: skip
        return Judged(**{**fields, **changes})

    return make


def test_a_run_without_findings_changes_nothing(judged) -> None:
    assert with_run(result(), judged(finding()), SETTINGS) == result()


@pytest.mark.parametrize(("reads", "status"), [(40, Status.DETECTED), (50, Status.INDETERMINATE)])
def test_a_clone_is_doubted_where_the_control_explains_its_reads(judged, reads: int, status: Status) -> None:
    # of one in 1,000 Poisson counts, 38 expected reads reach 59 and 48 reach 72; the clone has 60
    control = {"in_controls": (in_control(reads - 2),), "controls": (verdict("P01 IGH-1: …"),)}
    found = with_run(result(), judged(finding(), **control), SETTINGS)
    assert found.status is status
    assert found.reason is (Reason.FAILED_QC if status is Status.INDETERMINATE else result().reason)
    assert f"{reads - 2} reads of IGH-1 in a negative control" in found.qc


def test_a_negative_is_not_doubted(judged) -> None:
    negative = result(
        status=Status.NOT_DETECTED, reason=Reason.BELOW_DECISION_COUNT, value=0.0, ci_low=0.0, numerator=0.0
    )
    own = finding(reads=0, finding=Finding.ABSENT, called=False)
    control = {"in_controls": (in_control(500),), "controls": (verdict("P01 IGH-1: …"),)}
    assert with_run(negative, judged(own, **control), SETTINGS).status is Status.NOT_DETECTED


def test_a_clone_of_two_markers_is_doubted_only_if_both_are(judged) -> None:
    clone, kappa = result(target_id=WHOLE_CLONE), finding(target_id="IGK-1")
    one = {"in_controls": (in_control(80),), "controls": (verdict("P01 IGH-1: …"),)}
    assert with_run(clone, judged(finding(), kappa, **one), SETTINGS).status is Status.DETECTED
    both = {**one, "in_controls": (in_control(80), in_control(80, target_id="IGK-1"))}
    assert with_run(clone, judged(finding(), kappa, **both), SETTINGS).status is Status.INDETERMINATE


def test_what_is_wrong_with_controls_is_told_to_others_without_a_name(judged) -> None:
    control = {
        "controls": (verdict("P02 IGH-1: 80 reads", control=("200 reads in a negative control",)),),
        "unread_controls": (Role.POLYCLONAL,),
    }
    found = with_run(result(), judged(finding(), **control), SETTINGS)
    assert found.status is Status.DETECTED
    assert found.qc.split("; ") == [
        "run control: 200 reads in a negative control",
        "run control: another patient's clone in a negative control: contamination suspected",
        "run control: a polyclonal control could not be read",
    ]


def test_foreign_clones_that_hopping_explains_are_summed_up(judged) -> None:
    hops = [
        finding(marker_patient_id=patient, reads=reads, hopped_reads=expected, finding=Finding.HOPPING,
                called=False)
        for patient, reads, expected in (("P02", 3, 4.25), ("P03", 2, 2.5))
    ]  # fmt: skip
    found = with_run(result(), judged(finding(), *hops), SETTINGS)
    assert found.qc == (
        "run control: 5 reads of 2 other patients' clones, explained by hopping (6.8 expected at most)"
    )
    one = with_run(result(), judged(finding(), hops[0]), SETTINGS)
    assert one.qc.startswith("run control: 3 reads of another patient's clone, explained by hopping")


def test_only_this_patients_clone_in_controls_is_read() -> None:
    control = verdict("P01 IGH-1: …", "P02 IGH-1: …")
    document = {
        "run_id": "R1",
        "findings": [to_json(f) for f in (finding(), in_control(80), in_control(70, "P02"))],
        "samples": [to_json(control)],
        "samples_not_read": [{"role": "negative_control"}, {"role": "patient"}],
        "patients_without_marker": [],
    }
    read = read_judged(document, "P01")
    assert [f.reads for f in read.in_controls] == [80]
    assert [f.reads for f in read.findings] == [60]
    assert read.controls == (control,)
    assert read.unread_controls == (Role.NEGATIVE,)
    with pytest.raises(DamagedFile, match="not a run's control"):
        read_judged({**document, "samples_not_read": [{"role": "x"}]}, "P01")
