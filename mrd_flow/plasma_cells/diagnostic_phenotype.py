"""The patient's own clone as it looked at diagnosis, kept as JSON for the samples that follow."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ConfigRefused, DamagedFile
from pipeline.formats.atomic import write_json
from pipeline.formats.records import from_json, to_json

__all__ = [
    "DiagnosticPhenotype",
    "TubePhenotype",
    "load_diagnostic_phenotype",
    "phenotype_from",
    "save_diagnostic_phenotype",
]

_FORMAT = "nadir diagnostic phenotype 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TubePhenotype:
    """The clone in one tube.

    ``mean`` (n_features,) stands where the clone would lie in a marrow whose normal cells
    are exactly those of the reference, so that another day's gain does not move it;
    ``covariance`` (n_features, n_features) between its ``cells`` cells; ``light_chain``
    cyKappa, cyLambda or empty; ``antigens`` pairs of marker and reduced, normal or increased.
    """

    tube: int
    cells: int
    light_chain: str
    features: tuple[str, ...]
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    antigens: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        size = len(self.features)
        covariance = np.array(self.covariance, np.float64)
        if self.cells < 1 or len(self.mean) != size or covariance.shape != (size, size):
            raise ValueError("a phenotype needs cells, and a mean and covariance of its features")
        if not np.isfinite(self.mean).all() or not (np.linalg.eigvalsh(covariance) > 0).all():
            raise ValueError("a phenotype needs a finite mean and a positive definite covariance")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosticPhenotype:
    """The clone in each tube of a panel in which it was found at diagnosis."""

    format: str = _FORMAT
    panel: str
    tubes: tuple[TubePhenotype, ...]

    def __post_init__(self) -> None:
        if self.format != _FORMAT or not self.tubes:
            raise ValueError(f"a diagnostic phenotype has the format {_FORMAT!r} and at least one tube")

    def of(self, tube: int) -> TubePhenotype | None:
        """The clone in a tube (1-based), or None."""
        return next((t for t in self.tubes if t.tube == tube), None)


def phenotype_from(value: dict[str, Any]) -> DiagnosticPhenotype:
    """A phenotype from its JSON object.

    Raises
    ------
    ValueError, TypeError, KeyError, AttributeError, DamagedFile
        If it is none; who reads it from a file says which.
    """
    tubes = tuple(from_json(TubePhenotype, tube) for tube in value["tubes"])
    return DiagnosticPhenotype(**(value | {"tubes": tubes}))


def save_diagnostic_phenotype(path: Path, phenotype: DiagnosticPhenotype) -> None:
    """Write a phenotype as JSON, whole or not at all."""
    write_json(path, to_json(phenotype))


def load_diagnostic_phenotype(path: Path) -> DiagnosticPhenotype:
    """Read what `save_diagnostic_phenotype` wrote.

    Raises
    ------
    ConfigRefused
        If the file cannot be read or is not a diagnostic phenotype.
    """
    try:
        return phenotype_from(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError, DamagedFile) as error:
        raise ConfigRefused(
            "not a diagnostic phenotype",
            path=path,
            expected=f"JSON of the format {_FORMAT!r}",
            remedy="make it again from the sample at diagnosis",
        ) from error
