"""The clone at diagnosis, taken from the result of an earlier ``nadir flow mrd``."""

import json
from pathlib import Path

from mrd_flow.panel.template import Panel
from mrd_flow.plasma_cells.diagnostic_phenotype import DiagnosticPhenotype, phenotype_from
from pipeline.errors import ConfigRefused, DamagedFile, InputRefused

__all__ = ["read_diagnosis"]

_KEY = "diagnostic_phenotype"


def read_diagnosis(path: Path, panel: Panel) -> DiagnosticPhenotype:
    """The diagnostic phenotype that a ``result.json`` holds.

    Parameters
    ----------
    path
        A result of ``nadir flow mrd``.
    panel
        The template in use: the diagnosis must have been made with it.

    Raises
    ------
    ConfigRefused
        If the file is no such result, or the phenotype in it is damaged.
    InputRefused
        If no clone was found in that sample, or it was measured with another panel.
    """
    try:
        document = json.loads(path.read_bytes())
        value = document[_KEY]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _refusal(path) from error
    if value is None:
        raise InputRefused(
            "holds no diagnostic phenotype: no clone of enough cells was found in that sample",
            path=path,
            remedy="leave --diagnosis out; the clone is then looked for among known phenotypes",
        )
    try:
        phenotype = phenotype_from(value)
    except (ValueError, TypeError, KeyError, AttributeError, DamagedFile) as error:
        raise _refusal(path) from error
    if phenotype.panel != panel.name:
        raise InputRefused("was measured with another panel", path=path, expected=f"panel {panel.name}")
    return phenotype


def _refusal(path: Path) -> ConfigRefused:
    return ConfigRefused(
        "not a result that holds a diagnosis", path=path, expected="result.json of nadir flow mrd"
    )
