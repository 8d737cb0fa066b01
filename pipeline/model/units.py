"""Fractions of nucleated cells, and how people read them."""

import math

__all__ = ["format_fraction", "per_million"]


def per_million(fraction: float) -> float:
    """A fraction of nucleated cells as cells per million.

    >>> per_million(2e-6)
    2.0
    """
    return fraction * 1e6


def format_fraction(fraction: float | None, *, digits: int = 2) -> str:
    """A fraction in the notation laboratories print: ``1.2e-5``; ``0`` stays ``0``.

    >>> format_fraction(0.0000123), format_fraction(0.25), format_fraction(0.0), format_fraction(None)
    ('1.2e-5', '2.5e-1', '0', '')
    """
    if fraction is None:
        return ""
    if fraction == 0:
        return "0"
    if not math.isfinite(fraction):
        raise ValueError(f"a fraction must be finite, not {fraction}")
    mantissa, exponent = f"{fraction:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"
