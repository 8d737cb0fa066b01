"""What a patient's page and its JSON say."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from pipeline.formats.records import to_json
from pipeline.model import GateCount, Marker
from pipeline.report.comparison import compared_pairs
from pipeline.report.data import ReportData
from pipeline.report.rows import ResultRow, result_rows
from pipeline.report.timeline import timeline
from pipeline.report.wording import Wording

__all__ = ["patient_json", "patient_page", "result_json"]


def patient_page(
    data: ReportData, patient_id: str, rows: Sequence[ResultRow], wording: Wording
) -> dict[str, Any]:
    """The variables of ``patient.html``; ``rows`` are this patient's."""
    figure = timeline(rows, data.thresholds)
    return {
        "patient_id": patient_id,
        "rows": rows,
        "latest": latest(rows),
        "figure": figure,
        "absent": [m.row for m in figure.marks if m.kind == "absent"] if figure else [],
        "one_scale": {r.result.unit for r in rows} == {"fraction_of_nucleated_cells"},
        "chip": _chip(data, patient_id),
        "revised": _revised(data, patient_id, wording),
        "signatures": [s for s in data.signatures if s.patient_id == patient_id],
        "pairs": compared_pairs(data, patient_id, wording),
        "markers": _markers(data, patient_id),
        "tubes": _tubes(data, patient_id),
        "findings": _findings(data, patient_id, wording),
        "populations": _populations(data, patient_id),
        "inputs": [f for f in data.provenance.inputs if f.patient_id == patient_id],
        "methods": method_versions(rows),
        "patient_notes": [n.text for n in data.patient_notes if n.patient_id == patient_id],
        "batch_notes": wording.counted("banner", "elsewhere", len(data.notes)) if data.notes else "",
    }


def patient_json(data: ReportData, patient_id: str, rows: Sequence[ResultRow]) -> dict[str, Any]:
    """The content of the page, and every field of every record behind it."""
    provenance = data.provenance
    return {
        "format": "nadir-patient-1",
        "study_id": data.study_id,
        "title": data.title,
        "patient_id": patient_id,
        "timepoints": [to_json(t) for t in data.timepoints],
        "thresholds": list(data.thresholds),
        "latest": [result_json(r) for r in latest(rows)],
        "results": [result_json(r) for r in rows],
        "pairs": [to_json(p) for p in data.pairs if p.patient_id == patient_id],
        "markers": [{**to_json(m), "share_of_reads": m.share_of_reads} for m in _markers(data, patient_id)],
        "gates": [
            {**to_json(g), "percent_parent": g.percent_parent}
            for g in data.gates
            if g.patient_id == patient_id
        ],
        "chip": [to_json(c) for c in data.chip if c.patient_id == patient_id],
        "chip_variants": [to_json(v) for v in data.chip_variants if v.patient_id == patient_id],
        "revisions": [to_json(r) for r in data.revisions if r.sample.patient_id == patient_id],
        "signatures": [to_json(s) for s in data.signatures if s.patient_id == patient_id],
        "findings": [to_json(f) for f in data.findings if f.patient_id == patient_id],
        "populations": [to_json(p) for p in data.populations if p.patient_id == patient_id],
        "population_changes": [to_json(c) for c in data.changes if c.patient_id == patient_id],
        "provenance": {
            "version": provenance.version,
            "config_sha256": provenance.config_sha256,
            "plan_sha256": provenance.plan_sha256,
            "inputs": [to_json(f) for f in provenance.inputs if f.patient_id == patient_id],
            "methods": [{"method": m, "version": v} for m, v in method_versions(rows)],
        },
        "notes": [n.text for n in data.patient_notes if n.patient_id == patient_id],
        "batch_notes": len(data.notes),
        "unverified": list(data.unverified),
    }


def result_json(row: ResultRow) -> dict[str, Any]:
    """All fields of a result, its readings, and what they mean."""
    return {
        **to_json(row.result),
        "method": row.result.method,
        "validated": row.validated,
        "reason_text": row.reason,
        "headline": row.headline,
        "readings": [{**to_json(call.reading), "reason_text": call.sentence} for call in row.calls],
    }


