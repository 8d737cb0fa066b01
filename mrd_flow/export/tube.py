"""A tube gated again as its result was, to be handed to other programs: gates, cells, and a record of both.

The file is put through the result's template and overrides; where the counts are not the
result's, nothing is written, so that an export always belongs to its result.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mrd_flow.evidence import FlowSettings
from mrd_flow.export.gated_fcs import write_gated_fcs
from mrd_flow.export.gatingml import gatingml_of
from mrd_flow.export.miflowcyt import miflowcyt_record
from mrd_flow.gating.overrides import Override
from mrd_flow.gating.tube import GatedTube
from mrd_flow.opened import OpenedTube, open_tube
from mrd_flow.panel.template import Panel, load_panel
from mrd_flow.read import gated_tube, guarded_tube
from pipeline.errors import DamagedFile, InputRefused, UsageError
from pipeline.formats.atomic import write_json, write_text
from pipeline.formats.digest import sha256_file

__all__ = ["FORMS", "Regated", "export_tube", "regated"]

FORMS = ("gatingml", "fcs", "miflowcyt")
"""What ``nadir flow export --as`` takes."""

_COUNTED = ("gate", "count", "parent_count")


@dataclass(frozen=True, slots=True, kw_only=True)
class Regated:
    """A tube gated as its result says: the counts are the same."""

    path: Path
    tube: OpenedTube
    gated: GatedTube
    panel: Panel
    overrides: tuple[Override, ...]
    result: dict[str, Any]


def export_tube(
    file: Path,
    result: Path,
    form: str,
    out: Path,
    *,
    gate: str = "",
    cells: Path | None = None,
    panel: str = "",
) -> int:
    """Write what another program can read of one tube of a result.

    Parameters
    ----------
    file
        The tube's FCS file.
    result
        ``result.json`` of `nadir flow mrd` for the sample that the tube belongs to.
    form
        ``gatingml``: Gating-ML 2.0 of the gates applied. ``fcs``: the events of one gate.
        ``miflowcyt``: a record of specimen, reagents, instrument and gates.
    out
        The file to write; replaced atomically.
    gate
        For ``fcs``: which gate's events; the plasma cells if empty.
    cells
        For ``fcs``: the table of ``nadir flow mrd --events``, whose classes and deviations
        are added as parameters.
    panel
        The template, where the result's is not one that ships.

    Returns
    -------
    int
        Events (``fcs``) or gates written.

    Raises
    ------
    UsageError
        If the form, panel or gate is not known.
    InputRefused, DamagedFile
        If a file cannot be read, or the result is not of this file.
    """
    if form not in FORMS:
        raise UsageError(f"--as must be one of {', '.join(FORMS)}")
    if form != "fcs" and (gate or cells is not None):
        raise UsageError("--gate and --events go with --as fcs only")
    found = regated(file, result, panel=panel)
    tube, gated = found.tube, found.gated
    assert tube.data is not None
    assert tube.columns is not None
    assert tube.qc is not None
    if form == "gatingml":
        text = gatingml_of(gated, tube.data, found.panel, tube.tube, tube.columns, overrides=found.overrides)
        write_text(out, text)
        return len(gated.gates)
    if form == "miflowcyt":
        record = miflowcyt_record(tube, gated, found.panel, found.result, sha256=sha256_file(file))
        write_json(out, record)
        return len(gated.gates)
    return write_gated_fcs(
        out, tube.data, gated, found.panel, tube.tube, tube.columns, kept=tube.qc.kept, gate=gate, cells=cells
    )


def regated(file: Path, result: Path, *, panel: str = "") -> Regated:
    """Put a file through the gates of its result again.

    Raises
    ------
    UsageError
        If the panel is not known.
    InputRefused, DamagedFile
        If a file cannot be read, or the counts are not the result's.
    """
    document = _read_result(result)
    template = load_panel(panel or str(document["panel"]))
    if (template.name, template.version) != (document["panel"], document["panel_version"]):
        raise InputRefused("the result was made with another template, or another version of it", path=result)
    overrides = _overrides(document["overrides"], result)
    settings = FlowSettings()  # what it holds of reading bounds the memory and changes no count
    for number in range(1, len(template.tubes) + 1):
        tube = open_tube(file, template, number)
        if not tube.mismatch:
            tube = guarded_tube(tube, template, settings)
            gated = gated_tube(tube, template, settings, overrides)
            if gated is not None and _same_counts(gated, document["gates"], number):
                return Regated(
                    path=file,
                    tube=tube,
                    gated=gated,
                    panel=template,
                    overrides=overrides,
                    result=document,
                )
    raise InputRefused(
        "the gates do not give the result's counts in this file",
        path=file,
        expected="a tube of the sample that the result is of",
        remedy="give the file that the result was made from, or make the result again",
    )


def _same_counts(gated: GatedTube, gates: Sequence[dict[str, Any]], tube: int) -> bool:
    stated = [tuple(g[k] for k in _COUNTED) for g in gates if g["tube"] == tube]
    return stated == [(t.gate, t.count, t.parent_count) for t in gated.tallies]


def _read_result(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise InputRefused(f"cannot be read ({error.strerror})", path=path) from error
    except (ValueError, RecursionError) as error:
        raise DamagedFile("not JSON", path=path) from error
    gates = document.get("gates") if isinstance(document, dict) else None
    whole = isinstance(gates, list) and all(
        isinstance(g, dict) and {"tube", *_COUNTED} <= g.keys() for g in gates
    )
    if not whole or not {"panel", "panel_version", "overrides", "tubes"} <= document.keys():
        raise DamagedFile("not a result of nadir flow mrd", path=path)
    return dict(document)


def _overrides(entries: Any, path: Path) -> tuple[Override, ...]:
    """Corrections as the result keeps them."""
    try:
        return tuple(
            Override(
                **{k: v for k, v in entry.items() if k not in ("boundary", "made_on", "vertices")},
                made_on=datetime.fromisoformat(entry["made_on"]),
                vertices=tuple((float(x), float(y)) for x, y in entry["vertices"]),
            )
            for entry in entries
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedFile("the overrides of the result cannot be read", path=path) from error
