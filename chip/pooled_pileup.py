"""Substitutions of a gene with a false copy, counted over both places of a BAM file.

Reads there have mapping quality 0, so no quality is asked of them; what else fits neither place is
told by its mismatches. Molecules are fragments, or with UMIs (tag RX) fragments with the same ends and
UMI; a molecule shows the base that most of its reads show. Substitutions alone: the gene's drivers
(S34, Q157, R156) are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chip.evidence import Counts, Strands
from chip.false_duplicate import CopiedStretch
from pipeline.errors import InputRefused

__all__ = ["PooledCounts", "PooledSubstitution", "pile_up_pooled", "substitutions"]

_BASES = "ACGT"
_CODE = {base: i for i, base in enumerate(_BASES)}
_BASE_QUALITY_MIN = 20
_MISMATCHES_MAX = 5  # of a read: more is another place's
_MAJORITY = 0.6
_ALPHA = 1e-6
_SKIPPED_FLAGS = 0x4 | 0x100 | 0x200 | 0x400 | 0x800  # unmapped, secondary, failed, duplicate, supplementary


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PooledCounts:
    """Molecules by site, base and strand over one stretch.

    ``counts``, shape (sites, 4, 2) int64: A, C, G, T by strand of the molecule (F1R2, F2R1). ``reads``,
    shape (2,), counts reads at the gene and at its copy.
    """

    stretch: CopiedStretch
    counts: NDArray[np.int64]
    reads: NDArray[np.int64]
    has_umis: bool

    @property
    def depth(self) -> NDArray[np.int64]:
        """Molecules at each site, shape (sites,)."""
        return np.asarray(self.counts.sum(axis=(1, 2)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledSubstitution:
    """One substitution at the gene's own place; ``pos`` is 1-based."""

    chrom: str
    pos: int
    ref: str
    alt: str
    counts: Counts


def pile_up_pooled(bam: Any, stretch: CopiedStretch) -> PooledCounts:
    """Count the molecules of a stretch over both its places.

    Parameters
    ----------
    bam
        An indexed `pysam.AlignmentFile`.
    stretch
        Its contigs are named as in the file.

    Raises
    ------
    InputRefused
        If the file lacks a contig of the stretch.
    """
    names = set(bam.references)
    for contig in (stretch.chrom, stretch.copy_chrom):
        if contig not in names:
            raise InputRefused(
                f"has no contig {contig}",
                path=_path(bam),
                expected=f"the reference that holds {stretch.gene}",
            )
    sites = stretch.end - stretch.start + 1
    molecules: dict[tuple[Any, ...], NDArray[np.int16]] = {}
    reads = np.zeros(2, np.int64)
    has_umis = False
    places = ((stretch.chrom, stretch.start), (stretch.copy_chrom, stretch.copy_start))
    for number, (contig, start) in enumerate(places):
        for read in bam.fetch(contig, start - 1, start - 1 + sites):
            if read.flag & _SKIPPED_FLAGS or _is_foreign(read):
                continue
            reads[number] += 1
            has_umis |= read.has_tag("RX")
            key = _molecule(read, start)
            seen = molecules.get(key)
            if seen is None:
                seen = molecules[key] = np.zeros((sites, 4), np.int16)
            _add(seen, read, start - 1)
    counts = np.zeros((sites, 4, 2), np.int64)
    for key, seen in molecules.items():
        total = seen.sum(axis=1)
        shown = seen.argmax(axis=1)
        clear = seen[np.arange(sites), shown] >= np.maximum(_MAJORITY * total, 1)
        at = np.flatnonzero(clear)
        counts[at, shown[at], int(key[-1])] += 1
    return PooledCounts(stretch=stretch, counts=counts, reads=reads, has_umis=has_umis)


def _path(bam: Any) -> str:
    name = bam.filename
    return name.decode() if isinstance(name, bytes) else str(name)


def _is_foreign(read: Any) -> bool:
    return bool(read.has_tag("NM") and read.get_tag("NM") > _MISMATCHES_MAX)


