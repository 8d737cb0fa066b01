"""Hits of minimap2 as lines of SAM: flags, clips, mates (SAM specification 1.4)."""

from typing import Any

from pipeline.formats.fastq import Read
from pipeline.variants.alignment.umi_reads import UmiPair

__all__ = ["sam_lines"]

_COMPLEMENT = bytes.maketrans(b"ACGTN", b"TGCAN")
_PROPER_NT = 1_500  # mates on opposite strands, facing, no further apart


def sam_lines(pair: UmiPair, hits: tuple[Any | None, Any | None]) -> str:
    """Two lines for a pair and the best hit of each mate (None: unmapped).

    Hits have minimap2's attributes: ctg, r_st, r_en, q_st, q_en (on the read as sequenced), strand,
    mapq, cigar, NM.
    """
    lines = []
    facing = _are_facing(*hits)
    for mate, read in enumerate((pair.first, pair.second)):
        here, there = hits[mate], hits[1 - mate]
        flag = 1 | (128 if mate else 64) | (2 if facing else 0)
        flag |= (4 if here is None else 0) | (8 if there is None else 0)
        flag |= (16 if here is not None and here.strand < 0 else 0) | (
            32 if there is not None and there.strand < 0 else 0
        )
        lines.append(_line(pair, read, flag, here, there, first_of_pair=mate == 0))
    return "".join(lines)


def _are_facing(one: Any | None, other: Any | None) -> bool:
    if one is None or other is None or one.ctg != other.ctg or one.strand == other.strand:
        return False
    left, right = (one, other) if one.strand > 0 else (other, one)
    return bool(left.r_st <= right.r_st and left.r_en <= right.r_en and right.r_en - left.r_st <= _PROPER_NT)


def _line(
    pair: UmiPair, read: Read, flag: int, here: Any | None, there: Any | None, *, first_of_pair: bool
) -> str:
    sequence, qualities = read.sequence, read.qualities
    if here is not None and here.strand < 0:
        sequence, qualities = sequence.translate(_COMPLEMENT)[::-1], qualities[::-1]
    place = here or there  # an unmapped mate lies where the other does
    other = there or here
    contig, pos = (place.ctg, place.r_st + 1) if place is not None else ("*", 0)
    next_contig, next_pos = (other.ctg, other.r_st + 1) if other is not None else ("*", 0)
    if next_contig == contig != "*":
        next_contig = "="
    cells = [
        pair.name,
        str(flag),
        contig,
        str(pos),
        str(here.mapq if here is not None else 0),
        _cigar(here, len(sequence)) if here is not None else "*",
        next_contig,
        str(next_pos),
        str(_template_length(here, there)),
        sequence.decode("ascii"),
        qualities.decode("ascii"),
        "RG:Z:1",
    ]
    if here is not None:
        cells.append(f"NM:i:{here.NM}")
    if there is not None:
        mate = pair.second if first_of_pair else pair.first
        cells += [f"MC:Z:{_cigar(there, len(mate.sequence))}", f"MQ:i:{there.mapq}"]
    if pair.umi is not None:
        cells.append(f"RX:Z:{pair.umi}")
    return "\t".join(cells) + "\n"


def _cigar(hit: Any, length: int) -> str:
    front, back = hit.q_st, length - hit.q_en
    if hit.strand < 0:
        front, back = back, front
    clips = (f"{front}S" if front else "", f"{back}S" if back else "")
    return f"{clips[0]}{hit.cigar_str}{clips[1]}"


def _template_length(here: Any | None, there: Any | None) -> int:
    """Extent of the pair, negative for the right mate; of two that begin alike, for the reverse one."""
    if here is None or there is None or here.ctg != there.ctg:
        return 0
    span = int(max(here.r_en, there.r_en) - min(here.r_st, there.r_st))
    return span if (here.r_st, -here.strand) <= (there.r_st, -there.strand) else -span
