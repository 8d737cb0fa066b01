"""Samples of a barcoded run: each event's code from its palladium channels, or none.

Every sample carries the same number of positive channels, so that two cells of two
samples in one event have too many, and show it: their dimmest positive and brightest
negative channel lie close together. Scheme and steps after Zunder et al., Nat Protoc
2015;10:316: the positive channels are the brightest, intensities are divided by the
95th percentile of the code's own positive ones, and an event is assigned where the gap
is wide enough and, if asked for, it lies near its code's other events. An event whose
code is not in the key, or whose gap is too small, stays unassigned; none is forced.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.cytof.cuts import ChosenCut, choose_cut
from mrd_flow.cytof.parts import Barcodes

__all__ = ["UNASSIGNED", "Debarcoded", "debarcode"]

UNASSIGNED = -1

_SEPARATION_STEP = 0.01
_PERCENTILE = 0.95
_EVENTS_FOR_DISTANCE = 50  # a covariance of six channels needs more than a few


@dataclass(frozen=True, slots=True, kw_only=True)
class Debarcoded:
    """Assignment of events.

    ``code`` is intp (n_events,), the 0-based sample in the key's order or `UNASSIGNED`;
    ``closest`` the same before any filter; ``separation`` float64 (n_events,), the gap
    as a share of the code's 95th percentile. ``unknown_code``, ``narrow`` and
    ``distant`` count why events stayed unassigned.
    """

    code: NDArray[np.intp]
    closest: NDArray[np.intp]
    separation: NDArray[np.float64]
    cut: ChosenCut
    unknown_code: int
    narrow: int
    distant: int


def debarcode(intensities: NDArray[np.floating], barcodes: Barcodes) -> Debarcoded:
    """Assign events to the samples of a key.

    Parameters
    ----------
    intensities
        Counts, shape (n_events, n_barcode_channels), in the template's order.
    barcodes
        Scheme, key and cut-offs; the separation's cut-off is found in these events.
    """
    scaled = np.arcsinh(np.maximum(np.asarray(intensities, dtype=np.float64), 0.0) / barcodes.cofactor)
    closest = _closest(scaled, barcodes)
    for code, positive in enumerate(barcodes.codes):
        own = closest == code
        if own.any():
            top = float(np.quantile(scaled[own][:, list(positive)], _PERCENTILE))
            scaled[own] /= top if top > 0 else 1.0
    separation = _separation(scaled, barcodes.positive)
    known = closest != UNASSIGNED
    cut = choose_cut(separation[known], barcodes.separation, step=_SEPARATION_STEP)
    wide = known & (separation >= cut.at)
    near = _near(scaled, np.where(wide, closest, UNASSIGNED), barcodes) if barcodes.mahalanobis_most else wide
    return Debarcoded(
        code=np.where(near, closest, UNASSIGNED),
        closest=closest,
        separation=separation,
        cut=cut,
        unknown_code=int((~known).sum()),
        narrow=int((known & ~wide).sum()),
        distant=int((wide & ~near).sum()),
    )


def _closest(scaled: NDArray[np.float64], barcodes: Barcodes) -> NDArray[np.intp]:
    """Sample whose positive channels are an event's brightest."""
    brightest = np.argsort(-scaled, axis=1, kind="stable")[:, : barcodes.positive]
    bits = (1 << brightest).sum(axis=1)
    lookup: NDArray[np.intp] = np.full(1 << scaled.shape[1], UNASSIGNED, dtype=np.intp)
    for code, positive in enumerate(barcodes.codes):
        lookup[sum(1 << channel for channel in positive)] = code
    return np.asarray(lookup[bits], dtype=np.intp)


def _separation(scaled: NDArray[np.float64], positive: int) -> NDArray[np.float64]:
    ordered = -np.sort(-scaled, axis=1)
    return np.asarray(ordered[:, positive - 1] - ordered[:, positive])


def _near(scaled: NDArray[np.float64], code: NDArray[np.intp], barcodes: Barcodes) -> NDArray[np.bool_]:
    """Assigned events within the squared Mahalanobis distance from their code's events."""
    near = np.asarray(code != UNASSIGNED)
    for number in range(len(barcodes.key)):
        rows = np.flatnonzero(code == number)
        if len(rows) < _EVENTS_FOR_DISTANCE:
            continue
        centred = scaled[rows] - scaled[rows].mean(axis=0)
        covariance = np.cov(centred, rowvar=False) + 1e-9 * np.eye(scaled.shape[1])
        squared = np.einsum("ij,ij->i", centred, np.linalg.solve(covariance, centred.T).T)
        near[rows[squared > barcodes.mahalanobis_most]] = False
    return near
