"""Cells of a common kind that can reach a gate only far out in a tail: draw these, not the rest.

A gate is reached by one of several ways (`mrd_flow.simulation.template_gates.routes_to`). Of each way
the marker is taken whose level the kind reaches least often; a cell whose light reaches
none of these levels, less the largest error, is left out. The others are drawn from their
own law: each cell proposes, with the probability of each level's tail, a cell from that
tail, which is kept with one over the number of levels it reaches. That is the law of
independent cells, given that they reach a level.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.simulation.events import light_of, single_scatter
from mrd_flow.simulation.populations import CellKinds

__all__ = ["Tail", "draw_tail", "tails_of"]

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Cells of one kind whose ``marker`` lies more than ``level`` spreads above the kind's median."""

    marker: int
    level: float
    probability: float


def tails_of(
    kinds: CellKinds, row: int, routes: Sequence[Mapping[str, float]], markers: tuple[str, ...], error: Values
) -> tuple[Tail, ...]:
    """Tails of one kind of which a cell must be in one or more to take a way into the gate.

    Parameters
    ----------
    kinds, row
        The kind.
    routes
        Ways into the gate; markers and the channels they must reach.
    markers
        Markers of the tube, in the order of ``kinds``.
    error
        Largest error of each marker's compensated value, (n_markers,), in channels.
    """
    found: dict[int, Tail] = {}
    for route in routes:
        options = [_tail(kinds, row, markers.index(m), level, error) for m, level in route.items()]
        rarest = min(
            options, key=lambda t: t.probability, default=Tail(marker=0, level=-np.inf, probability=1.0)
        )
        other = found.get(rarest.marker)
        if other is None or rarest.level < other.level:  # the wider tail holds the narrower
            found[rarest.marker] = rarest
    return tuple(found.values())


def draw_tail(
    kinds: CellKinds, row: int, tails: Sequence[Tail], cells: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scatter and light of those of ``cells`` cells of one kind that are in a tail.

    The tails' probabilities must sum to less than 1.
    """
    from scipy.special import ndtri

    chances = [t.probability for t in tails]
    proposals = rng.multinomial(cells, [*chances, 1.0 - sum(chances)])[:-1]
    own = np.sqrt(1.0 - kinds.shared**2)
    latents = []
    for tail, size in zip(tails, proposals, strict=True):
        far = -ndtri(rng.uniform(size=size) * tail.probability)
        together = kinds.shared * far + own * rng.standard_normal(size)
        latent = kinds.shared * together[:, np.newaxis] + own * rng.standard_normal(
            (size, kinds.spread.shape[1])
        )
        latent[:, tail.marker] = far
        latents.append(latent)
    latent = np.concatenate(latents)
    reached = np.sum([latent[:, t.marker] > t.level for t in tails], axis=0)
    latent = latent[rng.uniform(size=len(latent)) * np.maximum(reached, 1) < 1].astype(np.float32)
    rows = np.full(len(latent), row)
    scatter = single_scatter(kinds.scatter[rows], rng.standard_normal((len(latent), 3), dtype=np.float32))
    return scatter, light_of(kinds, rows, latent)


def _tail(kinds: CellKinds, row: int, marker: int, level: float, error: Values) -> Tail:
    from scipy.special import ndtr

    height = np.log(max(level - error[marker], 1e-300)) - kinds.median_ln[row, marker]
    deviate = float(height / kinds.spread[row, marker])
    return Tail(marker=marker, level=deviate, probability=float(ndtr(-deviate)))
