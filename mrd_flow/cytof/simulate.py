"""A simulated mass cytometry run: barcoded samples, beads, drift, and the truth of every event.

Modelled: the cells of `mrd_flow.cytof.simulated_cells`, ion counts (Poisson, with more zeros than
that), counts spread below their whole number as the instrument does, a drift of
sensitivity that differs a little between masses, uneven barcode staining, cells that
took up little barcode, doublets within and between samples whose second cell is
recorded in part, dividing cells, debris, dead cells, beads and beads with a cell.

Not modelled: spillover by isotopic impurity and oxides, antigens that vary together
within a kind of cell, differences between patients in their stain, carry-over between
runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrd_flow.cytof.panel import CytofPanel
from mrd_flow.cytof.read import TIME, run_columns
from mrd_flow.cytof.simulated_cells import CELLS, EventKind, Marrow, RunModel, levels
from mrd_flow.fcs.writer import Column, write_fcs
from pipeline.formats.atomic import replacing, write_json

__all__ = ["CytofTruth", "simulate_events", "simulate_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CytofTruth:
    """Truth per event, in the file's order.

    ``kind`` uint8 (`EventKind`); ``sample`` and ``cell`` int16, 0-based in the key's and
    in `CELLS`' order, -1 where an event has none or two; ``sensitivity`` float64.
    """

    kind: NDArray[np.uint8]
    sample: NDArray[np.int16]
    cell: NDArray[np.int16]
    sensitivity: NDArray[np.float64]


_DNA = (np.log(420.0), np.log(760.0))
_DNA_SPREAD = 0.18
_DIVIDING = np.log(1.5)
_SECOND_LEAST = 0.35  # of a doublet's second cell, what the window records at least
_VIABLE, _DEAD = (np.log(7.0), 0.6), (np.log(350.0), 0.5)
_BEAD = np.log(900.0)
_BEAD_SPREAD = 0.13
_CODE, _NO_CODE = (np.log(120.0), 0.35), (np.log(4.0), 0.8)
_SIZE_SPREAD = 0.15
_ZEROS = 0.5  # of the negatives
_DEBRIS = (np.log(0.12), 0.4)

# Event_length and the Gaussian parameters: mean and spread of single cells, and the mean of
# doublets and debris relative to it
_PULSE = {
    "Event_length": (26.0, 3.0, 1.3, 0.65),
    "Center": (600.0, 55.0, 1.1, 0.9),
    "Offset": (80.0, 9.0, 1.05, 1.0),
    "Width": (60.0, 6.0, 1.3, 0.7),
    "Residual": (120.0, 22.0, 1.35, 0.7),
}


def simulate_events(
    panel: CytofPanel,
    marrows: Sequence[Marrow],
    *,
    events: int,
    rng: np.random.Generator,
    model: RunModel | None = None,
) -> tuple[tuple[str, ...], NDArray[np.float32], CytofTruth]:
    """Events of one run in order of time.

    Parameters
    ----------
    panel
        The template; with barcodes, one marrow per sample of the key.
    marrows
        The samples; equal numbers of cells on average.
    events
        Recorded events of every kind.
    rng
        Source of every random number.
    model
        Shares and instrument.

    Returns
    -------
    tuple
        Columns, float32 table (events, n_columns), and the truth.

    Raises
    ------
    ValueError
        If the number of marrows is not the key's, or an argument is out of range.
    """
    model = model or RunModel()
    _check(panel, marrows, events, model)
    kind = rng.choice(len(EventKind), events, p=model.kinds).astype(np.uint8)
    first = _cells(panel, marrows, events, rng, model)
    second = _cells(panel, marrows, events, rng, model)
    light = _mixed(kind, first, second, panel, rng)
    clock = np.sort(rng.uniform(0, 1, events))
    sensitivity = (1 - model.drift * clock) * (1 + 0.06 * np.sin(9.0 * clock))
    metals, expected = tuple(light), np.column_stack(list(light.values()))
    mass = np.array([int("".join(c for c in m if c.isdigit())) for m in metals])
    exponent = 1 + 0.04 * (mass - 150) / 60  # heavier ions drift a little more
    counts = rng.poisson(expected * sensitivity[:, None] ** exponent).astype(np.float64)
    counts -= np.where(counts > 0, rng.uniform(0, 1, counts.shape), 0.0)
    made = dict(zip(metals, counts.T, strict=True)) | _pulse(kind, rng)
    made[TIME] = clock * events / model.events_per_second * 1000
    columns = run_columns(panel)
    table = np.column_stack([made[c] for c in columns]).astype(np.float32)
    return columns, table, _truth(kind, first, second, sensitivity)


def simulate_run(
    folder: Path,
    panel: CytofPanel,
    marrows: Sequence[Marrow],
    *,
    events: int,
    rng: np.random.Generator,
    model: RunModel | None = None,
) -> CytofTruth:
    """Write ``run.fcs``, ``truth.npz`` (the arrays of `CytofTruth`) and ``truth.json`` into a folder.

    Raises
    ------
    ValueError
        As `simulate_events`.
    """
    columns, table, truth = simulate_events(panel, marrows, events=events, rng=rng, model=model)
    stains = {metal: name for name, metal in panel.channels.items()}
    bare = {TIME, *_PULSE}
    parameters = [
        Column(
            name=c if c in bare else f"{c}Di", stain=f"{c}_{stains[c]}" if c in stains else "", range=1 << 22
        )
        for c in columns
    ]
    write_fcs(
        folder / "run.fcs",
        parameters,
        [table],
        events=events,
        keywords=(("$CYT", "nadir simulation"), ("$TIMESTEP", "0.001")),
    )
    with replacing(folder / "truth.npz") as path, path.open("wb") as file:
        np.savez(file, kind=truth.kind, sample=truth.sample, cell=truth.cell, sensitivity=truth.sensitivity)
    names = panel.barcodes.key if panel.barcodes else ("file_1",)
    samples = {n: {"shares": m.shares, "masked_to": m.masked_to} for n, m in zip(names, marrows, strict=True)}
    kinds = {k.name.lower(): int((truth.kind == k).sum()) for k in EventKind}
    write_json(folder / "truth.json", {"events": kinds, "cells": list(CELLS), "samples": samples})
    return truth


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    sample: NDArray[np.intp]
    cell: NDArray[np.intp]
    counts: dict[str, NDArray[np.float64]]


def _check(panel: CytofPanel, marrows: Sequence[Marrow], events: int, model: RunModel) -> None:
    wanted = len(panel.barcodes.key) if panel.barcodes else 1
    if len(marrows) != wanted:
        raise ValueError(f"this template needs {wanted} marrows")
    if events < 0 or model.kinds.min() < 0 or not 0 <= model.drift < 0.9:
        raise ValueError("events, shares or drift are out of range")
    unknown = set(run_columns(panel)) - set(_PULSE) - {TIME} - _metals(panel)
    if unknown:
        raise ValueError("the template asks for a parameter that is not simulated")


def _metals(panel: CytofPanel) -> set[str]:
    more = (*(panel.beads.metals if panel.beads else ()), *(panel.barcodes.metals if panel.barcodes else ()))
    return {*panel.channels.values(), *more}


def _cells(
    panel: CytofPanel, marrows: Sequence[Marrow], events: int, rng: np.random.Generator, model: RunModel
) -> _Cells:
    """Expected counts of one intact cell per event, dead or alive as if alive."""
    sample = rng.integers(0, len(marrows), events)
    shares = np.array([[m.shares.get(name, 0.0) for name in CELLS] for m in marrows]).cumsum(axis=1)
    cell = (rng.uniform(0, 1, events)[:, None] > shares[sample]).sum(axis=1).clip(max=len(CELLS) - 1)
    size = rng.normal(0, _SIZE_SPREAD, events)
    markers = tuple(m for m in panel.channels if m not in ("DNA1", "DNA2", "viability"))
    median, spread, negative = levels(markers)
    counts = np.exp(median[cell] + spread[cell] * rng.normal(0, 1, (events, len(markers))) + size[:, None])
    counts[negative[cell] & (rng.uniform(0, 1, counts.shape) < _ZEROS)] = 0.0
    made = {panel.channels[m]: counts[:, i] for i, m in enumerate(markers)}
    if panel.masking in markers:
        made[panel.channels[panel.masking]] *= np.array([m.masked_to for m in marrows])[sample]
    dna = rng.normal(0, _DNA_SPREAD, events)
    dna += np.where(rng.uniform(0, 1, events) < model.dividing, _DIVIDING, 0.0)
    for name, level in zip(("DNA1", "DNA2"), _DNA, strict=True):
        made[panel.channels[name]] = np.exp(level + dna + rng.normal(0, 0.03, events))
    made[panel.channels["viability"]] = np.exp(_VIABLE[0] + _VIABLE[1] * rng.normal(0, 1, events) + size)
    if panel.barcodes is not None:
        made |= _codes(panel, sample, size, rng, model)
    return _Cells(sample=sample, cell=cell, counts=made)


def _codes(
    panel: CytofPanel,
    sample: NDArray[np.intp],
    size: NDArray[np.float64],
    rng: np.random.Generator,
    model: RunModel,
) -> dict[str, NDArray[np.float64]]:
    if panel.barcodes is None:
        return {}
    key = np.array([[c == "1" for c in code] for code in panel.barcodes.key.values()])
    stain = rng.normal(0, 0.2, len(key))[sample]  # a sample takes up more or less of its code
    poor = np.where(rng.uniform(0, 1, len(sample)) < model.poorly_coded, np.log(0.1), 0.0)
    made = {}
    for channel, metal in enumerate(panel.barcodes.metals):
        noise = rng.normal(0, 1, len(sample))
        stained = np.exp(_CODE[0] + _CODE[1] * noise + size + stain + poor)
        made[metal] = np.where(key[sample, channel], stained, np.exp(_NO_CODE[0] + _NO_CODE[1] * noise))
    return made


def _mixed(
    kind: NDArray[np.uint8], first: _Cells, second: _Cells, panel: CytofPanel, rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Expected counts of each event by its kind."""
    events = len(kind)
    doublet, bead = kind == EventKind.DOUBLET, kind == EventKind.BEAD
    dead, with_cell = kind == EventKind.DEAD, kind == EventKind.BEAD_WITH_CELL
    scale = np.where(kind == EventKind.DEBRIS, np.exp(rng.normal(*_DEBRIS, events)), 1.0)
    scale = np.where(bead, 0.0, scale)
    seen = np.where(doublet, rng.uniform(_SECOND_LEAST, 1, events), 0.0)
    made = {m: c * scale + second.counts[m] * seen for m, c in first.counts.items()}
    viability = panel.channels["viability"]
    taken_up = np.exp(rng.normal(*_DEAD, events))
    made[viability] = np.where(dead, taken_up, made[viability])
    for name, metal in panel.channels.items():
        if name not in ("DNA1", "DNA2", "viability"):
            made[metal] = made[metal] + np.where(dead, rng.exponential(3.0, events), 0.0)  # sticky
    together = rng.normal(0, _BEAD_SPREAD, events)
    for metal in panel.beads.metals if panel.beads else ():
        signal = np.exp(_BEAD + together + rng.normal(0, 0.05, events))
        made[metal] = made.get(metal, np.full(events, 0.3)) + np.where(bead | with_cell, signal, 0.0)
    return made


def _pulse(kind: NDArray[np.uint8], rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    made = {}
    for name, (mean, spread, doublet, debris) in _PULSE.items():
        factor = np.ones(len(kind))
        factor[(kind == EventKind.DOUBLET) | (kind == EventKind.BEAD_WITH_CELL)] = doublet
        factor[(kind == EventKind.DEBRIS) | (kind == EventKind.BEAD)] = debris
        made[name] = np.maximum(mean * factor + spread * factor * rng.normal(0, 1, len(kind)), 1.0)
    made["Event_length"] = np.round(made["Event_length"])
    return made


def _truth(
    kind: NDArray[np.uint8], first: _Cells, second: _Cells, sensitivity: NDArray[np.float64]
) -> CytofTruth:
    doublet = kind == EventKind.DOUBLET
    nothing = kind == EventKind.BEAD
    two_samples = doublet & (first.sample != second.sample)
    return CytofTruth(
        kind=kind,
        sample=np.where(nothing | two_samples, -1, first.sample).astype(np.int16),
        cell=np.where(nothing | doublet, -1, first.cell).astype(np.int16),
        sensitivity=sensitivity,
    )
