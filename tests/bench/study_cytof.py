"""How well a mass cytometry run is debarcoded, normalised and counted, on simulated runs with known truth.

    python tests/bench/study_cytof.py [--runs 200] [--events 30000] [--large-runs 10] [--large-events 400000]

A run has 20 samples, every second one after daratumumab, and shares that vary between them.
It is made and analysed by the product's own functions, with the shipped template. Prints

* debarcoding: share of assigned events that are a cell of that sample (a doublet is never right), yield;
* drift: largest true departure of sensitivity before and after normalisation, beside what is reported;
* counts: for each population coverage of its 95 % interval of the true share, mean error of the share,
  recall and precision; the same with more cells per sample, where errors of the gates weigh more;
* differences between the samples before and after: coverage of their 95 % interval;
* debarcoding of runs with more doublets, debris, dead or poorly coded cells.

`tests/mrd_flow/test_cytof_study.py` asserts the same numbers with fewer runs.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.cytof.panel import CytofPanel, load_cytof_panel
from mrd_flow.cytof.parts import LIVE_CELLS
from mrd_flow.cytof.read import CytofRun
from mrd_flow.cytof.run import CytofResult, analyse_run
from mrd_flow.cytof.simulate import CytofTruth, simulate_events
from mrd_flow.cytof.simulated_cells import CELLS, EventKind, Marrow, RunModel, after_daratumumab

_T = ("t_cd4", "t_cd8", "t_cd8_hladr")
_MONOCYTES = ("monocyte_classical", "monocyte_intermediate", "monocyte_nonclassical")
MEANT = {
    "plasma_cells": ("plasma_cell",),
    "t_cells": _T,
    "t_cd4": _T[:1],
    "t_cd8": _T[1:],
    "t_cd8_hladr": _T[2:],
    "nk_cells": ("nk_cd16", "nk_cd16_negative"),
    "nk_cd16": ("nk_cd16",),
    "rest": ("nk_cd16", "nk_cd16_negative", "b_mature", "b_precursor", *_MONOCYTES, "dendritic", "other"),
    "b_cells": ("b_mature", "b_precursor"),
    "b_mature": ("b_mature",),
    "b_precursors": ("b_precursor",),
    "granulocytes": ("granulocyte",),
    "myeloid_dr": (*_MONOCYTES, "dendritic"),
    "monocytes_classical": _MONOCYTES[:1],
    "monocytes_intermediate": _MONOCYTES[1:2],
    "monocytes_nonclassical": _MONOCYTES[2:],
    "monocytes": _MONOCYTES,
}
"""Population of the template to kinds of simulated cells."""


HARD = {
    "usual": RunModel(),
    "15 % doublets": RunModel(doublets=0.15),
    "15 % poorly coded": RunModel(poorly_coded=0.15),
    "30 % debris": RunModel(debris=0.3),
    "30 % dead": RunModel(dead=0.3),
    "all at once": RunModel(doublets=0.12, debris=0.2, dead=0.2, poorly_coded=0.1, drift=0.6),
    "no beads": RunModel(beads=0.0, beads_with_cell=0.0),
}
"""Runs with more of what disturbs."""


def varied(rng: np.random.Generator) -> Marrow:
    """A marrow whose shares differ from the usual ones by factors of about two."""
    shares = {name: share * float(np.exp(rng.normal(0, 0.4))) for name, (share, _) in CELLS.items()}
    total = sum(shares.values())
    return Marrow(shares={n: s / total for n, s in shares.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A simulated run with its answer."""

    marrows: tuple[Marrow, ...]
    truth: CytofTruth
    result: CytofResult


