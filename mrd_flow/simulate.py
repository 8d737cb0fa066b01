"""Tubes of a simulated marrow: real FCS files, and the truth beside them.

Modelled: the populations of `mrd_flow.simulation.populations` and the plasma cells of
`mrd_flow.simulation.plasma_cell_model` (heterogeneous, differing between patients, antigens that
vary together), debris, doublets of any two cells, spillover and the noise it spreads,
saturation, masked or lost antigens, blood drawn along, detectors whose gain is off or
drifts, and the faults of `mrd_flow.simulation.acquisition_faults`.

Not modelled: differences between patients in cells that are not plasma cells, clones of
several phenotypes, circulating clonal cells, dead cells, carry-over between tubes, tandem
dyes that break, unlysed red cells, non-specific binding, triplets. The brightness of
every population is assumed. A classifier's performance here is not that on patients.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mrd_flow.fcs.writer import Column, write_fcs
from mrd_flow.panel.template import Panel, Tube
from mrd_flow.simulation.acquisition_faults import Fault, apply_faults, draw_faults, event_ticks
from mrd_flow.simulation.events import DEBRIS_SHARE, DOUBLET_SHARE, draw_cells, gain_of, join_pairs, measure
from mrd_flow.simulation.plasma_cell_model import Patient, draw_patient
from mrd_flow.simulation.populations import CellKinds, spillover_matrix
from mrd_flow.simulation.sample_model import DEFAULT_PLASMA_CELL_FRACTION, SampleModel
from mrd_flow.simulation.truth import FAULTY, TubeTruth, codes_file, truth_of
from pipeline.errors import UsageError
from pipeline.formats.atomic import write_json
from pipeline.formats.records import to_json

__all__ = [
    "DEFAULT_PLASMA_CELL_FRACTION",
    "FAULTY",
    "TubeTruth",
    "simulate_sample",
    "simulate_tube",
]

_CHUNK_EVENTS = 1 << 16  # part of the simulation: changing it changes the bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What the events of a tube are drawn from."""

    kinds: CellKinds
    mixing: NDArray[np.float32]
    gain: NDArray[np.float32]  # at the first event
    last_gain: NDArray[np.float32]
    faults: tuple[Fault, ...]
    events: int


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
    patient: Patient | None = None,
    blood_share: float = 0.0,
    masking_log10: Mapping[str, float] | None = None,
    gain: Mapping[str, float] | None = None,
    drift: Mapping[str, float] | None = None,
    faults: Sequence[Fault] = (),
) -> TubeTruth:
    """Write one tube as FCS 3.1 and give its truth; memory does not grow with the events.

    Parameters
    ----------
    path
        The FCS file; replaced atomically.
    panel, tube_index
        The template, and which of its tubes (0-based).
    events
        Events recorded, debris and doublets among them.
    aberrant_fraction, plasma_cell_fraction, phenotype, light_chain, patient, blood_share, masking_log10
        As in `mrd_flow.simulation.sample_model.SampleModel`; the numbers drawn vary about the
        fractions.
    rng
        Source of every random number: same state, same bytes.
    event_truth
        Where to write each event's kind as ``.npy``: uint8, 0 other nucleated cell,
        1 normal plasma cell, 2 aberrant plasma cell, 3 debris, 4 doublet; `FAULTY` is
        added to it inside a fault.
    gain
        Marker to the factor by which its detector is off since compensation was set.
    drift
        Marker to the factor its gain takes on, in equal ratios, until the last event.
    faults
        Runs of spoilt events.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if events < 0:
        raise ValueError("events must be at least 0")
    sample = SampleModel(
        aberrant_fraction=aberrant_fraction,
        plasma_cell_fraction=plasma_cell_fraction,
        phenotype=phenotype,
        light_chain=light_chain,
        patient=patient,
        blood_share=blood_share,
        masking_log10=masking_log10 or {},
    )
    tube = panel.tubes[tube_index]
    first_gain = gain_of(tube.markers, gain or {})
    run = _Run(
        kinds=sample.kinds(tuple(tube.markers)),
        mixing=spillover_matrix(tuple(tube.markers.values())).astype(np.float32),
        gain=first_gain,
        last_gain=first_gain * gain_of(tube.markers, drift or {}),
        faults=tuple(faults),
        events=events,
    )
    counts = np.zeros(256, np.int64)
    with codes_file(event_truth, events) as codes:
        _write(path, tube, run, _chunks(run, rng, counts, codes))
    return truth_of(counts, tube_index + 1, sample, gain or {}, drift or {}, run.faults)


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
    patient_seed: int | None = None,
    blood_share: float = 0.0,
    masking_log10: Mapping[str, float] | None = None,
    gain: Mapping[str, float] | None = None,
    drift: Mapping[str, float] | None = None,
    faults: Sequence[str] = (),
) -> tuple[TubeTruth, ...]:
    """Write every tube of a sample (``tube_1.fcs`` ...) and ``truth.json`` into a folder.

    Arguments as in `simulate_tube`; each tube has its own stream of random numbers.

    Parameters
    ----------
    out, panel, events, aberrant_fraction, plasma_cell_fraction, phenotype, light_chain
        As in `simulate_tube`.
    seed
        Of the cells: same seed, same bytes.
    event_truth
        Also write ``tube_N.truth.npy``.
    patient_seed
        Draw the patient's plasma cells around the average by this seed, so that samples
        of one patient share it; None is the average patient.
    blood_share, masking_log10, gain, drift
        As in `simulate_tube`; a marker need not be in every tube.
    faults
        Kinds (`mrd_flow.simulation.acquisition_faults.FAULT_KINDS`) of which each tube gets a run.

    Raises
    ------
    UsageError
        If an argument is out of range.
    """
    truths = []
    patient = None if patient_seed is None else draw_patient(np.random.default_rng([patient_seed, 0]))
    for number, tube in enumerate(panel.tubes, start=1):
        rng = np.random.default_rng([seed, number])
        try:
            _known_markers(panel, gain or {}, drift or {})
            truth = simulate_tube(
                out / f"tube_{number}.fcs",
                panel,
                number - 1,
                events=events,
                aberrant_fraction=aberrant_fraction,
                plasma_cell_fraction=plasma_cell_fraction,
                phenotype=phenotype,
                light_chain=light_chain,
                rng=rng,
                event_truth=out / f"tube_{number}.truth.npy" if event_truth else None,
                patient=patient,
                blood_share=blood_share,
                masking_log10=masking_log10,
                gain={m: g for m, g in (gain or {}).items() if m in tube.markers},
                drift={m: g for m, g in (drift or {}).items() if m in tube.markers},
                faults=draw_faults(faults, events, rng),
            )
        except ValueError as error:
            raise UsageError(str(error)) from error
        truths.append(truth)
    write_json(out / "truth.json", {"panel": panel.name, "seed": seed, "tubes": [to_json(t) for t in truths]})
    return tuple(truths)


def _write(path: Path, tube: Tube, run: _Run, chunks: Iterator[NDArray[np.float32]]) -> None:
    detectors = [f"{f}-A" for f in tube.markers.values()]
    last = int(event_ticks(run.events, 1, run.faults)[0])
    columns = [
        *(Column(name=s) for s in ("FSC-A", "FSC-H", "SSC-A")),
        *(Column(name=d, stain=m) for d, m in zip(detectors, tube.markers, strict=True)),
        Column(name="Time", range=max(262144, last + 1)),
    ]
    write_fcs(
        path,
        columns,
        chunks,
        events=run.events,
        spillover=(detectors, spillover_matrix(tuple(tube.markers.values()))),
        keywords=(("$TIMESTEP", "0.01"), ("$CYT", "nadir simulation"), ("TUBE NAME", tube.name)),
    )


def _chunks(
    run: _Run, rng: np.random.Generator, counts: NDArray[np.int64], codes: BinaryIO | None
) -> Iterator[NDArray[np.float32]]:
    """Events in order of time; their codes are counted, and written where asked for."""
    for first in range(0, run.events, _CHUNK_EVENTS):
        size = min(_CHUNK_EVENTS, run.events - first)
        scatter, light, code = _cells(run.kinds, size, rng)
        table = measure(scatter, light, run.mixing, rng, _gain(run, first, size))
        code[apply_faults(table, first, run.faults, rng)] |= FAULTY
        counts += np.bincount(code, minlength=256)
        if codes is not None:
            codes.write(code.data)
        ticks = np.floor(event_ticks(first, size, run.faults)).astype(np.float32)
        yield np.column_stack([table, ticks])


def _gain(run: _Run, first: int, size: int) -> NDArray[np.float32] | None:
    if np.array_equal(run.gain, run.last_gain):
        return None if (run.gain == 1).all() else run.gain
    along = (np.arange(first, first + size) / run.events)[:, np.newaxis]
    return np.asarray(run.gain * (run.last_gain / run.gain) ** along, np.float32)


def _cells(
    kinds: CellKinds, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """Scatter (size, 3), true light (size, n_markers) and truth code of each event."""
    rows = _drawn(kinds, size, rng)
    fate = rng.random(size)
    rows[fate < DEBRIS_SHARE] = len(kinds.names) - 1
    paired = np.flatnonzero(fate > 1 - DOUBLET_SHARE)
    scatter, light = draw_cells(kinds, rows, rng)
    second = draw_cells(kinds, _drawn(kinds, len(paired), rng), rng)
    scatter[paired], light[paired] = join_pairs((scatter[paired], light[paired]), second, rng)
    code_of_kind = np.zeros(len(kinds.names), np.uint8)
    for code, name in enumerate(("normal_plasma_cell", "aberrant_plasma_cell", "debris"), start=1):
        code_of_kind[kinds.rows(name)] = code
    codes = code_of_kind[rows]
    codes[paired] = 4
    return scatter, light, codes


def _drawn(kinds: CellKinds, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Kinds of ``size`` single cells; double precision, for shares near one in a million."""
    return np.searchsorted(np.cumsum(kinds.share)[:-1], rng.random(size), side="right")


def _known_markers(panel: Panel, *factors: Mapping[str, float]) -> None:
    markers = {m for tube in panel.tubes for m in tube.markers}
    if any(set(f) - markers for f in factors):
        raise ValueError("a gain or drift must be that of a marker of the panel")