def latest(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Results of the last visit at which each method looked at each target, by method."""
    last: dict[tuple[int, str], tuple[date, int]] = {}
    for row in rows:
        key, visit = (row.style.number, row.result.target_id), (row.result.collected_on, row.visit)
        last[key] = max(visit, last.get(key, visit))
    found = [r for r in rows if last[r.style.number, r.result.target_id] == (r.result.collected_on, r.visit)]
    return sorted(found, key=lambda r: (r.style.number, r.result.target_id, r.result.material))


def method_versions(rows: Sequence[ResultRow]) -> list[tuple[str, str]]:
    """Methods with the version that made their results; one method can have had several."""
    return sorted({(r.style.label, r.result.method_version) for r in rows})


def _markers(data: ReportData, patient_id: str) -> list[Marker]:
    """Candidates of one patient, tracked ones first."""
    own = [m for m in data.markers if m.patient_id == patient_id]
    return sorted(own, key=lambda m: (not m.taken, m.locus, -m.reads, m.target_id))


def _chip(data: ReportData, patient_id: str) -> list[dict[str, Any]]:
    """Each sample's result of clonal haematopoiesis with the variants that are in it or ask for eyes."""
    return [
        {
            "result": result,
            "variants": [
                v
                for v in data.chip_variants
                if (v.patient_id, v.timepoint) == (patient_id, result.timepoint) and v.verdict != "OUT"
            ],
            "left_out": sum(
                (v.patient_id, v.timepoint, v.verdict) == (patient_id, result.timepoint, "OUT")
                for v in data.chip_variants
            ),
        }
        for result in data.chip
        if result.patient_id == patient_id
    ]


def _revised(data: ReportData, patient_id: str, wording: Wording) -> list[dict[str, Any]]:
    """Each sample that a reviewer changed: what, why, and the results after it as rows."""
    return [
        {
            "timepoint": revision.sample.timepoint,
            "changes": revision.changes,
            "applies": revision.applies,
            "rows": result_rows(replace(data, results=revision.results), wording),
        }
        for revision in data.revisions
        if revision.sample.patient_id == patient_id
    ]


def _findings(data: ReportData, patient_id: str, wording: Wording) -> list[dict[str, Any]]:
    """What was said of each sample by each method, in the order of the visits; topics in the order given."""
    rank = {code: i for i, code in enumerate(data.timepoint_codes)}
    samples: dict[tuple[int, str, str, str], dict[str, list[str]]] = {}
    for found in data.findings:
        if found.patient_id == patient_id:
            method = wording.method(found.assay, found.panel)
            key = (rank.get(found.timepoint, len(rank)), found.timepoint, method, str(found.material))
            samples.setdefault(key, {}).setdefault(found.topic, []).append(found.text)
    return [
        {
            "timepoint": timepoint,
            "method": method,
            "material": wording.texts["material"][material],
            "topics": [(wording.texts["topic"].get(topic, topic), said) for topic, said in topics.items()],
        }
        for (_, timepoint, method, material), topics in sorted(samples.items(), key=lambda s: s[0])
    ]


def _populations(data: ReportData, patient_id: str) -> list[dict[str, Any]]:
    """Shares of populations with the visits as columns, one table a panel; changes since the first visit."""
    rank = {code: i for i, code in enumerate(data.timepoint_codes)}
    own = [p for p in data.populations if p.patient_id == patient_id]
    changes = {
        (c.panel, c.path, c.timepoint): c
        for c in data.changes
        if c.patient_id == patient_id and c.measure == "fraction"
    }
    tables = []
    for panel in sorted({p.panel for p in own}):
        shares = {(p.path, p.timepoint): p for p in own if p.panel == panel}
        visits = sorted({t for _, t in shares}, key=lambda t: (rank.get(t, len(rank)), t))
        tables.append(
            {
                "panel": panel,
                "visits": visits,
                "rows": [
                    {
                        "name": path.rsplit("/", 1)[-1],
                        "depth": path.count("/"),
                        "cells": [(shares.get((path, t)), changes.get((panel, path, t))) for t in visits],
                    }
                    for path in dict.fromkeys(p.path for p in own if p.panel == panel)
                ],
            }
        )
    return tables


def _tubes(data: ReportData, patient_id: str) -> list[dict[str, Any]]:
    """Gates by visit, panel and tube, in the order of the visits; gates in the order given."""
    rank = {code: i for i, code in enumerate(data.timepoint_codes)}
    tubes: dict[tuple[int, str, str, int], list[GateCount]] = {}
    for gate in data.gates:
        if gate.patient_id == patient_id:
            key = (rank.get(gate.timepoint, len(rank)), gate.timepoint, gate.panel, gate.tube)
            tubes.setdefault(key, []).append(gate)
    return [
        {
            "timepoint": timepoint,
            "panel": panel,
            "tube": tube,
            "gates": gates,
            "unverified": any(g.unverified for g in gates),
        }
        for (_, timepoint, panel, tube), gates in sorted(tubes.items(), key=lambda t: t[0])
    ]
