"""Paired series of numbers, checked once for every method that takes them."""

import numpy as np
import numpy.typing as npt

__all__ = ["PAIRS_MIN", "Bools", "Floats", "flags", "paired"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PAIRS_MIN = 10
"""Fewest pairs through which a line is drawn."""


def paired(x: npt.ArrayLike, y: npt.ArrayLike, *, minimum: int) -> tuple[Floats, Floats]:
    """Two finite float arrays of one shape (pairs,).

    Raises
    ------
    ValueError
        If the arrays differ in shape, are not one-dimensional, hold fewer than ``minimum``
        pairs or a value that is not finite.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if xs.ndim != 1 or xs.shape != ys.shape:
        raise ValueError(f"x and y must be one-dimensional and equally long, not {xs.shape} and {ys.shape}")
    if len(xs) < minimum:
        raise ValueError(f"fewer than {minimum} pairs: {len(xs)}")
    if not (np.all(np.isfinite(xs)) and np.all(np.isfinite(ys))):
        raise ValueError("a value is missing or infinite: leave the pair out")
    return xs, ys


def flags(values: npt.ArrayLike, pairs: int) -> Bools:
    """A bool array of shape (pairs,).

    Raises
    ------
    ValueError
        If its shape is another, or it holds something else than truth values.
    """
    found = np.asarray(values)
    if found.shape != (pairs,):
        raise ValueError(f"one flag per pair is needed: {pairs}, not shape {found.shape}")
    if found.dtype != np.bool_:
        if not np.all((found == 0) | (found == 1)):
            raise ValueError("a flag is neither true nor false")
        found = found.astype(np.bool_)
    return found
