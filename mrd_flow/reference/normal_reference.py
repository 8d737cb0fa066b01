"""Normal plasma cells as a mixture: what their phenotypes look like and how far marrows differ in them.

A component is one combination of antigen levels (CD19 low or high, CD45 low or high ...),
learned from marrows without disease (`mrd_flow.reference.learning`), and one wide
component stands for whatever else the plasma-cell gate lets through. A sample's own cells
move the levels and the weights within limits (`mrd_flow.reference.adaptation`).
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrd_flow.reference.gaussian_mixture import Gaussians
from pipeline.errors import ConfigRefused, DamagedFile, UsageError
from pipeline.formats.atomic import write_json
from pipeline.formats.records import from_json, to_json

__all__ = ["TAIL", "NormalReference", "load_reference", "save_reference", "shipped_reference"]

Floats = NDArray[np.float64]
TAIL: tuple[float, ...] = tuple(float(p) for p in np.geomspace(1.0, 1e-5, 51))
"""Shares of normal cells that lie at least as far out as each of ``NormalReference.deviances``."""

_FORMAT = "nadir normal plasma cells 1"
_FOLDER = ("nadir_configs", "flow_reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalReference:
    """Normal plasma cells of one tube of a panel.

    ``features`` as in `mrd_flow.reference.plasma_cell_features`; ``levels`` gives for each
    component and feature 0 (low, or the only one) or 1 (high), ``sorts`` the sort of plasma
    cell it belongs to, -1 for what is none (pairs of cells and the like). ``weights`` are
    shares of the gated events; ``sort_spread`` is the standard deviation of the sorts'
    weights between marrows and ``weight_spread`` that of the components' within their
    sort, in ln units; ``shift_spread`` (n_features, 2) that of the position of each level,
    in the feature's unit. ``deviances`` are -ln density at the shares `TAIL` of normal
    cells. ``command`` remakes it; ``unverified`` says what it may not be relied on for.
    """

    format: str = _FORMAT
    panel: str
    tube: int
    version: str
    command: str
    unverified: str
    marrows: int
    cells: int
    features: tuple[str, ...]
    names: tuple[str, ...]
    levels: tuple[tuple[int, ...], ...]
    sorts: tuple[int, ...]
    weights: tuple[float, ...]
    sort_spread: tuple[float, ...]
    weight_spread: tuple[float, ...]
    means: tuple[tuple[float, ...], ...]
    covariances: tuple[tuple[tuple[float, ...], ...], ...]
    shift_spread: tuple[tuple[float, ...], ...]
    deviances: tuple[float, ...]

    def __post_init__(self) -> None:
        k, f = len(self.names), len(self.features)
        shapes = {
            "levels": (k, f),
            "sorts": (k,),
            "weights": (k,),
            "sort_spread": (len(set(self.sorts)),),
            "weight_spread": (k,),
            "means": (k, f),
            "covariances": (k, f, f),
            "shift_spread": (f, 2),
            "deviances": (len(TAIL),),
        }
        if self.format != _FORMAT or k < 1 or f < 1:
            raise ValueError(f"a reference has the format {_FORMAT!r}, components and features")
        for name, shape in shapes.items():
            try:
                values = np.array(getattr(self, name), np.float64)
            except ValueError:
                values = np.empty(0)
            if values.shape != shape or not np.isfinite(values).all():
                raise ValueError(f"{name} must be finite numbers in the shape {shape}")
        if min(*self.weights, *self.weight_spread, *self.sort_spread) <= 0:
            raise ValueError("weights and their spreads must be above 0")
        if not set(range(max(self.sorts) + 1)) <= set(self.sorts) or max(self.sorts) < 0:
            raise ValueError("sorts are numbered from 0 without a gap")

    @property
    def gaussians(self) -> Gaussians:
        """The components as arrays."""
        return Gaussians(means=np.array(self.means), covariances=np.array(self.covariances))

    @property
    def of_plasma_cells(self) -> NDArray[np.bool_]:
        """Which components are sorts of plasma cells."""
        return np.array(self.sorts) >= 0

    def level(self, feature: str, level: int) -> tuple[float, float]:
        """Position and standard deviation of one level of a feature, over the components that have it.

        Where no component has the level, those of the other one.
        """
        at = self.features.index(feature)
        cells = self.of_plasma_cells
        have = cells & (np.array(self.levels)[:, at] == level)
        have = have if have.any() else cells
        weights = np.array(self.weights)[have]
        means = np.array(self.means)[have, at]
        variances = np.array(self.covariances)[have, at, at]
        mean = float(np.average(means, weights=weights))
        return mean, float(np.sqrt(np.average(variances, weights=weights)))


def save_reference(path: Path, reference: NormalReference) -> None:
    """Write a reference as JSON, whole or not at all."""
    write_json(path, to_json(reference))


def load_reference(path: Path) -> NormalReference:
    """Read what `save_reference` wrote.

    Raises
    ------
    ConfigRefused
        If the file cannot be read or is not a reference.
    """
    try:
        value = json.loads(path.read_bytes())
        if not isinstance(value, dict):
            raise ValueError("not an object")
        return from_json(NormalReference, value, path=path)
    except (OSError, ValueError, RecursionError, DamagedFile) as error:
        raise ConfigRefused(
            "not a reference of normal plasma cells",
            path=path,
            expected=f"JSON of the format {_FORMAT!r}",
            remedy="learn it again from marrows without disease",
        ) from error


def shipped_reference(panel: str, tube: int) -> NormalReference:
    """The reference that ships for one tube (1-based) of a panel, learned from simulated marrows.

    Raises
    ------
    UsageError
        If none ships for that panel and tube.
    """
    package, folder = _FOLDER
    root = Path(str(files(package))) / folder
    names = sorted(p.stem for p in root.glob("*.json"))
    wanted = f"{panel}_{tube}"
    if wanted not in names:
        raise UsageError(
            "no reference of normal plasma cells ships for this panel and tube. "
            f"There are: {', '.join(names)}; learn one from your own marrows without disease"
        )
    return load_reference(root / f"{wanted}.json")
