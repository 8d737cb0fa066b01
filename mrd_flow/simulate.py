"""Tubes of a simulated marrow: real FCS files, and the truth beside them.

Modelled: the populations of `mrd_flow.populations`, heterogeneous normal plasma cells,
debris, doublets of any two cells, lognormal brightness, spillover between detectors,
photon and electronic noise, saturation at the top of the scale.

Not modelled: differences between patients in their normal cells, antigens that vary
together within a population, gain drift, clots and bubbles, carry-over, dead cells,
hidden CD38, tandem dyes that break, hemodilution, unlysed red cells. A gate's
performance here is an upper bound of that on patients' samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrd_flow.fcs_writer import Column, write_fcs
from mrd_flow.panel import Panel
from mrd_flow.populations import CellKinds, cell_kinds, spillover_matrix
from pipeline.errors import UsageError
from pipeline.formats.atomic import write_bytes, write_json
from pipeline.formats.records import to_json

__all__ = ["DEFAULT_PLASMA_CELL_FRACTION", "TubeTruth", "simulate_sample", "simulate_tube"]

DEFAULT_PLASMA_CELL_FRACTION = 0.0025
_DEBRIS_SHARE = 0.06  # of recorded events
_DOUBLET_SHARE = 0.025  # of recorded events
_ELECTRONIC_NOISE = 110.0  # channels
_PHOTON_GAIN = 0.6  # channels per photoelectron: variance = gain x signal
_TOP = np.float32(262143.0)
_AREA_TO_HEIGHT = 0.82
_EVENTS_PER_TICK = 5.0
_CHUNK_EVENTS = 1 << 16  # part of the simulation: changing it changes the bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeTruth:
    """What one simulated tube holds.

    ``nucleated`` counts single cells that are not debris; ``plasma_cells`` normal and
    aberrant ones, ``aberrant`` the clone's; ``doublets`` pairs recorded as one event.
    """

    tube: int
    events: int
    nucleated: int
    plasma_cells: int
    aberrant: int
    debris: int
    doublets: int
    phenotype: str
    light_chain: str
    aberrant_fraction: float
    plasma_cell_fraction: float


def simulate_tube(
    path: Path,
    panel: Panel,
    tube_index: int,
    *,
    events: int,
    aberrant_fraction: float,
    phenotype: str = "classic",
    rng: np.random.Generator,
    plasma_cell_fraction: float = DEFAULT_PLASMA_CELL_FRACTION,
    light_chain: str = "cyKappa",
    event_truth: Path | None = None,
) -> TubeTruth:
    """Write one tube as FCS 3.1 and give its truth.

    Parameters
    ----------
    path
        The FCS file; replaced atomically.
    panel, tube_index
        The template, and which of its tubes (0-based).
    events
        Events recorded, debris and doublets among them.
    aberrant_fraction, plasma_cell_fraction
        The clone's and normal plasma cells as fractions of nucleated cells; the numbers
        drawn vary about them.
    phenotype, light_chain
        The clone's (`mrd_flow.populations.PHENOTYPES`; ``cyKappa`` or ``cyLambda``).
    rng
        Source of every random number: same state, same bytes.
    event_truth
        Where to write each event's kind as ``.npy``: uint8, 0 other nucleated cell,
        1 normal plasma cell, 2 aberrant plasma cell, 3 debris, 4 doublet.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if events < 0 or light_chain not in ("cyKappa", "cyLambda"):
        raise ValueError("events must be at least 0, the light chain cyKappa or cyLambda")
    tube = panel.tubes[tube_index]
    fluorochromes = tuple(tube.markers.values())
    kinds = cell_kinds(
        tuple(tube.markers),
        plasma_cell_fraction=plasma_cell_fraction,
        aberrant_fraction=aberrant_fraction,
        phenotype=phenotype,
        light_chain=light_chain,
    )
    spillover = spillover_matrix(fluorochromes)
    seen: list[NDArray[np.uint8]] = []
    detectors = [f"{f}-A" for f in fluorochromes]
    columns = [
        *(Column(name=s) for s in ("FSC-A", "FSC-H", "SSC-A")),
        *(Column(name=d, stain=m) for d, m in zip(detectors, tube.markers, strict=True)),
        Column(name="Time", range=max(262144, int(events / _EVENTS_PER_TICK) + 1)),
    ]
    write_fcs(
        path,
        columns,
        _chunks(kinds, spillover, events, rng, seen),
        events=events,
        spillover=(detectors, spillover),
        keywords=(("$TIMESTEP", "0.01"), ("$CYT", "nadir simulation"), ("TUBE NAME", tube.name)),
    )
    codes = np.concatenate([np.empty(0, np.uint8), *seen])
    if event_truth is not None:
        _write_codes(event_truth, codes)
    return _truth(codes, tube_index + 1, phenotype, light_chain, aberrant_fraction, plasma_cell_fraction)


