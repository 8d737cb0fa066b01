"""A clone's immunoglobulin rearrangements in plasma, as ``nadir ngs track`` counted them."""

import json
from pathlib import Path
from typing import Any

from cfdna.evidence import ClonotypeCount
from pipeline.errors import DamagedFile, InputRefused

__all__ = ["read_clonotypes"]

_REMEDY = "give what `nadir ngs track` wrote for the same plasma"


def read_clonotypes(path: Path) -> tuple[ClonotypeCount, ...]:
    """Rearrangements with templates found and haploid genomes looked at (two a nucleated cell).

    Raises
    ------
    InputRefused
        If there is no such file.
    DamagedFile
        If it is no such result.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputRefused("cannot be read", path=path, remedy=_REMEDY) from error
    except ValueError as error:
        raise DamagedFile("is not JSON", path=path, remedy=_REMEDY) from error
    rows = document.get("targets", [document]) if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise DamagedFile("is no tracking result", path=path, remedy=_REMEDY)
    try:
        counts = tuple(_count(row) for row in rows if row.get("target_id") not in ("clone", "none"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedFile("is no tracking result", path=path, remedy=_REMEDY) from error
    return tuple(count for count in counts if count.genomes > 0)


def _count(row: dict[str, Any]) -> ClonotypeCount:
    genomes = 2.0 * float(row["denominator"]) if row["denominator_unit"] == "nucleated_cells" else 0.0
    if row["status"] == "NOT_EVALUABLE":
        genomes = 0.0
    templates = min(float(row["numerator"]), genomes)
    return ClonotypeCount(target_id=str(row["target_id"]), genomes=genomes, templates=templates)
