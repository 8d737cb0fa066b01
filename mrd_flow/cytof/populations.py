"""Cells of a mass cytometry run: clean-up, cuts, and the tree of populations."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrd_flow.cytof.cuts import ChosenCut, choose_cut, main_group
from mrd_flow.cytof.panel import CytofPanel
from mrd_flow.cytof.parts import LIVE_CELLS, CleanUp, Population
from mrd_flow.cytof.read import CytofRun

__all__ = ["CleanUpStep", "Tree", "clean_up", "grow_tree", "moved_trees"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanUpStep:
    """One gate as it was applied: kept where low <= value < high, on ``scale``.

    A bound that there is not is None; ``fallback`` as in `ChosenCut`.
    """

    gate: str
    dimension: str
    scale: str
    low: float | None
    high: float | None
    events_in: int
    events_out: int
    fallback: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Populations of all samples together.

    ``member`` maps each population, `LIVE_CELLS` first, to bool (n_events,); ``cuts``
    each marker to its boundary, the same for every sample; ``masking`` is arcsinh of the
    masking marker, float64 (n_events,).
    """

    member: dict[str, NDArray[np.bool_]]
    cuts: dict[str, ChosenCut]
    masking: NDArray[np.float64]


def clean_up(
    run: CytofRun, panel: CytofPanel, kept: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], tuple[CleanUpStep, ...]]:
    """Apply the clean-up gates one after another to the events still kept.

    Parameters
    ----------
    run
        Events after normalisation.
    panel
        The template; a gate that is optional is left out where its column is absent.
    kept
        bool, shape (n_events,): no beads.
    """
    steps = []
    for gate in panel.clean_up:
        column = panel.channels.get(gate.dimension, gate.dimension)
        if not run.has(column):
            continue
        values = run.of(column).astype(np.float64)
        is_metal = gate.dimension in panel.channels
        if is_metal:
            values = np.arcsinh(values / panel.cofactor)
        low, high, fallback = _bounds(gate, values[kept])
        before = int(kept.sum())
        kept = kept & (values >= (-np.inf if low is None else low))
        kept &= values < (np.inf if high is None else high)
        steps.append(
            CleanUpStep(
                gate=gate.name,
                dimension=gate.dimension,
                scale="arcsinh" if is_metal else "linear",
                low=low,
                high=high,
                events_in=before,
                events_out=int(kept.sum()),
                fallback=fallback,
            )
        )
    return kept, tuple(steps)


def grow_tree(run: CytofRun, panel: CytofPanel, live: NDArray[np.bool_]) -> Tree:
    """Lay each marker's cut where its landmark stands, then gate the populations in order."""
    scaled = _Scaled(run, panel)
    member = {LIVE_CELLS: live}
    cuts: dict[str, ChosenCut] = {}
    for population in panel.populations:
        for marker in (*population.positive, *population.negative):
            _lay(marker, panel, scaled, member, cuts)
        member[population.name] = _members(population, scaled, member, cuts)
    _lay(panel.masking, panel, scaled, member, cuts)
    return Tree(member=member, cuts=cuts, masking=scaled[panel.masking])


def moved_trees(
    run: CytofRun, panel: CytofPanel, tree: Tree
) -> Iterator[tuple[dict[str, NDArray[np.bool_]], dict[str, NDArray[np.bool_]]]]:
    """For each cut, the members of every population with that cut moved down, and moved up, by the doubt."""
    scaled = _Scaled(run, panel)
    for marker in tree.cuts:
        yield (
            _moved(marker, -panel.cut_doubt, scaled, panel, tree),
            _moved(marker, panel.cut_doubt, scaled, panel, tree),
        )


def _moved(
    marker: str, by: float, scaled: "_Scaled", panel: CytofPanel, tree: Tree
) -> dict[str, NDArray[np.bool_]]:
    cuts = tree.cuts | {marker: replace(tree.cuts[marker], at=tree.cuts[marker].at + by)}
    member = {LIVE_CELLS: tree.member[LIVE_CELLS]}
    for population in panel.populations:
        used = {*population.positive, *population.negative}
        above = {population.parent, *population.any_of}
        # What neither uses the cut nor stands on something that changed is what it was.
        same = marker not in used and all(member[n] is tree.member[n] for n in above)
        member[population.name] = (
            tree.member[population.name] if same else _members(population, scaled, member, cuts)
        )
    return member


class _Scaled:
    """Arcsinh of each channel, made when it is asked for."""

    def __init__(self, run: CytofRun, panel: CytofPanel) -> None:
        self._run, self._panel = run, panel
        self._made: dict[str, NDArray[np.float64]] = {}

    def __getitem__(self, channel: str) -> NDArray[np.float64]:
        if channel not in self._made:
            counts = self._run.of(self._panel.channels[channel]).astype(np.float64)
            self._made[channel] = np.arcsinh(counts / self._panel.cofactor)
        return self._made[channel]


def _bounds(gate: CleanUp, values: NDArray[np.float64]) -> tuple[float | None, float | None, str]:
    if gate.cut is not None:
        chosen = choose_cut(values, gate.cut)
        return None, chosen.at, chosen.fallback
    middle, spread = main_group(values)
    if len(values) and not spread:
        return None, None, "all events have the same value"
    return middle - gate.below * spread, middle + gate.above * spread, ""


def _lay(
    marker: str,
    panel: CytofPanel,
    scaled: _Scaled,
    member: Mapping[str, NDArray[np.bool_]],
    cuts: dict[str, ChosenCut],
) -> None:
    if marker not in cuts:
        rule = panel.cuts[marker]
        cuts[marker] = choose_cut(scaled[marker][member[rule.landmark]], rule)


def _members(
    population: Population,
    scaled: _Scaled,
    member: Mapping[str, NDArray[np.bool_]],
    cuts: Mapping[str, ChosenCut],
) -> NDArray[np.bool_]:
    inside = member[population.parent].copy()
    if population.any_of:
        return np.asarray(inside & np.any([member[name] for name in population.any_of], axis=0))
    for marker in population.positive:
        inside &= scaled[marker] >= cuts[marker].at
    for marker in population.negative:
        inside &= scaled[marker] < cuts[marker].at
    return inside
