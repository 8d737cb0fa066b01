"""A simulated library from a reference and targets: aligned BAM or FASTQ, and the truth.

Molecules are drawn by position and simulated in slabs, so that memory holds one slab.

Not modelled: bias of capture and of GC, chimaeras, index hopping, adapters, unmapped reads, structural
variants, correlation of errors along a read, UMI collisions other than by chance.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UsageError
from pipeline.formats.bed import Target
from pipeline.variants.reference import Reference
from pipeline.variants.simulation.design import LibraryDesign
from pipeline.variants.simulation.fragments import FRAGMENT_MAX_NT, draw_families, draw_fragments
from pipeline.variants.simulation.planted import PlantedVariant
from pipeline.variants.simulation.read_kernels import CIGAR_MAX, Molecules, Reads, simulate_reads
from pipeline.variants.simulation.records import AlignedRows
from pipeline.variants.simulation.slab_files import BamWriter, FastqWriter, Slab, index_bam
from pipeline.variants.simulation.template_kernels import COUNTERS, PlantedTable, RateTable
from pipeline.variants.simulation.truth import LibraryTruth
from pipeline.variants.simulation.umis import draw_umis, umis_of_pairs

__all__ = ["LibraryFiles", "simulate_library"]

_PAIRS_A_SLAB = 100_000
_CODES = np.full(256, 4, np.uint8)
_CODES[np.frombuffer(b"ACGT", np.uint8)] = np.arange(4, dtype=np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryFiles:
    """Where to write: an aligned, sorted, indexed BAM, FASTQ mates, or both.

    ``umi_in`` says where FASTQ has the UMIs: in the read's name behind ``:``, or ``inline`` before its bases.
    """

    bam: Path | None = None
    mates: tuple[Path, Path] | None = None
    umi_in: str = "name"


def simulate_library(
    reference: Reference,
    targets: Sequence[Target],
    planted: Sequence[PlantedVariant],
    design: LibraryDesign,
    rng: np.random.Generator,
    files: LibraryFiles,
    *,
    sample: str,
) -> LibraryTruth:
    """Simulate one library.

    Parameters
    ----------
    reference, targets
        Contigs, and where molecules lie; targets as `pipeline.formats.bed.read_targets` gives them.
    planted
        Variants; those of one contig must not overlap.
    design
        Depth, families, errors.
    rng
        Source of randomness; the same state gives the same bytes.
    files
        What to write.
    sample
        Name in the BAM header.

    Raises
    ------
    UsageError
        If planted variants overlap.
    """
    _refuse_overlaps(planted)
    tally = np.zeros((len(planted), 4), np.int64)
    counts = np.zeros(len(COUNTERS), np.int64)
    numbers = np.zeros(3, np.int64)  # molecules, duplex molecules, pairs
    slabs = _slabs(reference, targets, planted, design, rng, tally, counts, numbers)
    with ExitStack() as stack:
        bam = None if files.bam is None else stack.enter_context(BamWriter(files.bam, reference, sample))
        fastq = None if files.mates is None else stack.enter_context(FastqWriter(files.mates, files.umi_in))
        for slab in slabs:
            if bam is not None:
                bam.write(slab)
            if fastq is not None:
                fastq.write(slab)
    if files.bam is not None:
        index_bam(files.bam)
    return LibraryTruth(
        planted=tuple(planted),
        tally=tally,
        counts=dict(zip(COUNTERS, counts.tolist(), strict=True)),
        molecules=int(numbers[0]),
        duplex_molecules=int(numbers[1]),
        read_pairs=int(numbers[2]),
    )


def _slabs(
    reference: Reference,
    targets: Sequence[Target],
    planted: Sequence[PlantedVariant],
    design: LibraryDesign,
    rng: np.random.Generator,
    tally: NDArray[np.int64],
    counts: NDArray[np.int64],
    numbers: NDArray[np.int64],
) -> Iterator[Slab]:
    contigs = list(reference.lengths_nt)
    for contig, group in groupby(targets, key=lambda t: t.contig):
        length_nt = reference.lengths_nt[contig]
        start, end = draw_fragments(list(group), length_nt, design, rng)
        copies = draw_families(len(start), design, rng)
        chosen = [i for i, v in enumerate(planted) if v.contig == contig]
        chosen.sort(key=lambda i: planted[i].start)
        begun = np.searchsorted(np.cumsum(copies.sum(axis=1)), np.arange(0, copies.sum(), _PAIRS_A_SLAB))
        for first, stop in zip(begun, [*begun[1:], len(start)], strict=True):
            if first == stop:
                continue
            origin = max(0, int(start[first]) - FRAGMENT_MAX_NT)
            window = reference.bases(
                contig, origin, min(length_nt, int(end[first:stop].max()) + FRAGMENT_MAX_NT)
            )
            table = _table([planted[i] for i in chosen], origin)
            molecules = _molecules(
                start[first:stop] - origin, end[first:stop] - origin, copies[first:stop], table, design, rng
            )
            reads = _room(int(copies[first:stop].sum()), design)
            part = np.zeros((len(chosen), 4), np.int64)
            codes = _CODES[np.frombuffer(window.encode(), np.uint8)]
            simulate_reads(rng, codes, molecules, table, _rates(design), design.read_nt, reads, part, counts)
            tally[chosen] += part
            umis = umis_of_pairs(
                draw_umis(stop - first, design, rng), reads.molecule[::2], reads.strand[::2], design, rng
            )
            rows = AlignedRows.of(
                reads, contig=contigs.index(contig), origin=origin, first_molecule=int(numbers[0]),
                quality=molecules.mapping_quality, umis=umis,
            )  # fmt: skip
            numbers += (stop - first, int((copies[first:stop] > 0).all(axis=1).sum()), len(reads.length) // 2)
            last = stop == len(start)
            yield Slab(rows=rows, bound=1 << 40 if last else int(start[stop]))


def _molecules(
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    copies: NDArray[np.int64],
    table: PlantedTable,
    design: LibraryDesign,
    rng: np.random.Generator,
) -> Molecules:
    foreign = rng.random(len(start)) < design.rates.foreign
    quality = np.where(foreign, rng.integers(0, 30, len(start)), 60)
    return Molecules(
        start=start,
        end=end,
        copies=copies,
        first=np.searchsorted(table.start, start),
        stop=np.searchsorted(table.start, end),
        haplotype=rng.integers(1, 3, len(start)),
        foreign=foreign,
        mapping_quality=quality,
    )


def _table(planted: Sequence[PlantedVariant], origin: int) -> PlantedTable:
    sizes = np.array([len(v.alt) for v in planted], np.int64)
    text = "".join(v.alt for v in planted).encode()
    return PlantedTable(
        start=np.array([v.start - origin for v in planted], np.int64),
        ref_nt=np.array([len(v.ref) for v in planted], np.int64),
        alt_offset=np.cumsum(sizes) - sizes,
        alt_nt=sizes,
        alt=_CODES[np.frombuffer(text, np.uint8)],
        vaf=np.array([v.vaf for v in planted], np.float64),
        haplotype=np.array([v.haplotype for v in planted], np.int64),
    )


def _rates(design: LibraryDesign) -> RateTable:
    r = design.rates
    return RateTable(
        deamination=float(r.deamination), oxidation=float(r.oxidation), end_repair=float(r.end_repair),
        end_repair_nt=r.end_repair_nt, pcr=float(r.pcr), pcr_cycles=r.pcr_cycles,
        sequencing=float(r.sequencing), slippage_strand=float(r.slippage_strand),
        slippage_copy=float(r.slippage_copy),
    )  # fmt: skip


def _room(pairs: int, design: LibraryDesign) -> Reads:
    rows = 2 * pairs

    def column() -> NDArray[np.int64]:
        return np.zeros(rows, np.int64)

    return Reads(
        bases=np.zeros((rows, design.read_nt), np.uint8),
        qualities=np.zeros((rows, design.read_nt), np.uint8),
        length=column(), position=column(), cigar=np.zeros((rows, CIGAR_MAX), np.uint32), operations=column(),
        edits=column(), molecule=column(), strand=column(), copy=column(),
    )  # fmt: skip


def _refuse_overlaps(planted: Sequence[PlantedVariant]) -> None:
    ordered = sorted(planted, key=lambda v: (v.contig, v.start))
    for before, after in pairwise(ordered):
        if before.contig == after.contig and after.start <= before.end:
            raise UsageError(
                f"variants to plant at {after.contig}:{after.start + 1} touch: give them as one, or apart"
            )
