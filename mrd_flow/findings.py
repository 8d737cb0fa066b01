"""What a batch keeps of every flow sample beside its numbers: phenotype, light chains, dilution, flags."""

from collections.abc import Iterator, Sequence

from mrd_flow.call import FlowCalls
from mrd_flow.evidence import FlowEvidence
from mrd_flow.hemodilution import Hemodilution
from mrd_flow.numbers import Numbers
from mrd_flow.statements import (
    clone_statement,
    dilution_statement,
    expectation_statements,
    light_chain_statement,
)
from pipeline.model import Finding, MrdResult

__all__ = ["findings_of"]


def findings_of(evidence: Sequence[FlowEvidence], calls: FlowCalls) -> tuple[Finding, ...]:
    """Every sentence about every sample of a patient, sample by sample.

    Parameters
    ----------
    evidence, calls
        Of the same samples in the same order.
    """
    found = []
    for sample, result, numbers, dilution in zip(
        evidence, calls.results, calls.numbers, calls.dilutions, strict=True
    ):
        own = (sample.sample.timepoint, sample.rules.panel)
        said = [
            *_clone(sample, numbers),
            *_dilution(dilution, result),
            *_overrides(sample),
            *(("flag", f.code, f.text) for f in calls.flags if (f.timepoint, f.panel) == own),
        ]
        found += [_finding(sample, result, *sentence) for sentence in said]
    return tuple(found)


def _clone(evidence: FlowEvidence, numbers: Numbers) -> Iterator[tuple[str, str, str]]:
    found = evidence.classification
    if found is None:
        return
    yield "phenotype", "clone" if found.origin else "no_clone", clone_statement(found)
    for phenotype, text in expectation_statements(found, numbers):
        yield "phenotype", "expected_performance", f"{phenotype}: {text}"
    if found.origin and found.clonality is None:
        yield "clonality", "not_stained", "light chains were not stained"
    elif found.origin and found.clonality is not None:
        code = found.clonality.verdict.replace(" ", "_")
        yield "clonality", code, light_chain_statement(found.clonality)


def _dilution(found: Hemodilution, result: MrdResult) -> Iterator[tuple[str, str, str]]:
    yield "hemodilution", str(found.verdict), dilution_statement(found, result)


def _overrides(evidence: FlowEvidence) -> Iterator[tuple[str, str, str]]:
    for moved in evidence.overrides:
        who = f"by {moved.author} on {moved.made_on.date().isoformat()}: {moved.reason}"
        yield "override", "gate_moved", f"tube {moved.tube}, {moved.gate}: {moved.boundary}; {who}"


def _finding(evidence: FlowEvidence, result: MrdResult, topic: str, code: str, text: str) -> Finding:
    return Finding(
        patient_id=result.patient_id,
        timepoint=result.timepoint,
        collected_on=result.collected_on,
        material=result.material,
        assay=evidence.sample.assay,
        panel=result.panel,
        topic=topic,
        code=code,
        text=text,
    )
