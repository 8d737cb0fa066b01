"""Cells per population and sample, with intervals, and what moving the cuts would do to them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.cytof.panel import CytofPanel
from mrd_flow.cytof.parts import LIVE_CELLS
from mrd_flow.cytof.populations import Tree, moved_trees
from mrd_flow.cytof.read import CytofRun
from pipeline.detection import Interval, clopper_pearson

__all__ = ["GateDoubt", "MaskingCount", "PopulationCount", "count_samples", "doubt_samples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationCount:
    """Cells of one population in one sample, and their share of the denominator with its exact interval."""

    sample: str
    population: str
    path: str
    count: int
    denominator: int
    fraction: float | None
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskingCount:
    """The masking marker (CD38) on one population of one sample.

    ``median`` is in counts; ``low`` cells lie below the marker's cut.
    """

    sample: str
    population: str
    cells: int
    median: float | None
    low: int
    fraction_low: float | None
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDoubt:
    """An interval of a population's share that also holds the doubt about its cuts.

    ``down`` and ``up`` say how far the share moves when each cut is moved by the
    template's doubt, one at a time, added as squares; the exact interval is moved apart by
    them, since a cut that lies wrong does so for every cell and does not average out.
    """

    sample: str
    population: str
    fraction: float | None
    down: float
    up: float
    ci_low: float | None
    ci_high: float | None


def count_samples(
    names: tuple[str, ...], sample: NDArray[np.intp], tree: Tree, panel: CytofPanel
) -> tuple[tuple[PopulationCount, ...], tuple[MaskingCount, ...]]:
    """Every population of every sample, and the masking marker on it.

    Parameters
    ----------
    names
        Sample ids.
    sample
        intp (n_events,), the 0-based sample of each event; negative for none.
    tree
        Populations of all events.
    panel
        The template.
    """
    place = {p.name: (panel.path_of(p), p.denominator) for p in panel.populations}
    low = tree.masking < tree.cuts[panel.masking].at
    populations, masking = [], []
    for number, name in enumerate(names):
        own = sample == number
        inside = {population: own & members for population, members in tree.member.items()}
        for population, members in inside.items():
            masking.append(_masking(name, population, members, low, tree.masking, panel.cofactor))
            if population == LIVE_CELLS:
                continue  # its share of itself says nothing; it is the denominator of the others
            path, denominator = place[population]
            counts = int(members.sum()), int(inside[denominator].sum())
            share, interval = _share(*counts)
            populations.append(
                PopulationCount(
                    sample=name,
                    population=population,
                    path=path,
                    count=counts[0],
                    denominator=counts[1],
                    fraction=share,
                    ci_low=interval.low if interval else None,
                    ci_high=interval.high if interval else None,
                )
            )
    return tuple(populations), tuple(masking)


def _masking(
    sample: str,
    population: str,
    members: NDArray[np.bool_],
    low: NDArray[np.bool_],
    scaled: NDArray[np.float64],
    cofactor: float,
) -> MaskingCount:
    cells, below = int(members.sum()), int((members & low).sum())
    share, interval = _share(below, cells)
    return MaskingCount(
        sample=sample,
        population=population,
        cells=cells,
        median=float(np.sinh(np.median(scaled[members])) * cofactor) if cells else None,
        low=below,
        fraction_low=share,
        ci_low=interval.low if interval else None,
        ci_high=interval.high if interval else None,
    )


def _share(count: int, total: int) -> tuple[float | None, Interval | None]:
    return (count / total, clopper_pearson(count, total)) if total else (None, None)


def doubt_samples(
    populations: tuple[PopulationCount, ...],
    run: CytofRun,
    panel: CytofPanel,
    sample: NDArray[np.intp],
    tree: Tree,
) -> tuple[GateDoubt, ...]:
    """The doubt about the cuts, for each of the populations counted.

    Parameters
    ----------
    populations
        As `count_samples` gives them.
    run, panel, sample, tree
        What they were counted from.
    """
    names = tuple(dict.fromkeys(p.sample for p in populations))
    base = _shares(len(names), sample, tree.member, panel)
    down, up = np.zeros_like(base), np.zeros_like(base)
    for both in moved_trees(run, panel, tree):
        moves = [_shares(len(names), sample, member, panel) - base for member in both]
        down += np.minimum(np.minimum(*moves), 0.0) ** 2
        up += np.maximum(np.maximum(*moves), 0.0) ** 2
    place = {(s, p): (i, j) for j, s in enumerate(names) for i, p in enumerate(tree.member)}
    spread = [place[p.sample, p.population] for p in populations]
    return tuple(
        _doubt(p, float(down[at]) ** 0.5, float(up[at]) ** 0.5)
        for p, at in zip(populations, spread, strict=True)
    )


def _shares(
    samples: int, sample: NDArray[np.intp], member: Mapping[str, NDArray[np.bool_]], panel: CytofPanel
) -> NDArray[np.float64]:
    """Share of each population of each sample, (n_populations, n_samples); 0 where the denominator is 0."""
    of = {p.name: p.denominator for p in panel.populations} | {LIVE_CELLS: LIVE_CELLS}
    rows = list(member)
    counts = np.array([np.bincount(sample[member[name]], minlength=samples) for name in rows], dtype=float)
    totals = counts[[rows.index(of[name]) for name in rows]]
    return np.asarray(counts / np.maximum(totals, 1.0))


def _doubt(population: PopulationCount, down: float, up: float) -> GateDoubt:
    low, high = population.ci_low, population.ci_high
    bounds = None if low is None or high is None else Interval(max(0.0, low - down), min(1.0, high + up))
    return GateDoubt(
        sample=population.sample,
        population=population.population,
        fraction=population.fraction,
        down=down,
        up=up,
        ci_low=bounds.low if bounds else None,
        ci_high=bounds.high if bounds else None,
    )
