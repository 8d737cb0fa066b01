"""Partners of the immunoglobulin heavy-chain locus, from split and discordant reads over baits.

A fragment speaks for a translocation where its two mates map to bait and partner, or one read is
split between them. Real breakpoints gather such fragments within a fragment's length on both
sides; chimaeric molecules of the library lie scattered, so that a cluster of them decides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cfdna.copy_number.genome import plain_name
from pipeline.errors import ConfigRefused
from pipeline.formats.shipped import shipped_config
from pipeline.formats.toml_tables import read_toml

__all__ = [
    "Junction",
    "PartnerCall",
    "PartnerRules",
    "Region",
    "call_partners",
    "find_junctions",
    "load_regions",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A named interval, 1-based, both ends included; ``event`` such as ``t(4;14)``, empty for a bait."""

    name: str
    event: str
    chrom: str
    start: int
    end: int

    def holds(self, contig: str, position: int) -> bool:
        """Whether a 1-based position lies in it."""
        return plain_name(contig) == self.chrom and self.start <= position <= self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerRules:
    """A call needs ``fragments_min`` different fragments within ``window_nt`` on both sides."""

    fragments_min: int = 4
    window_nt: int = 700
    mapping_quality_min: int = 20


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Junction:
    """One fragment that joins bait and partner; 1-based positions nearest to the break."""

    partner: str
    bait_position: int
    partner_position: int
    split: bool
    fragment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerCall:
    """A translocation: breakpoints by split reads where there are any, else the middle of the cluster."""

    partner: str
    event: str
    fragments: int
    split_fragments: int
    bait_position: int
    partner_position: int


def load_regions(path: Path | None = None) -> tuple[tuple[Region, ...], tuple[Region, ...]]:
    """Baits and partners, of the configuration that ships or an own TOML file.

    Raises
    ------
    ConfigRefused
        If the file names none of either, or a region is impossible.
    """
    source = path or shipped_config("igh_partners", "cfdna")
    tables = read_toml(source)[0]
    try:
        baits, partners = (
            tuple(
                Region(
                    name=str(row["name"]),
                    event=str(row.get("event", "")),
                    chrom=plain_name(str(row["chrom"])),
                    start=int(row["start"]),
                    end=int(row["end"]),
                )
                for row in tables.get(kind, [])
            )
            for kind in ("bait", "partner")
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigRefused("a region lacks name, chrom, start or end", path=source) from error
    if not baits or not partners or any(r.start < 1 or r.end < r.start for r in (*baits, *partners)):
        raise ConfigRefused("needs [[bait]] and [[partner]] tables with 1 <= start <= end", path=source)
    return baits, partners


def find_junctions(
    reads: Iterable[Any], baits: Sequence[Region], partners: Sequence[Region], rules: PartnerRules
) -> tuple[Junction, ...]:
    """Fragments of the bait's reads that join it to a partner; each fragment once.

    Parameters
    ----------
    reads
        `pysam.AlignedSegment` that touch the baits. Duplicates, secondary alignments and reads of low
        mapping quality are left out; of copies (equal positions on both sides) one counts.
    """
    found: dict[tuple[str, str], Junction] = {}
    for read in reads:
        if read.flag & (0x4 | 0x100 | 0x200 | 0x400) or read.mapping_quality < rules.mapping_quality_min:
            continue
        for contig, position, split, own in _elsewhere(read, rules):
            partner = next((p for p in partners if p.holds(contig, position)), None)
            if partner is None or not any(b.holds(read.reference_name, own) for b in baits):
                continue
            junction = Junction(
                partner=partner.name,
                bait_position=own,
                partner_position=position,
                split=split,
                fragment=read.query_name,
            )
            before = found.get((partner.name, read.query_name))
            if before is None or (split and not before.split):
                found[(partner.name, read.query_name)] = junction
    return tuple(sorted(found.values()))


def _elsewhere(read: Any, rules: PartnerRules) -> Iterable[tuple[str, int, bool, int]]:
    """Contig and 1-based position of the read's other parts and mate, whether split, own position."""
    if read.has_tag("SA"):
        for part in str(read.get_tag("SA")).rstrip(";").split(";"):
            contig, position, _, cigar, quality = part.split(",")[:5]
            if int(quality) >= rules.mapping_quality_min:
                yield contig, _broken_end(int(position), cigar), True, _own_break(read)
    if read.is_paired and not read.mate_is_unmapped and read.next_reference_name != read.reference_name:
        own = read.reference_start + 1 if read.is_reverse else read.reference_end
        of_mate = int(read.get_tag("MQ")) if read.has_tag("MQ") else rules.mapping_quality_min
        if of_mate >= rules.mapping_quality_min:
            yield read.next_reference_name, read.next_reference_start + 1, False, int(own)


def _own_break(read: Any) -> int:
    """1-based position of the read's clipped end."""
    operations = read.cigartuples or []
    left = operations[0][1] if operations and operations[0][0] in (4, 5) else 0
    right = operations[-1][1] if operations and operations[-1][0] in (4, 5) else 0
    return int(read.reference_start + 1) if left >= right else int(read.reference_end)


def _broken_end(position: int, cigar: str) -> int:
    """1-based position of the clipped end of an alignment given by its CIGAR text."""
    lengths: list[tuple[int, str]] = []
    digits = ""
    for letter in cigar:
        if letter.isdigit():
            digits += letter
        else:
            lengths.append((int(digits), letter))
            digits = ""
    left = lengths[0][0] if lengths and lengths[0][1] in "SH" else 0
    right = lengths[-1][0] if lengths and lengths[-1][1] in "SH" else 0
    span = sum(n for n, letter in lengths if letter in "MDN=X")
    return position if left >= right else position + span - 1


def call_partners(
    junctions: Sequence[Junction], partners: Sequence[Region], rules: PartnerRules
) -> tuple[PartnerCall, ...]:
    """One call for each partner whose largest cluster of different fragments is large enough."""
    calls = []
    for partner in partners:
        own = _without_copies([j for j in junctions if j.partner == partner.name])
        cluster = _largest_cluster(own, rules.window_nt)
        if len(cluster) < rules.fragments_min:
            continue
        split = [j for j in cluster if j.split]
        bait, other = _middle(split or cluster)
        calls.append(
            PartnerCall(
                partner=partner.name,
                event=partner.event,
                fragments=len(cluster),
                split_fragments=len(split),
                bait_position=bait,
                partner_position=other,
            )
        )
    return tuple(calls)


def _without_copies(junctions: Sequence[Junction]) -> list[Junction]:
    """Discordant pairs of equal positions once; split reads share the break and differ by name."""
    kept: dict[tuple[int, int, str], Junction] = {}
    for j in junctions:
        kept.setdefault((j.bait_position, j.partner_position, j.fragment if j.split else ""), j)
    return sorted(kept.values())


def _largest_cluster(junctions: Sequence[Junction], window: int) -> list[Junction]:
    best: list[Junction] = []
    for centre in junctions:
        near = [
            j
            for j in junctions
            if abs(j.bait_position - centre.bait_position) <= window
            and abs(j.partner_position - centre.partner_position) <= window
        ]
        if len(near) > len(best):
            best = near
    return best


def _middle(junctions: Sequence[Junction]) -> tuple[int, int]:
    middle = len(junctions) // 2
    bait = sorted(j.bait_position for j in junctions)[middle]
    return bait, sorted(j.partner_position for j in junctions)[middle]
