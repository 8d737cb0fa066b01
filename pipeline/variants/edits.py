"""Alleles without what they share, and the places where an insertion or deletion may stand."""

from dataclasses import dataclass

from pipeline.variants.reference import Reference

__all__ = ["Edit", "Moved", "copied", "moved", "reverse_complement", "trimmed"]

_COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


@dataclass(frozen=True, slots=True)
class Edit:
    """``alt`` in place of ``ref``, which begins at ``start`` of a contig: 0-based, plus strand."""

    start: int
    ref: str
    alt: str

    @property
    def end(self) -> int:
        """The position after the last base replaced."""
        return self.start + len(self.ref)


@dataclass(frozen=True, slots=True)
class Moved:
    """An edit at the last place it can take, and whether an unknown base or the contig's end stopped it."""

    edit: Edit
    stopped_by_unknown: bool


def reverse_complement(bases: str) -> str:
    """The other strand; ``N`` stays."""
    return bases.translate(_COMPLEMENT)[::-1]


def trimmed(position: int, ref: str, alt: str) -> Edit:
    """The smallest edit that makes ``alt`` of ``ref``; ``position`` is the 0-based place of ``ref``.

    >>> trimmed(10, "CAT", "CT")
    Edit(start=11, ref='A', alt='')
    """
    shorter = min(len(ref), len(alt))
    tail = 0
    while tail < shorter and ref[-1 - tail] == alt[-1 - tail]:
        tail += 1
    head = 0
    while head < shorter - tail and ref[head] == alt[head]:
        head += 1
    return Edit(position + head, ref[head : len(ref) - tail], alt[head : len(alt) - tail])


def moved(edit: Edit, reference: Reference, contig: str, direction: int) -> Moved:
    """The edit at its last place towards higher (1) or lower (-1) positions.

    Only an insertion or a deletion moves, and only over bases that are known. An edit that both
    removes and adds bases has one place.
    """
    if edit.ref and edit.alt:
        return Moved(edit, stopped_by_unknown=False)
    unit = edit.ref or edit.alt
    steps, stopped = _steps(unit, edit, reference, contig, direction)
    if steps == 0:
        return Moved(edit, stopped_by_unknown=stopped)
    turn = steps % len(unit) * direction
    unit = unit[turn:] + unit[:turn]
    start = edit.start + direction * steps
    at_last = Edit(start, unit, "") if edit.ref else Edit(start, "", unit)
    return Moved(at_last, stopped_by_unknown=stopped)


def _steps(unit: str, edit: Edit, reference: Reference, contig: str, direction: int) -> tuple[int, bool]:
    """How far the edit moves: while the next base is that of the unit, read round and round."""
    limit, length = reference.lengths_nt[contig], len(unit)
    if "N" in unit:
        return 0, True
    beside = edit.end if direction == 1 else edit.start - 1
    steps = 0
    while 0 <= beside < limit:
        base = reference.bases(contig, beside, beside + 1)
        if base != unit[steps % length if direction == 1 else -1 - steps % length]:
            return steps, base == "N"
        steps += 1
        beside += direction
    return steps, False


def copied(edit: Edit, reference: Reference, contig: str, direction: int) -> tuple[int, int] | None:
    """The bases just before an insertion (seen in ``direction``) that it repeats; None if it does not.

    Meant for an insertion at its last place: one that repeats what stands beside it can always be
    moved behind it.
    """
    length = len(edit.alt)
    if edit.ref or not length:
        return None
    start = edit.start - length if direction == 1 else edit.start
    if start < 0 or start + length > reference.lengths_nt[contig]:
        return None
    beside = reference.bases(contig, start, start + length)
    return (start, start + length) if beside == edit.alt and "N" not in beside else None
