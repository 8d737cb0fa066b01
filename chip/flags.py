"""What speaks for or against a candidate, apart from the rules: one flag, one reason."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Flag", "Weight"]


class Weight(StrEnum):
    """What a flag does to a verdict.

    ``FAILS``: the evidence does not hold; an IN becomes OUT, a listed residue REVIEW. ``DOUBT``: a
    person decides; an IN becomes REVIEW. ``EXPLAINED``: inheritance or slippage explains it, OUT.
    ``NOTE`` changes nothing.
    """

    FAILS = "fails"
    DOUBT = "doubt"
    EXPLAINED = "explained"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One finding: a stable code, what it does, and the reason in words."""

    code: str
    weight: Weight
    text: str
