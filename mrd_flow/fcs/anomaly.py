"""What deviates from the standard in a file that is read all the same."""

from dataclasses import dataclass

__all__ = ["Anomaly"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One deviation of one file.

    ``code`` is a stable word, ``text`` a sentence that is safe to print. ``grave``
    marks what could change a count: a result that rests on it is not called.
    """

    code: str
    text: str
    grave: bool = False
