"""Faults of an acquisition, for simulated tubes: clot, air bubble, surge, margin events.

A fault is a run of consecutive events. A clot slows the flow and weakens scatter and
light until it passes; a bubble is a gap in time, then scatter as of random objects; a
surge triples the rate and blurs; in a margin run the light scatter sits on the top of
its scale. The strengths are assumptions of the simulator.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.simulation.events import TOP

__all__ = ["EVENTS_PER_TICK", "FAULT_KINDS", "Fault", "apply_faults", "draw_faults", "event_ticks"]

EVENTS_PER_TICK = 50.0
"""Events in a tick of 0.01 s at the nominal rate: 5,000 events a second."""

# kind: rate relative to the nominal one, gap in time before the run in ticks
_FLOW = {"clot": (0.25, 0.0), "bubble": (0.5, 300.0), "surge": (3.0, 0.0), "margin": (1.0, 0.0)}
FAULT_KINDS = tuple(_FLOW)

_SHARES = (0.01, 0.03)  # length of a run, of the tube's events
_CLOT_DEPTH_LN = 0.45
_BUBBLE_SPREAD_LN = 0.7
_SURGE_SPREAD_LN = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One run of faulty events: 0-based ``first`` event, number of ``events``, ``kind`` of `FAULT_KINDS`."""

    kind: str
    first: int
    events: int

    def __post_init__(self) -> None:
        if self.kind not in _FLOW:
            raise ValueError(f"no such fault; there are {', '.join(FAULT_KINDS)}")
        if self.first < 0 or self.events < 1:
            raise ValueError("a fault begins at event 0 or later and holds at least one event")


def draw_faults(kinds: Sequence[str], events: int, rng: np.random.Generator) -> tuple[Fault, ...]:
    """One run of each kind asked for, in order of time, none touching another.

    Each holds 1-3 % of the events.

    Raises
    ------
    ValueError
        If a kind is not known, there are more than ten, or the tube is too short.
    """
    if len(kinds) > 10 or (kinds and events < 1_000):
        raise ValueError("at most ten faults, and they need a tube of at least 1,000 events")
    window = 1.0 / max(len(kinds), 1)
    found = []
    for place, kind in zip(rng.permutation(len(kinds)), kinds, strict=True):
        length = rng.uniform(*_SHARES)
        begin = (place + rng.uniform(0.1, 0.9 - length / window)) * window
        found.append(Fault(kind=kind, first=int(begin * events), events=max(1, int(length * events))))
    return tuple(sorted(found, key=lambda f: f.first))


def event_ticks(first: int, size: int, faults: Sequence[Fault]) -> NDArray[np.float64]:
    """Time of events ``first`` to ``first + size`` in ticks, at the rate of each run; not rounded."""
    numbers = np.arange(first, first + size, dtype=np.float64)
    ticks = numbers / EVENTS_PER_TICK
    for fault in faults:
        rate, gap = _FLOW[fault.kind]
        inside = np.clip(numbers - fault.first, 0, fault.events)
        ticks += inside * (1 / rate - 1) / EVENTS_PER_TICK
        ticks += np.where(numbers >= fault.first, gap, 0.0)
    return ticks


def apply_faults(
    table: NDArray[np.float32], first: int, faults: Sequence[Fault], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Spoil the events of a chunk in place.

    Parameters
    ----------
    table
        float32 (n, columns): FSC-A, FSC-H, SSC-A, then fluorescence.
    first
        Number of the chunk's first event in the tube.
    faults
        The tube's faults.
    rng
        Source of what a fault does to an event.

    Returns
    -------
    numpy.ndarray
        bool (n,), the events inside a fault.
    """
    faulty = np.zeros(len(table), np.bool_)
    for fault in faults:
        begin = max(fault.first - first, 0)
        end = min(fault.first + fault.events - first, len(table))
        if begin < end:
            faulty[begin:end] = True
            depth = np.arange(first + begin - fault.first, first + end - fault.first) / fault.events
            _spoil(table[begin:end], fault.kind, depth, rng)
    np.clip(table[:, :3], 0, TOP, out=table[:, :3])
    np.minimum(table, TOP, out=table)
    return faulty


def _spoil(run: NDArray[np.float32], kind: str, depth: NDArray[np.float64], rng: np.random.Generator) -> None:
    """``depth`` is how far through the fault each event lies, 0 to 1."""
    if kind == "clot":  # sets in at once, recovers towards the end
        weaker = np.exp(-_CLOT_DEPTH_LN * np.minimum(1.0, 2.0 * (1.0 - depth) + 0.25))
        run *= weaker[:, np.newaxis].astype(np.float32)
    elif kind == "bubble":
        run[:, :3] *= np.exp(_BUBBLE_SPREAD_LN * rng.standard_normal((len(run), 3))).astype(np.float32)
        run[:, 3:] *= rng.uniform(0.2, 1.0, (len(run), 1)).astype(np.float32)
    elif kind == "surge":
        run *= np.exp(_SURGE_SPREAD_LN * rng.standard_normal(run.shape)).astype(np.float32)
    else:
        run[:, 0] = TOP
        run[:, 2] = TOP