def _molecule(read: Any, start: int) -> tuple[Any, ...]:
    """What makes two reads one molecule's; the last part is the strand it was read from.

    Places are counted from the stretch, so that mates at the two copies stay together.
    """
    is_f1r2 = read.is_reverse == read.is_read2 if read.is_paired else not read.is_reverse
    if not read.has_tag("RX"):
        return (read.query_name, not is_f1r2)
    umi = read.get_tag("RX")
    if not read.is_paired:
        return (umi, read.reference_start - start, read.reference_end - start, not is_f1r2)
    length = abs(read.template_length)
    left = read.reference_start if not read.is_reverse else read.reference_end - length
    return (umi, left - start, length, not is_f1r2)


def _add(seen: NDArray[np.int16], read: Any, first: int) -> None:
    sequence, qualities = read.query_sequence, read.query_qualities
    if sequence is None:
        return
    sites = len(seen)
    for at, position in read.get_aligned_pairs(matches_only=True):
        site = position - first
        if 0 <= site < sites and (qualities is None or qualities[at] >= _BASE_QUALITY_MIN):
            code = _CODE.get(sequence[at])
            if code is not None:
                seen[site, code] += 1


def substitutions(pooled: PooledCounts, reference: str, min_alt: int) -> list[PooledSubstitution]:
    """Substitutions that the stretch's own errors do not explain.

    Parameters
    ----------
    pooled
        Counts of a stretch.
    reference
        Its bases, upper case.
    min_alt
        Fewest supporting molecules.

    Notes
    -----
    The error rate of each kind of substitution is that of all other sites of the stretch, each site
    capped at a hundredth of its depth so that a variant there is not taken for errors; a half is added.
    """
    from pipeline.detection.lod import detection_probability

    rates = _error_rates(pooled, reference)
    depth = pooled.depth
    found = []
    for site, ref in enumerate(reference):
        for alt in _BASES:
            count = int(pooled.counts[site, _CODE[alt]].sum())
            if alt == ref or ref not in _CODE or count < max(1, min_alt):
                continue
            rate = rates[ref, alt]
            if detection_probability(float(depth[site]) * rate, count) <= _ALPHA:
                found.append(_substitution(pooled, site, ref, alt, rate))
    return found


def _error_rates(pooled: PooledCounts, reference: str) -> Mapping[tuple[str, str], float]:
    by_base = pooled.counts.sum(axis=2)
    depth = pooled.depth
    rates = {}
    for ref in _BASES:
        sites = [i for i, base in enumerate(reference) if base == ref]
        total = float(depth[sites].sum())
        for alt in _BASES:
            errors = np.minimum(by_base[sites, _CODE[alt]], depth[sites] / 100).sum()
            rates[ref, alt] = (float(errors) + 0.5) / (total + 1)
    return rates


def _substitution(pooled: PooledCounts, site: int, ref: str, alt: str, rate: float) -> PooledSubstitution:
    of_ref, of_alt = pooled.counts[site, _CODE[ref]], pooled.counts[site, _CODE[alt]]
    strands = Strands(
        ref_forward=int(of_ref[0]),
        ref_reverse=int(of_ref[1]),
        alt_forward=int(of_alt[0]),
        alt_reverse=int(of_alt[1]),
    )
    counts = Counts(
        depth=int(pooled.depth[site]),
        alt=int(of_alt.sum()),
        counted="molecules" if pooled.has_umis else "reads",
        orientations=strands,
        background=rate,
    )
    stretch = pooled.stretch
    return PooledSubstitution(chrom=stretch.chrom, pos=stretch.start + site, ref=ref, alt=alt, counts=counts)


def read_pooled(path: Path, stretches: Sequence[CopiedStretch]) -> tuple[PooledCounts, ...]:
    """Count every stretch of a BAM file.

    Raises
    ------
    InputRefused
        If it cannot be read, has no index, or lacks a contig.
    """
    import pysam

    before = pysam.set_verbosity(0)
    try:
        with pysam.AlignmentFile(str(path)) as bam:
            if not bam.has_index():
                raise InputRefused("has no index", path=path, remedy="run samtools index on it")
            return tuple(pile_up_pooled(bam, stretch) for stretch in stretches)
    except (OSError, ValueError) as error:
        raise InputRefused("cannot be read as BAM or CRAM", path=path) from error
    finally:
        pysam.set_verbosity(before)
