"""The best a classifier could do on a simulated sample: it knows the simulator's own densities.

Each event of a plasma-cell table is compared under the clone and under everything else
that can be in the gate (every sort of normal plasma cell, other cells, doublets except of
two plasma cells), with the sample's true shares. Either the clone's phenotype is known as
it was drawn, or only the archetypes, light chains and their spread between patients are.
The approximations are those of `mrd_flow.simulation.oracle_density` and of
`mrd_flow.simulation.oracle_components`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrd_flow.panel.template import Panel
from mrd_flow.simulation.events import draw_cells, measure
from mrd_flow.simulation.oracle_components import Components, clones, doublets, singles
from mrd_flow.simulation.oracle_density import error_variance, light_log_density
from mrd_flow.simulation.populations import spillover_matrix
from mrd_flow.simulation.sample_model import SampleModel
from mrd_flow.simulation.template_gates import from_logicle, inside_gate

__all__ = ["Overlap", "nearest_normal", "oracle_log_ratio", "oracle_log_ratios"]

Values = NDArray[np.float64]
_HOPELESS = -14.0  # log odds below which what can only lower them is not counted
_COMMON_SORTS = 6  # of normal plasma cells, looked at first: they settle most events
_POSITIVE_LN = float(np.log(1_000.0))  # how a normal phenotype is named


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """The sort of normal plasma cell a clone is hardest to tell from.

    ``bayes_error`` is that of single cells inside the plasma-cell gate, both sorts equally
    frequent; ``share`` the sort's share of normal plasma cells.
    """

    phenotype: str
    share: float
    bayes_error: float


def oracle_log_ratio(
    table: Values,
    dimensions: tuple[str, ...],
    panel: Panel,
    tube: int,
    sample: SampleModel,
    *,
    phenotype_known: bool,
) -> Values:
    """Natural log of the odds that each event is the clone's, above 0: more likely than not.

    Parameters
    ----------
    table, dimensions
        Events inside the plasma-cell gate, (n, n_dimensions), as
        `mrd_flow.simulation.plasma_cell_tables.SimulatedTable` has them.
    panel, tube
        The template and which of its tubes (1-based).
    sample
        The law the events were drawn from; ``aberrant_fraction`` above 0.
    phenotype_known
        Use the clone's own phenotype; otherwise every archetype of `PHENOTYPES` with
        either light chain, with the spread between patients. All are equally likely
        before the sample is seen; one of them made the whole clone.

    Returns
    -------
    numpy.ndarray
        float64 (n,).

    Raises
    ------
    ValueError
        If the sample holds no clone.
    """
    unknown, known = oracle_log_ratios(table, dimensions, panel, tube, sample)
    return known if phenotype_known else unknown


def oracle_log_ratios(
    table: Values, dimensions: tuple[str, ...], panel: Panel, tube: int, sample: SampleModel
) -> tuple[Values, Values]:
    """As `oracle_log_ratio`, without the clone's own phenotype and with it, at the cost of one.

    What is no clone is the same for both, and need not be summed to its end where the sorts
    already summed make the clone hopeless.
    """
    if sample.aberrant_fraction <= 0:
        raise ValueError("an oracle needs the law of a sample with a clone")
    kinds = sample.kinds(tuple(panel.tubes[tube - 1].markers))
    events = _Events.of(table, dimensions, panel, tube)
    options = [clones(kinds, panel, tube, sample, phenotype_known=known) for known in (False, True)]
    rates = [events.log_each(clone) + clone.rate_ln[:, np.newaxis] for clone in options]
    best = np.maximum(rates[0].max(axis=0), rates[1].max(axis=0))
    others = np.full(len(table), -np.inf)
    single = np.setdiff1d(np.flatnonzero(kinds.share > 0), kinds.rows("aberrant_plasma_cell"))
    plasma = kinds.rows("normal_plasma_cell")
    common = plasma[np.argsort(-kinds.share[plasma], kind="stable")[:_COMMON_SORTS]]
    for components in (
        singles(kinds, common),
        singles(kinds, np.setdiff1d(single, common)),
        doublets(kinds, panel, tube),
    ):
        close = best - others > _HOPELESS
        others[close] = np.logaddexp(others[close], events.only(close).log_rate(components))
    return _pooled(rates[0] - others), _pooled(rates[1] - others)


def _pooled(ratio: Values) -> Values:
    """Log odds (n,) from those under each hypothesis (n_hypotheses, n): one clone made all its events."""
    evidence = np.logaddexp(0.0, ratio).sum(axis=1)
    weight_ln = evidence - np.logaddexp.reduce(evidence)
    clone = np.logaddexp.reduce(weight_ln[:, np.newaxis] - np.logaddexp(0.0, -ratio))
    other = np.logaddexp.reduce(weight_ln[:, np.newaxis] - np.logaddexp(0.0, ratio))
    return np.asarray(clone - other, np.float64)


def nearest_normal(
    panel: Panel, tube: int, sample: SampleModel, rng: np.random.Generator, *, cells: int = 4_000
) -> Overlap:
    """Bayes error between the sample's clone and the normal sort it is hardest to tell from.

    Parameters
    ----------
    panel, tube
        The template and which of its tubes (1-based).
    sample
        The law of the sample's cells.
    rng
        Source of the ``cells`` drawn of each sort; the standard error of the result is
        at most 0.5 / sqrt(cells).
    """
    markers = tuple(panel.tubes[tube - 1].markers)
    kinds = sample.kinds(markers)
    normal = kinds.rows("normal_plasma_cell")
    rows = np.append(normal, kinds.rows("aberrant_plasma_cell"))
    mixing = spillover_matrix(tuple(panel.tubes[tube - 1].markers.values()))
    drawn = np.repeat(rows, cells)
    raw = measure(*draw_cells(kinds, drawn, rng), mixing.astype(np.float32), rng).astype(np.float64)
    values = np.hstack([raw[:, :3], raw[:, 3:] @ np.linalg.inv(mixing)])
    linear = dict(zip((*panel.scatter, *markers), values.T, strict=True))
    inside = inside_gate(panel, tube, panel.plasma_cell_gate, linear)
    density = _Events(linear=values, spillover=mixing).log_each(singles(kinds, rows))
    ratio = density[-1] - density[:-1]  # clone against each sort
    own = inside & (drawn == rows[-1])
    errors = np.array(
        [
            0.5 * float((ratio[i, own] < 0).mean() + (ratio[i, inside & (drawn == row)] > 0).mean())
            for i, row in enumerate(normal)
        ]
    )
    worst = int(errors.argmax())
    return Overlap(
        phenotype=_named(markers, kinds.median_ln[normal[worst]]),
        share=float(kinds.share[normal[worst]] / kinds.share[normal].sum()),
        bayes_error=float(errors[worst]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Events:
    """Linear values (n, 3 + n_markers), scatter first, and the tube's spillover."""

    linear: Values
    spillover: Values

    @classmethod
    def of(cls, table: Values, dimensions: tuple[str, ...], panel: Panel, tube: int) -> "_Events":
        markers = panel.tubes[tube - 1].markers
        columns = [table[:, dimensions.index(s)] for s in panel.scatter]
        columns += [from_logicle(table[:, dimensions.index(m)].copy(), panel.logicle_of(m)) for m in markers]
        return cls(linear=np.column_stack(columns), spillover=spillover_matrix(tuple(markers.values())))

    def only(self, rows: NDArray[np.bool_]) -> "_Events":
        """Some of the events."""
        return replace(self, linear=self.linear[rows])

    def log_rate(self, components: Components) -> Values:
        """Log of the expected density of events, summed over components, (n,)."""
        return np.asarray(np.logaddexp.reduce(self.log_each(components) + components.rate_ln[:, np.newaxis]))

    def log_each(self, components: Components) -> Values:
        """Log density under each component, (n_components, n)."""
        light = self.linear[:, 3:]
        variance = error_variance(light, self.spillover)
        density = light_log_density(
            light, variance, components.median_ln, components.spread, components.shared
        )
        return density + self._scatter(components)

    def _scatter(self, components: Components) -> Values:
        area, height, side = np.maximum(self.linear[:, :3], 1.0).T
        seen = np.log(np.stack([area, height / area, side], axis=1))
        found = np.empty((len(components.rate_ln), len(seen)))
        for k, (mean, covariance) in enumerate(
            zip(components.scatter_mean, components.scatter_covariance, strict=True)
        ):
            apart = seen - mean
            distance = (apart @ np.linalg.inv(covariance) * apart).sum(axis=1)
            found[k] = -0.5 * (distance + np.log(np.linalg.det(covariance)))
        return found


def _named(markers: tuple[str, ...], median_ln: NDArray[np.float32]) -> str:
    return " ".join(
        m + ("+" if median > _POSITIVE_LN else "-")
        for m, median in zip(markers, median_ln, strict=True)
        if m not in ("CD38", "CD138")
    )