def make(panel: CytofPanel, events: int, rng: np.random.Generator, model: RunModel | None = None) -> Made:
    """Simulate and analyse one run; samples come in pairs, before and after treatment."""
    before = [varied(rng) for _ in range(len(panel.barcodes.key) // 2)]
    marrows = tuple(m for marrow in before for m in (marrow, after_daratumumab(marrow)))
    columns, table, truth = simulate_events(panel, marrows, events=events, rng=rng, model=model)
    run = CytofRun(
        columns=columns,
        table=table,
        file=np.zeros(len(table), dtype=np.intp),
        files=("file_1",),
        sha256=("",),
        flags=(),
    )
    names = tuple(panel.barcodes.key)
    pairs = list(zip(names[::2], names[1::2], strict=True))
    return Made(marrows=marrows, truth=truth, result=analyse_run(run, panel, comparisons=pairs))


def right_share(made: Made) -> float:
    """Of the assigned events, those that are one cell, alive or dead, of that very sample."""
    assigned = made.result.sample >= 0
    whole = np.isin(made.truth.kind, (EventKind.CELL, EventKind.DEAD))
    return float((whole & (made.truth.sample == made.result.sample))[assigned].mean())


def cell_yield(made: Made) -> float:
    """Of the true live single cells, those that were assigned."""
    cells = made.truth.kind == EventKind.CELL
    return float((made.result.sample >= 0)[cells].mean())


def true_departure(sensitivity: NDArray[np.float64]) -> float:
    """Largest distance of sensitivity from its median, as a share, over twentieths of a run."""
    means = np.array([part.mean() for part in np.array_split(sensitivity, 20)])
    return float(np.abs(means / np.median(sensitivity) - 1).max())


@dataclass(slots=True)
class Tally:
    """Sums over samples for one population."""

    intervals: int = 0
    covered: int = 0
    covered_with_doubt: int = 0
    error: float = 0.0
    share: float = 0.0
    true: int = 0
    found: int = 0
    both: int = 0


def count_up(made: Made, panel: CytofPanel, tallies: dict[str, Tally]) -> None:
    """Add one run's populations."""
    names = list(CELLS)
    marrow_of = dict(zip(made.result.samples, made.marrows, strict=True))
    truth = dict(zip(names, range(len(names)), strict=True))
    single = (made.truth.kind == EventKind.CELL) & made.result.member[LIVE_CELLS]
    for population, doubt in zip(made.result.populations, made.result.doubts, strict=True):
        if population.population == LIVE_CELLS or population.fraction is None:
            continue
        kinds = MEANT[population.population]
        share = sum(marrow_of[population.sample].shares[k] for k in kinds)
        tally = tallies.setdefault(population.population, Tally())
        tally.intervals += 1
        tally.covered += population.ci_low <= share <= population.ci_high
        tally.covered_with_doubt += doubt.ci_low <= share <= doubt.ci_high
        tally.error += population.fraction - share
        tally.share += share
    for name, kinds in MEANT.items():
        meant = single & np.isin(made.truth.cell, [truth[k] for k in kinds])
        member = made.result.member[name]
        tallies[name].true += int(meant.sum())
        tallies[name].found += int(member.sum())
        tallies[name].both += int((meant & member).sum())


def covered_differences(made: Made) -> tuple[int, int]:
    """Intervals of differences of population shares, and those that hold the true one."""
    marrow_of = dict(zip(made.result.samples, made.marrows, strict=True))
    intervals = covered = 0
    for d in made.result.differences:
        if d.measure != "fraction" or d.ci_low is None:
            continue
        first, second = (
            sum(marrow_of[s].shares[k] for k in MEANT[d.population]) for s in (d.first, d.second)
        )
        intervals += 1
        covered += d.ci_low <= second - first <= d.ci_high
    return intervals, covered


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Numbers over runs."""

    right: NDArray[np.float64]
    yields: NDArray[np.float64]
    departure_before: NDArray[np.float64]
    departure_after: NDArray[np.float64]
    reported_residual: NDArray[np.float64]
    tallies: dict[str, Tally]
    differences: tuple[int, int]
    cells_per_sample: float


def study(panel: CytofPanel, *, runs: int, events: int, seed: int) -> Study:
    """Many runs of one size."""
    rows, tallies, differences, assigned = [], {}, np.zeros(2, dtype=int), 0
    for number in range(runs):
        rng = np.random.default_rng([seed, number])
        made = make(panel, events, rng, RunModel(drift=float(rng.uniform(0.1, 0.5))))
        count_up(made, panel, tallies)
        differences += covered_differences(made)
        assigned += made.result.assigned
        residual = max((d.residual for d in made.result.drifts if d.residual is not None), default=np.nan)
        corrected = made.truth.sensitivity * made.result.factor
        rows.append(
            (
                right_share(made),
                cell_yield(made),
                true_departure(made.truth.sensitivity),
                true_departure(corrected),
                residual,
            )
        )
    columns = np.array(rows).T
    return Study(
        right=columns[0],
        yields=columns[1],
        departure_before=columns[2],
        departure_after=columns[3],
        reported_residual=columns[4],
        tallies=tallies,
        differences=(int(differences[0]), int(differences[1])),
        cells_per_sample=assigned / runs / len(panel.barcodes.key),
    )


def report(runs: int, events: int, large_runs: int, large_events: int) -> Iterator[str]:
    """The tables, line by line."""
    panel = load_cytof_panel("marrow")
    for count, size, seed in ((runs, events, 1), (large_runs, large_events, 2)):
        if not count:
            continue
        found = study(panel, runs=count, events=size, seed=seed)
        yield f"{count} runs of {size:,} events, {found.cells_per_sample:,.0f} cells per sample"
        yield f"  right among assigned: mean {found.right.mean():.4f}, worst run {found.right.min():.4f}"
        yield f"  live single cells assigned: mean {found.yields.mean():.3f}, worst {found.yields.min():.3f}"
        yield (
            f"  drift: before {found.departure_before.max():.1%}, after {found.departure_after.max():.2%} "
            f"(worst run; {np.mean(found.departure_after <= 0.05):.1%} of runs at most 5 %); "
            f"reported residual at worst {np.nanmax(found.reported_residual):.2%}"
        )
        yield "  population               coverage  with doubt   mean share  mean error    recall  precision"
        for name, t in found.tallies.items():
            numbers = (
                f"{t.covered / t.intervals:8.3f}  {t.covered_with_doubt / t.intervals:10.3f}",
                f"{t.share / t.intervals:10.4f}  {t.error / t.intervals:+10.5f}",
                f"{t.both / t.true:7.4f}  {t.both / max(1, t.found):9.4f}",
            )
            yield f"  {name:<24} {'   '.join(numbers)}"
        intervals, covered = found.differences
        yield f"  differences before and after: coverage {covered / intervals:.3f} of {intervals} intervals\n"
    yield "one run of 60,000 events each:    right   cells assigned"
    for name, model in HARD.items():
        made = make(panel, 60_000, np.random.default_rng(77), model)
        yield f"  {name:<24} {right_share(made):12.4f}   {cell_yield(made):14.3f}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--large-runs", type=int, default=10)
    parser.add_argument("--large-events", type=int, default=400_000)
    given = parser.parse_args()
    for line in report(given.runs, given.events, given.large_runs, given.large_events):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
