"""Response levels and the judgement of one visit."""

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Judgement", "Level"]


class Level(IntEnum):
    """Levels in the order that best response takes: a confirmed progression stays."""

    NE = 0
    SD = 1
    MR = 2
    PR = 3
    VGPR = 4
    CR = 5
    SCR = 6
    PD = 7

    @property
    def label(self) -> str:
        """The level as clinicians write it."""
        return "sCR" if self is Level.SCR else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A level, one sentence that says why, and the source rows it rests on.

    ``stands_alone`` is what makes a progression need no second sample (imaging, marrow, death),
    empty where it rests on laboratory values.
    """

    level: Level
    reason: str
    rows: tuple[str, ...]
    stands_alone: str = ""
