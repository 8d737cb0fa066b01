"""What a simulated tube holds: counts, and a code for every event, written as it is drawn."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mrd_flow.simulation.acquisition_faults import Fault
from mrd_flow.simulation.plasma_cell_model import Patient
from mrd_flow.simulation.sample_model import SampleModel
from pipeline.formats.atomic import replacing

__all__ = ["FAULTY", "TubeTruth", "codes_file", "truth_of"]

FAULTY = 0x80
"""Bit of an event's truth code: the event lies inside a fault; the other bits are its kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeTruth:
    """What one simulated tube holds.

    ``nucleated`` counts single cells that are not debris; ``plasma_cells`` normal and
    aberrant ones, ``aberrant`` the clone's; ``doublets`` pairs recorded as one event;
    ``faulty`` events inside ``faults``. ``aberrant_fraction`` and
    ``plasma_cell_fraction`` are those of the marrow, before ``blood_share`` of the
    nucleated cells came with blood.
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
    blood_share: float = 0.0
    masking_log10: Mapping[str, float] = field(default_factory=dict)
    gain: Mapping[str, float] = field(default_factory=dict)
    drift: Mapping[str, float] = field(default_factory=dict)
    patient: Patient | None = None
    faulty: int = 0
    faults: tuple[Fault, ...] = ()


@contextmanager
def codes_file(path: Path | None, events: int) -> Iterator[BinaryIO | None]:
    """A ``.npy`` file of ``events`` bytes to be written piece by piece."""
    if path is None:
        yield None
        return
    with replacing(path) as temporary, temporary.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (events,)}
        np.lib.format.write_array_header_1_0(file, header)
        yield file


def truth_of(
    counts: NDArray[np.int64],
    tube: int,
    sample: SampleModel,
    gain: Mapping[str, float],
    drift: Mapping[str, float],
    faults: tuple[Fault, ...],
) -> TubeTruth:
    """The truth of a tube (1-based) from how often each code occurred, (256,)."""
    other, normal, aberrant, debris, doublets = (int(c) for c in (counts[:FAULTY] + counts[FAULTY:])[:5])
    return TubeTruth(
        tube=tube,
        events=int(counts.sum()),
        nucleated=other + normal + aberrant,
        plasma_cells=normal + aberrant,
        aberrant=aberrant,
        debris=debris,
        doublets=doublets,
        phenotype=sample.phenotype,
        light_chain=sample.light_chain,
        aberrant_fraction=sample.aberrant_fraction,
        plasma_cell_fraction=sample.plasma_cell_fraction,
        blood_share=sample.blood_share,
        masking_log10=dict(sample.masking_log10),
        gain=dict(gain),
        drift=dict(drift),
        patient=sample.patient,
        faulty=int(counts[FAULTY:].sum()),
        faults=faults,
    )
