"""A record of one tube after MIFlowCyt (Lee et al., Cytometry A 2008;73:926): what stands in the files.

What no file states is said to be "not stated"; nobody is named.
"""

import re
from typing import Any

from mrd_flow.fcs.data_sets import DataSet
from mrd_flow.gating.tube import GatedTube
from mrd_flow.opened import OpenedTube
from mrd_flow.panel.template import Panel
from pipeline.errors import printable

__all__ = ["NOT_STATED", "miflowcyt_record"]

NOT_STATED = "not stated"
_LONGEST = 120
_INSTRUMENT = {"model": "$CYT", "serial_number": "$CYTSN"}
# Of each parameter: voltage, filter, laser, power, detector. $PnS, $PnN stand with the reagents.
_OPTICS = {"voltage": "V", "filter": "F", "excitation_nm": "L", "excitation_mw": "O", "detector": "T"}
_NUMBERED = re.compile(r"\d+")


def miflowcyt_record(
    tube: OpenedTube, gated: GatedTube, panel: Panel, result: dict[str, Any], *, sha256: str
) -> dict[str, Any]:
    """The record, ready for JSON.

    Parameters
    ----------
    tube, gated, panel
        As the result was made.
    result
        The result's document.
    sha256
        Of the tube's file.
    """
    data = tube.data
    assert data is not None
    return {
        "format": "nadir miflowcyt 1",
        "experiment": {
            "purpose": "residual plasma cells of myeloma per nucleated cell",
            "variables": {"timepoint": _stated(result, "timepoint"), "panel": panel.title},
            "quality": [{"code": f["code"], "text": f["text"]} for f in result.get("flags", [])],
            "organisation": NOT_STATED,
            "contact": NOT_STATED,
        },
        "specimen": {
            "material": _stated(result, "material"),
            "subject": _stated(result, "patient_id"),
            "organism": "Homo sapiens",
            "treatment": NOT_STATED,
        },
        "reagents": _reagents(panel, tube),
        "instrument": _instrument(data, tube),
        "data": {
            "file_sha256": sha256,
            "fcs_version": data.version,
            "events": data.events,
            "compensation": _compensation(data),
            "acquisition_check": {
                "removed_events": gated.excluded,
                "not_checked": tube.qc.not_checked if tube.qc is not None else NOT_STATED,
            },
            "scales": {m: panel.logicle_of(m).model_dump() for m in panel.tubes[tube.tube - 1].markers},
        },
        "gates": [
            {
                "gate": t.gate,
                "path": t.path,
                "boundary": t.detail,
                "rule": t.rule,
                "unverified": t.unverified,
                "count": t.count,
                "parent_count": t.parent_count,
            }
            for t in gated.tallies
        ],
        "template": {"name": panel.name, "version": panel.version, "tube": tube.tube},
    }


def _stated(result: dict[str, Any], key: str) -> str:
    return _short(str(result.get(key, "")))


def _reagents(panel: Panel, tube: OpenedTube) -> list[dict[str, Any]]:
    """What the template expects and the file names; clones and lots stand in neither."""
    assert tube.data is not None
    assert tube.columns is not None
    found = []
    for marker, fluorochrome in panel.tubes[tube.tube - 1].markers.items():
        parameter = tube.data.parameters[tube.columns[marker]]
        found.append(
            {
                "analyte": marker,
                "fluorochrome": fluorochrome,
                "parameter": _short(parameter.name),
                "stain": _short(parameter.stain),
                "clone": NOT_STATED,
                "manufacturer": NOT_STATED,
                "lot": NOT_STATED,
            }
        )
    return found


def _instrument(data: DataSet, tube: OpenedTube) -> dict[str, Any]:
    """Technical keywords alone: others may hold a person's name."""
    described: dict[str, Any] = {
        name: _short(data.keywords.get(keyword, "")) for name, keyword in _INSTRUMENT.items()
    }
    assert tube.columns is not None
    described["parameters"] = [
        {"parameter": _short(data.parameters[column].name)}
        | {
            name: _technical(data.keywords.get(f"$P{column + 1}{letter}", ""))
            for name, letter in _OPTICS.items()
        }
        for column in sorted(tube.columns.values())
    ]
    return described


def _technical(text: str) -> str:
    """Only what holds a number is a setting."""
    return _short(text) if _NUMBERED.search(text) else NOT_STATED


def _compensation(data: DataSet) -> dict[str, Any] | str:
    if data.spillover is None:
        return NOT_STATED
    return {
        "source": "the file's spillover matrix",
        "parameters": [_short(data.parameters[c].name) for c in data.spillover.columns],
        "matrix": data.spillover.matrix.tolist(),
    }


def _short(text: str) -> str:
    shown = printable(text.strip())[:_LONGEST]
    return shown or NOT_STATED
