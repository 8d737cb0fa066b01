"""Arms gained or lost in a tumour, from the depth of target bins against pooled normals.

A bin's depth is compared with what it has in normal samples of the same panel, so that neither its
capture nor a flat, assumed reference enters; fewer than five normals make every call one of low confidence.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cfdna.copy_number.purity import Explanation, Observed, explain_levels

__all__ = ["NORMALS_MIN", "ArmCall", "TumourArms", "call_arms", "is_hyperdiploid"]

Floats = NDArray[np.float64]
NORMALS_MIN = 5
_HYPERDIPLOID = ("3", "5", "7", "9", "11", "15", "19", "21")
_BINS_MIN = 3
_SPREAD_MIN = 0.01
_ACROCENTRIC = ("15", "21")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCall:
    """An arm's copies in the tumour; ``ratio`` of depth to normals, two copies at 1, with its error.

    ``state`` is gain, amplification (4 and more), loss, deep_loss, neutral, or not_evaluable with
    fewer than three bins.
    """

    arm: str
    bins: int
    ratio: float | None
    standard_error: float | None
    copies: int | None
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TumourArms:
    """All arms, purity (share of tumour cells, 0 where nothing is altered), and how sure that is."""

    arms: tuple[ArmCall, ...]
    purity: float
    gain: float
    normals: int
    low_confidence: bool
    reason: str


def call_arms(
    counts: Floats,
    normals: Floats,
    arms: Sequence[str],
    *,
    imbalance: dict[str, tuple[float, float]] | None = None,
) -> TumourArms:
    """Call every arm of one tumour.

    Parameters
    ----------
    counts
        Shape (bins,): fragments of the tumour in each target bin.
    normals
        Shape (samples, bins): the same of normal samples, at least one.
    arms
        Arm of each bin.
    imbalance
        By arm, mean |BAF - 0.5| of heterozygous sites and its error, where known.

    Raises
    ------
    ValueError
        If shapes do not agree, there is no normal sample, or no arm has three usable bins.
    """
    if normals.ndim != 2 or normals.shape[1] != len(counts) or len(arms) != len(counts):
        raise ValueError("counts, normals and arms have one value a bin each")
    if len(normals) == 0:
        raise ValueError("there is no normal sample to compare with")
    depth = normals / np.median(normals, axis=1, keepdims=True)
    typical = np.median(depth, axis=0)
    usable = (typical > 0.2 * np.median(typical)) & (typical < 5 * np.median(typical))
    ratio = np.divide(counts, typical, out=np.zeros(len(counts)), where=usable)
    ratio /= np.median(ratio[usable])
    names = [a for a in dict.fromkeys(arms) if a]
    levels = {a: _level(ratio, np.array([x == a for x in arms]) & usable) for a in names}
    known = {a: v for a, v in levels.items() if v is not None}
    if not known:
        raise ValueError("no arm has three usable bins")
    observed = [
        Observed(
            ratio=r,
            standard_error=error,
            weight=bins,
            imbalance=None if imbalance is None or a not in imbalance else imbalance[a][0],
            imbalance_error=None if imbalance is None or a not in imbalance else imbalance[a][1],
        )
        for a, (r, error, bins) in known.items()
    ]
    found = explain_levels(observed)
    return _calls(names, known, found, len(normals))


def _level(ratio: Floats, own: NDArray[np.bool_]) -> tuple[float, float, int] | None:
    """Median ratio of an arm's bins, its error, and their number; None with too few bins."""
    part = ratio[own]
    if len(part) < _BINS_MIN:
        return None
    middle = float(np.median(part))
    spread = max(1.4826 * float(np.median(np.abs(part - middle))), 0.02 * middle, _SPREAD_MIN)
    # of a median; few bins give an uncertain spread
    return middle, 1.2533 * spread * math.sqrt(1 + 2 / len(part)) / math.sqrt(len(part)), len(part)


def _calls(
    names: Sequence[str],
    known: dict[str, tuple[float, float, int]],
    found: Explanation,
    normals: int,
) -> TumourArms:
    states = dict(zip(known, found.states, strict=True))
    calls = []
    for arm in names:
        if arm not in known:
            calls.append(
                ArmCall(arm=arm, bins=0, ratio=None, standard_error=None, copies=None, state="not_evaluable")
            )
            continue
        ratio, error, bins = known[arm]
        copies = states[arm].copies
        calls.append(
            ArmCall(
                arm=arm,
                bins=bins,
                ratio=ratio / found.baseline,
                standard_error=error / found.baseline,
                copies=copies,
                state=_state(copies),
            )
        )
    few = normals < NORMALS_MIN
    reason = f"{normals} normal samples" + (
        f", at least {NORMALS_MIN} are asked for: low confidence" if few else ""
    )
    return TumourArms(
        arms=tuple(calls),
        purity=found.purity,
        gain=found.gain,
        normals=normals,
        low_confidence=few,
        reason=reason,
    )


def _state(copies: int) -> str:
    if copies == 2:
        return "neutral"
    if copies > 2:
        return "gain" if copies == 3 else "amplification"
    return "loss" if copies == 1 else "deep_loss"


def is_hyperdiploid(arms: Sequence[ArmCall]) -> bool | None:
    """Whether two or more of chromosomes 3, 5, 7, 9, 11, 15, 19, 21 are gained whole.

    Returns
    -------
    bool or None
        None where arms that are not evaluable could change the answer.
    """
    state = {a.arm: a.state for a in arms}
    gained = possible = 0
    for chromosome in _HYPERDIPLOID:
        own = [f"{chromosome}q"] if chromosome in _ACROCENTRIC else [f"{chromosome}p", f"{chromosome}q"]
        seen = [state.get(a, "not_evaluable") for a in own]
        gained += all(s in ("gain", "amplification") for s in seen)
        possible += all(s in ("gain", "amplification", "not_evaluable") for s in seen)
    if gained >= 2:
        return True
    return None if possible >= 2 else False
