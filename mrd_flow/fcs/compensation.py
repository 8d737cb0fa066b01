"""Spillover between detectors: the matrix of the file, and its inverse.

A file's $SPILLOVER is n, n parameter names, then n x n coefficients by row: row i says
how much of fluorochrome i each detector sees. Events as rows: raw = true . S, so
compensated = raw . S^-1 (FCS 3.1, section 3.2.20 of the keyword list).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.fcs.anomaly import Anomaly
from mrd_flow.fcs.layout import Parameter

__all__ = ["Spillover", "spillover_of", "transposed"]

_KEYS = ("$SPILLOVER", "SPILL", "$SPILL", "SPILLOVER", "$COMP")
_MOST_CONDITION = 1e4
# A matrix by columns is called where its transpose leaves this many times less below zero,
# and where what lies below zero is this share of what the detectors see (both as root mean
# squares). Five public files of three makers whose matrix is right leave 1.4 to 3.2 times
# *more* below zero when it is turned over, so 2 in the other direction is far from them.
_TRANSPOSED_RATIO = 2.0
_TRANSPOSED_SHARE = 0.003
_FEWEST_EVENTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spillover:
    """A spillover matrix and the columns it holds for.

    ``columns`` are 0-based parameters, ``matrix`` float64 of shape (n, n), row =
    fluorochrome, column = detector.
    """

    columns: tuple[int, ...]
    matrix: NDArray[np.float64]

    def unmixing(self) -> NDArray[np.float64]:
        """S^-1: raw columns (rows of events) times it are compensated columns."""
        return np.linalg.inv(self.matrix).astype(np.float64)


def spillover_of(
    keywords: Mapping[str, str], parameters: tuple[Parameter, ...]
) -> tuple[Spillover | None, list[Anomaly]]:
    """The file's spillover matrix, or None with the reason as an anomaly.

    Examples
    --------
    >>> spillover_of({}, ())[1][0].code
    'spillover_missing'
    """
    key = next((k for k in _KEYS if keywords.get(k, "").strip()), None)
    if key is None:
        return None, [Anomaly(code="spillover_missing", text="the file states no spillover matrix")]
    if key == "$COMP":
        text = "the matrix stands under $COMP (FCS 3.0), whose layout makers disagree on; it is not used"
        return None, [Anomaly(code="spillover_unusable", text=text)]
    parsed = _parsed(keywords[key])
    if parsed is None:
        text = f"{key} is not a count, that many names and a square of numbers"
        return None, [Anomaly(code="spillover_unusable", text=text)]
    names, matrix = parsed
    columns = _columns(names, parameters)
    if columns is None:
        text = f"{key} names a parameter that the file does not have exactly once"
        return None, [Anomaly(code="spillover_unusable", text=text)]
    return _checked(key, columns, matrix)


def transposed(spillover: Spillover, raw: NDArray[np.float32]) -> Anomaly | None:
    """Whether the matrix was written by columns instead of rows, as the events show it.

    The diagonal is the same both ways, so only events can tell: a matrix turned over
    subtracts from the wrong detectors, and bright cells end far below zero there.

    Parameters
    ----------
    spillover
        As the file states it.
    raw
        Uncompensated events of ``spillover.columns``, shape (n_events, n).

    Returns
    -------
    Anomaly or None
        Grave; None where the events do not tell or speak for the matrix.
    """
    events = raw[np.isfinite(raw).all(axis=1)].astype(np.float64)
    if len(events) < _FEWEST_EVENTS or np.allclose(spillover.matrix, spillover.matrix.T, atol=1e-3):
        return None
    size = _rms(events)
    stated = _rms(np.minimum(events @ spillover.unmixing(), 0.0))
    turned = _rms(np.minimum(events @ spillover.unmixing().T, 0.0))
    if stated <= _TRANSPOSED_SHARE * size or stated <= _TRANSPOSED_RATIO * turned:
        return None
    text = "the spillover matrix fits the events only when its rows and columns are exchanged"
    return Anomaly(code="spillover_transposed", text=text, grave=True)


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _checked(
    key: str, columns: tuple[int, ...], matrix: NDArray[np.float64]
) -> tuple[Spillover | None, list[Anomaly]]:
    if not np.isfinite(matrix).all() or np.linalg.cond(matrix) > _MOST_CONDITION:
        text = f"{key} cannot be inverted reliably"
        return None, [Anomaly(code="spillover_unusable", text=text)]
    if not np.allclose(np.diag(matrix), 1.0, atol=1e-3):
        text = f"the diagonal of {key} is not 1"
        return Spillover(columns=columns, matrix=matrix), [Anomaly(code="spillover_diagonal", text=text)]
    return Spillover(columns=columns, matrix=matrix), []


def _parsed(text: str) -> tuple[list[str], NDArray[np.float64]] | None:
    parts = [p.strip() for p in text.split(",")]
    if not (parts[0].isascii() and parts[0].isdigit() and len(parts[0]) < 5):
        return None
    size = int(parts[0])
    if size < 1 or len(parts) != 1 + size + size * size:
        return None
    try:
        values = [float(p) for p in parts[1 + size :]]
    except ValueError:
        return None
    return parts[1 : 1 + size], np.array(values, np.float64).reshape(size, size)


def _columns(names: list[str], parameters: tuple[Parameter, ...]) -> tuple[int, ...] | None:
    known = [p.name for p in parameters]
    if any(known.count(n) != 1 for n in names) or len(set(names)) != len(names):
        return None
    return tuple(known.index(n) for n in names)
