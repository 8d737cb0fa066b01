"""A mass cytometry run from events to populations per sample: normalise, clean up, debarcode, gate, count."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrd_flow.cytof.bead_drift import BeadDrift, normalise
from mrd_flow.cytof.comparison import Difference, share_difference
from mrd_flow.cytof.counts import GateDoubt, MaskingCount, PopulationCount, count_samples, doubt_samples
from mrd_flow.cytof.cuts import ChosenCut
from mrd_flow.cytof.debarcode import UNASSIGNED, Debarcoded, debarcode
from mrd_flow.cytof.panel import CytofPanel
from mrd_flow.cytof.parts import LIVE_CELLS, UNASSIGNED_NAME
from mrd_flow.cytof.populations import CleanUpStep, clean_up, grow_tree
from mrd_flow.cytof.read import CytofRun
from mrd_flow.fcs.anomaly import Anomaly
from pipeline.errors import UsageError, printable
from pipeline.model import is_identifier, looks_personal

__all__ = ["CytofResult", "SampleYield", "analyse_run", "compare_samples"]

_CELLS_FOR_MEDIAN = 20
_EVEN_SHARE = 0.02  # of an even share of cells: less is what strays into an unused code; unverified
_FALLEN = 0.5  # a median below this share of the first sample's has fallen; unverified


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleYield:
    """Live single cells of one code: ``closest`` by its brightest channels, ``assigned`` after filters.

    In the row of those that were not assigned, ``closest`` counts codes that are not in the key.
    """

    sample: str
    code: str
    closest: int
    assigned: int
    median_separation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CytofResult:
    """Everything said of a run.

    ``factor`` is float64 (n_events,), what normalisation multiplied counts by; ``sample``
    intp (n_events,), the 0-based sample of each live single cell, or -1; ``member`` as in
    `mrd_flow.cytof.populations.Tree`.
    """

    samples: tuple[str, ...]
    events: int
    beads: int
    live_cells: int
    assigned: int
    separation_cut: ChosenCut | None
    populations: tuple[PopulationCount, ...]
    masking: tuple[MaskingCount, ...]
    doubts: tuple[GateDoubt, ...]
    yields: tuple[SampleYield, ...]
    drifts: tuple[BeadDrift, ...]
    steps: tuple[CleanUpStep, ...]
    cuts: dict[str, ChosenCut]
    differences: tuple[Difference, ...]
    flags: tuple[Anomaly, ...]
    factor: NDArray[np.float64]
    sample: NDArray[np.intp]
    member: dict[str, NDArray[np.bool_]]


def analyse_run(
    run: CytofRun,
    panel: CytofPanel,
    *,
    samples: Sequence[str] = (),
    comparisons: Sequence[tuple[str, str]] = (),
) -> CytofResult:
    """Count the populations of every sample of a run.

    Parameters
    ----------
    run
        Events of all files.
    panel
        The template.
    samples
        Without barcodes: an id per file; ``file_1`` and so on where none is given.
    comparisons
        Pairs of sample ids beside those of the template.

    Raises
    ------
    UsageError
        If the ids do not fit the files, or a comparison names a sample there is not.
    """
    names = _sample_names(run, panel, samples)
    pairs = _checked((*panel.comparisons, *comparisons), names)
    normal = normalise(run, panel)
    live, steps = clean_up(normal.run, panel, ~normal.bead)
    sample = np.full(len(run.table), UNASSIGNED, dtype=np.intp)
    found = None
    if panel.barcodes is None:
        sample[live] = run.file[live]
    else:
        found = debarcode(normal.run.of_all(panel.barcodes.metals)[live], panel.barcodes)
        sample[live] = found.code
    tree = grow_tree(normal.run, panel, sample != UNASSIGNED)
    populations, masking = count_samples(names, sample, tree, panel)
    result = CytofResult(
        samples=names,
        events=len(run.table),
        beads=int(normal.bead.sum()),
        live_cells=int(live.sum()),
        assigned=int((sample != UNASSIGNED).sum()),
        separation_cut=None if found is None else found.cut,
        populations=populations,
        masking=masking,
        doubts=doubt_samples(populations, normal.run, panel, sample, tree),
        yields=() if found is None else _yields(found, panel),
        drifts=normal.drifts,
        steps=steps,
        cuts=tree.cuts,
        differences=tuple(d for pair in pairs for d in compare_samples(populations, masking, pair)),
        flags=(),
        factor=normal.factor,
        sample=sample,
        member=tree.member,
    )
    noted = (*_panel_flags(panel), *run.flags, *normal.flags, *_flags(result, pairs, found))
    return replace(result, flags=tuple(noted))


def compare_samples(
    populations: Sequence[PopulationCount], masking: Sequence[MaskingCount], pair: tuple[str, str]
) -> tuple[Difference, ...]:
    """Shares of every population, and of its cells with little of the masking marker, second minus first."""
    shares = {(p.sample, p.population): p for p in populations}
    low = {(m.sample, m.population): m for m in masking}
    found = []
    paths = {p.population: p.path for p in populations}
    for name, path in ({LIVE_CELLS: LIVE_CELLS} | paths).items():
        if name in paths:
            counts = [(shares[s, name].count, shares[s, name].denominator) for s in pair]
            found.append(share_difference(pair, (name, path), "fraction", counts))
        counts = [(low[s, name].low, low[s, name].cells) for s in pair]
        found.append(share_difference(pair, (name, path), "masking_low", counts))
    return tuple(found)


def _sample_names(run: CytofRun, panel: CytofPanel, given: Sequence[str]) -> tuple[str, ...]:
    if panel.barcodes is not None:
        if given:
            raise UsageError("the template's barcode key names the samples; give no --samples")
        return tuple(panel.barcodes.key)
    names = tuple(given) or run.files
    if len(names) != len(run.files) or len(set(names)) != len(names):
        raise UsageError(f"give one sample id for each of the {len(run.files)} files, all different")
    if not all(is_identifier(n) and looks_personal(n) is None for n in names):
        raise UsageError("a sample id must be a pseudonym of 1 to 32 letters, digits, '-' or '_'")
    return names


def _checked(pairs: Sequence[tuple[str, str]], names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    for pair in pairs:
        if pair[0] == pair[1] or not set(pair) <= set(names):
            raise UsageError("a comparison needs two different samples of this run")
    return tuple(dict.fromkeys(pairs))


def _yields(found: Debarcoded, panel: CytofPanel) -> tuple[SampleYield, ...]:
    key = panel.barcodes.key.items() if panel.barcodes else ()
    rows = []
    for number, (name, code) in enumerate(key):
        own = found.code == number
        rows.append(
            SampleYield(
                sample=name,
                code=code,
                closest=int((found.closest == number).sum()),
                assigned=int(own.sum()),
                median_separation=float(np.median(found.separation[own])) if own.any() else None,
            )
        )
    unassigned = int((found.code == UNASSIGNED).sum())
    rows.append(
        SampleYield(
            sample=UNASSIGNED_NAME,
            code="",
            closest=found.unknown_code,
            assigned=unassigned,
            median_separation=None,
        )
    )
    return tuple(rows)


def _panel_flags(panel: CytofPanel) -> list[Anomaly]:
    flags = []
    if panel.unverified:
        text = f"{panel.name} template: {'; '.join(printable(u.what) for u in panel.unverified)}"
        flags.append(Anomaly(code="panel_unverified", text=text))
    if panel.masking_competes:
        text = (
            f"{panel.masking} may be stained with a clone that competes with the therapeutic antibody: "
            f"low {panel.masking} is loss or masking, and cannot be told apart"
        )
        flags.append(Anomaly(code="masking_possible", text=text))
    return flags


def _flags(result: CytofResult, pairs: Sequence[tuple[str, str]], found: Debarcoded | None) -> list[Anomaly]:
    flags = []
    if not result.live_cells:
        flags.append(Anomaly(code="no_live_cells", text="the clean-up gates leave no event", grave=True))
    elif not result.assigned:
        text = f"none of {result.live_cells} live cells has a code of the key: is it this run's key?"
        flags.append(Anomaly(code="all_unassigned", text=text, grave=True))
    elif found is not None:
        least = _EVEN_SHARE * result.assigned / len(result.samples)
        empty = [y.sample for y in result.yields[:-1] if y.assigned < least]
        if empty:
            text = f"next to no cell was assigned to {', '.join(empty)}: these may be stray doublets"
            flags.append(Anomaly(code="sample_empty", text=text))
    cuts = {**result.cuts} | ({"separation": result.separation_cut} if result.separation_cut else {})
    chosen = [(m, c.at, c.fallback) for m, c in cuts.items()]
    chosen += [(s.gate, s.high, s.fallback) for s in result.steps if s.high is not None]
    flags += [
        Anomaly(code="gate_left_out", text=f"{s.gate}: {s.fallback}; nothing is cut")
        for s in result.steps
        if s.high is None
    ]
    flags += [
        Anomaly(code="cut_fell_back", text=f"{name}: {why}; the template's {at:g} is used")
        for name, at, why in chosen
        if why
    ]
    return flags + [f for pair in pairs for f in _fallen_everywhere(result, pair)]


def _fallen_everywhere(result: CytofResult, pair: tuple[str, str]) -> list[Anomaly]:
    """Loss is a property of some cells; what falls on all of them is hidden, or was not stained."""
    by_sample = [
        {m.population: m for m in result.masking if m.sample == name and m.population != LIVE_CELLS}
        for name in pair
    ]
    medians = [
        (one.median, two.median)
        for name, one in by_sample[0].items()
        for two in (by_sample[1][name],)
        if one.median is not None and two.median is not None
        if min(one.cells, two.cells) >= _CELLS_FOR_MEDIAN and one.low < one.cells / 2
    ]
    if len(medians) < 2 or any(after > _FALLEN * before for before, after in medians):
        return []
    text = (
        f"from {pair[0]} to {pair[1]} the masking marker fell by more than half on all {len(medians)} "
        "populations that carried it: this looks like masking or staining, not like loss"
    )
    return [Anomaly(code="masking_everywhere", text=text)]
