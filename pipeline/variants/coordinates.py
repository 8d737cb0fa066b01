"""Positions on genome and transcript, and how HGVS writes them (c. and n. numbering).

Inside, a genome position is 0-based on the plus strand, and a transcript position is 0-based in
the transcript's direction, without introns. A place in an intron is the nearest exon's last or
first base and the distance from it; the middle base of an odd intron belongs to the exon before
it (HGVS nomenclature, "numbering").
"""

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from pipeline.errors import InputRefused

__all__ = ["Place", "Transcript"]

_POSITION = re.compile(r"([*-]?)([1-9]\d{0,9})([+-][1-9]\d{0,9})?")


@dataclass(frozen=True, slots=True)
class Place:
    """A transcript position and, in an intron, the signed distance from it in nucleotides."""

    position: int
    distance_nt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """One transcript on the genome.

    ``exons`` are 0-based half-open genome intervals in ascending order, ``strand`` is 1 or -1.
    ``coding`` is the half-open interval of the coding sequence with its stop codon, in transcript
    positions; None where it codes for nothing. ``frame_known`` is false where the coding sequence
    begins inside a codon or an exception breaks its frame: then no protein is named.
    ``chosen_by`` says why this one stands for its gene.
    """

    name: str
    protein: str
    gene: str
    contig: str
    strand: int
    exons: tuple[tuple[int, int], ...]
    coding: tuple[int, int] | None
    frame_known: bool = True
    chosen_by: str = ""
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _before: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _order: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lengths = [end - start for start, end in self.exons]
        before = [0] * len(lengths)
        order = list(range(len(lengths)))[:: self.strand]
        total = 0
        for exon in order:
            before[exon] = total
            total += lengths[exon]
        object.__setattr__(self, "_starts", tuple(start for start, _ in self.exons))
        object.__setattr__(self, "_before", tuple(before))
        object.__setattr__(self, "_order", tuple(order))

    @property
    def start(self) -> int:
        """First genome position, 0-based."""
        return self.exons[0][0]

    @property
    def end(self) -> int:
        """Genome position after the last."""
        return self.exons[-1][1]

    @property
    def length_nt(self) -> int:
        """Length without introns."""
        return sum(end - start for start, end in self.exons)

    def exon_at(self, genome: int) -> int | None:
        """Index in ``exons`` of the exon that holds a genome position; None outside exons."""
        exon = bisect_right(self._starts, genome) - 1
        return exon if exon >= 0 and genome < self.exons[exon][1] else None

    def place(self, genome: int) -> Place | None:
        """Where a genome position lies on the transcript; None outside it."""
        exon = bisect_right(self._starts, genome) - 1
        if exon < 0 or genome >= self.end:
            return None
        if genome < self.exons[exon][1]:
            return Place(self._in_exon(exon, genome))
        left, right = self.exons[exon][1] - 1, self.exons[exon + 1][0]
        from_left, from_right = genome - left, right - genome
        if self.strand == 1:
            if from_left <= from_right:
                return Place(self._in_exon(exon, left), from_left)
            return Place(self._in_exon(exon + 1, right), -from_right)
        if from_right <= from_left:
            return Place(self._in_exon(exon + 1, right), from_right)
        return Place(self._in_exon(exon, left), -from_left)

    def genome(self, place: Place) -> int:
        """The 0-based genome position of a place.

        Raises
        ------
        InputRefused
            If the transcript has no such position, or the distance does not lead from an exon's
            edge into the intron beside it.
        """
        exon = self._exon_of(place.position)
        start, end = self.exons[exon]
        within = place.position - self._before[exon]
        at_exon = start + within if self.strand == 1 else end - 1 - within
        if place.distance_nt == 0:
            return at_exon
        found = at_exon + self.strand * place.distance_nt
        if not self._is_beside(exon, at_exon, found):
            raise InputRefused(
                "the intron position does not begin at the edge of an exon of its transcript, or runs out of "
                "the intron",
                remedy="use the transcript that the position was written for",
            )
        return found

    def written(self, place: Place, *, numbering: str = "c") -> str:
        """The place as HGVS writes it in ``c`` or ``n`` numbering, without the prefix."""
        distance = f"{place.distance_nt:+d}" if place.distance_nt else ""
        if numbering == "n" or self.coding is None:
            return f"{place.position + 1}{distance}"
        begin, end = self.coding
        if place.position < begin:
            return f"-{begin - place.position}{distance}"
        if place.position < end:
            return f"{place.position - begin + 1}{distance}"
        return f"*{place.position - end + 1}{distance}"

    def read(self, text: str, *, numbering: str = "c") -> Place:
        """The place that a c. or n. position means, such as ``-12``, ``123+4`` or ``*7``.

        Raises
        ------
        InputRefused
            If it is no such position or the transcript lacks it.
        """
        match = _POSITION.fullmatch(text)
        if match is None or (match[1] and (numbering == "n" or self.coding is None)):
            raise InputRefused(
                "not a position of this transcript",
                expected="a number, in c. numbering - or * before it, in an intron +N or -N after it",
            )
        number, distance = int(match[2]), int(match[3] or 0)
        if numbering == "n" or self.coding is None:
            position, limits = number - 1, (0, self.length_nt)
        else:
            begin, end = self.coding
            position = {"-": begin - number, "": begin + number - 1, "*": end + number - 1}[match[1]]
            limits = {"-": (0, begin), "": (begin, end), "*": (end, self.length_nt)}[match[1]]
        if not limits[0] <= position < limits[1]:
            raise InputRefused(
                "the position lies outside its part of the transcript",
                remedy="use the transcript that the position was written for",
            )
        return Place(position, distance)

    def _in_exon(self, exon: int, genome: int) -> int:
        start, end = self.exons[exon]
        return self._before[exon] + (genome - start if self.strand == 1 else end - 1 - genome)

    def _exon_of(self, position: int) -> int:
        if not 0 <= position < self.length_nt:
            raise InputRefused("the transcript has no such position")
        ordered = [self._before[exon] for exon in self._order]
        return self._order[bisect_right(ordered, position) - 1]

    def _is_beside(self, exon: int, at_exon: int, found: int) -> bool:
        start, end = self.exons[exon]
        if found > at_exon:
            return at_exon == end - 1 and exon + 1 < len(self.exons) and found < self.exons[exon + 1][0]
        return at_exon == start and exon > 0 and found >= self.exons[exon - 1][1]