def simulate_sample(
    out: Path,
    panel: Panel,
    *,
    events: int,
    aberrant_fraction: float,
    plasma_cell_fraction: float = DEFAULT_PLASMA_CELL_FRACTION,
    phenotype: str = "classic",
    light_chain: str = "cyKappa",
    seed: int,
    event_truth: bool = False,
) -> tuple[TubeTruth, ...]:
    """Write every tube of a sample (``tube_1.fcs`` ...) and ``truth.json`` into a folder.

    Arguments as in `simulate_tube`; each tube has its own stream of random numbers.

    Raises
    ------
    UsageError
        If an argument is out of range.
    """
    truths = []
    for index in range(len(panel.tubes)):
        number = index + 1
        try:
            truth = simulate_tube(
                out / f"tube_{number}.fcs",
                panel,
                index,
                events=events,
                aberrant_fraction=aberrant_fraction,
                plasma_cell_fraction=plasma_cell_fraction,
                phenotype=phenotype,
                light_chain=light_chain,
                rng=np.random.default_rng([seed, number]),
                event_truth=out / f"tube_{number}.truth.npy" if event_truth else None,
            )
        except ValueError as error:
            raise UsageError(str(error)) from error
        truths.append(truth)
    write_json(out / "truth.json", {"panel": panel.name, "seed": seed, "tubes": [to_json(t) for t in truths]})
    return tuple(truths)


def _truth(
    codes: NDArray[np.uint8],
    tube: int,
    phenotype: str,
    light_chain: str,
    aberrant_fraction: float,
    plasma_cell_fraction: float,
) -> TubeTruth:
    other, normal, aberrant, debris, doublets = (int(c) for c in np.bincount(codes, minlength=5))
    return TubeTruth(
        tube=tube,
        events=len(codes),
        nucleated=other + normal + aberrant,
        plasma_cells=normal + aberrant,
        aberrant=aberrant,
        debris=debris,
        doublets=doublets,
        phenotype=phenotype,
        light_chain=light_chain,
        aberrant_fraction=aberrant_fraction,
        plasma_cell_fraction=plasma_cell_fraction,
    )


def _chunks(
    kinds: CellKinds,
    spillover: NDArray[np.float64],
    events: int,
    rng: np.random.Generator,
    seen: list[NDArray[np.uint8]],
) -> Iterator[NDArray[np.float32]]:
    """Events in order of time; their codes are appended to ``seen``."""
    mixing = spillover.astype(np.float32)
    for first in range(0, events, _CHUNK_EVENTS):
        size = min(_CHUNK_EVENTS, events - first)
        scatter, light, codes = _cells(kinds, size, rng)
        seen.append(codes)
        mixed = light @ mixing
        noise = rng.standard_normal(mixed.shape, dtype=np.float32)
        noise *= np.sqrt(_PHOTON_GAIN * mixed + np.float32(_ELECTRONIC_NOISE**2))
        mixed += noise
        ticks = np.floor(np.arange(first, first + size) / _EVENTS_PER_TICK).astype(np.float32)
        yield np.column_stack([np.clip(scatter, 0, _TOP), np.minimum(mixed, _TOP), ticks])


def _cells(
    kinds: CellKinds, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """Scatter (size, 3), true light (size, n_markers) and truth code of each event."""
    rows = _drawn(kinds, size, rng)
    fate = rng.random(size)
    debris = fate < _DEBRIS_SHARE
    rows[debris] = len(kinds.names) - 1
    paired = np.flatnonzero(fate > 1 - _DOUBLET_SHARE)
    scatter, light = _shown(kinds, rows, rng)
    second, more = _shown(kinds, _drawn(kinds, len(paired), rng), rng)
    # Two cells in the beam one after the other: areas add, heights do not.
    scatter[paired, 0] += second[:, 0]
    scatter[paired, 2] += second[:, 2]
    scatter[paired, 1] = np.maximum(scatter[paired, 1], second[:, 1]) * np.float32(1.05)
    light[paired] += more
    code_of_kind = np.zeros(len(kinds.names), np.uint8)
    code_of_kind[kinds.rows("normal_plasma_cell")] = 1
    code_of_kind[kinds.rows("aberrant_plasma_cell")] = 2
    code_of_kind[kinds.rows("debris")] = 3
    codes = code_of_kind[rows]
    codes[paired] = 4
    return scatter, light, codes


def _drawn(kinds: CellKinds, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Kinds of ``size`` single cells; double precision, for shares near one in a million."""
    return np.searchsorted(np.cumsum(kinds.share)[:-1], rng.random(size), side="right")


def _shown(
    kinds: CellKinds, rows: NDArray[np.intp], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """FSC-A, FSC-H, SSC-A and light of single cells."""
    normal = rng.standard_normal((len(rows), 3), dtype=np.float32)
    forward, forward_spread, side, side_spread = kinds.scatter[rows].T
    scatter = np.empty((len(rows), 3), np.float32)
    scatter[:, 0] = forward * np.exp(forward_spread * normal[:, 0])
    scatter[:, 1] = scatter[:, 0] * np.float32(_AREA_TO_HEIGHT) * np.exp(np.float32(0.035) * normal[:, 1])
    scatter[:, 2] = side * np.exp(side_spread * normal[:, 2])
    light = rng.standard_normal((len(rows), kinds.median_ln.shape[1]), dtype=np.float32)
    light *= kinds.spread[rows]
    light += kinds.median_ln[rows]
    return scatter, np.exp(light, out=light)


def _write_codes(path: Path, codes: NDArray[np.uint8]) -> None:
    import io

    buffer = io.BytesIO()
    np.save(buffer, codes, allow_pickle=False)
    write_bytes(path, buffer.getvalue())
