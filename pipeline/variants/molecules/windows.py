"""Targets to stretches that are read in one go, and stretches to windows as reads come in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.formats.bed import Target

__all__ = ["MAX_GAP_NT", "Stretch", "cut_targets", "stretches"]

MAX_GAP_NT = 32_768  # two tiles of the index: nearer targets begin in blocks that are unpacked anyway


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Targets of one contig, so near that reading on is no slower than jumping by the index."""

    contig: str
    targets: tuple[Target, ...]

    @property
    def start(self) -> int:
        """First site."""
        return self.targets[0].start

    @property
    def end(self) -> int:
        """Behind the last site."""
        return self.targets[-1].end


def stretches(targets: Sequence[Target], *, max_gap_nt: int = MAX_GAP_NT) -> Iterator[Stretch]:
    """Targets (sorted, not overlapping) joined across gaps of at most ``max_gap_nt``.

    >>> near, far = Target("1", 500, 600), Target("1", 99_000, 99_100)
    >>> [len(s.targets) for s in stretches([Target("1", 0, 9), near, far])]
    [2, 1]
    """
    joined: list[Target] = []
    for target in targets:
        if joined and (target.contig != joined[-1].contig or target.start - joined[-1].end > max_gap_nt):
            yield Stretch(contig=joined[0].contig, targets=tuple(joined))
            joined = []
        joined.append(target)
    if joined:
        yield Stretch(contig=joined[0].contig, targets=tuple(joined))


def cut_targets(targets: Sequence[Target], begin: int, end: int) -> list[tuple[int, int]]:
    """The parts of targets within [begin, end).

    >>> cut_targets([Target("1", 0, 9), Target("1", 20, 30)], 5, 25)
    [(5, 9), (20, 25)]
    """
    parts = [(max(t.start, begin), min(t.end, end)) for t in targets]
    return [(start, stop) for start, stop in parts if start < stop]
