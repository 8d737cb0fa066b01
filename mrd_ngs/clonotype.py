"""Clones of a library: rearrangements with their genes, junction, reads, templates and cells."""

import gzip
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path

import numpy as np

from mrd_ngs.cyclic_garbage import cycles_ignored
from mrd_ngs.denoise import fold_errors, substitution_rate
from mrd_ngs.denominator import nucleated_cells
from mrd_ngs.evidence import Library, ReadFate, reverse_complement
from mrd_ngs.germline import germline_of
from mrd_ngs.poor_bases import BaseQuality, PoorReads
from mrd_ngs.rearranged_reads import Rearranged, RearrangedReads, find_rearranged
from mrd_ngs.settings import NgsSettings
from pipeline.formats.atomic import write_bytes

__all__ = ["Clonotype", "Repertoire", "find_clonotypes", "write_clonotypes"]

_MINOR_V_SHARE = 0.05
"""Below this share of the reads of a junction another V gene is taken as misread: own choice.
Two cells rarely have one junction and two V genes, and reads with errors in V often seem to."""

_SAME_V_MISMATCH_RATE = 0.03
"""Reads of one junction that differ in no more of their V are of one V gene: own choice, above
the error rate of reads and below the distance of most genes."""

_ANNOTATED = (
    *("v_call", "d_call", "j_call", "sequence_alignment", "germline_alignment", "junction", "junction_aa"),
    *("v_cigar", "d_cigar", "j_cigar"),
)
_TRUTH = {"T": True, "F": False, "": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clonotype:
    """One clone, as a row of an AIRR Rearrangement table.

    ``sequence`` is the most abundant read, on the coding strand. ``duplicate_count`` are
    reads, those of folded errors included; ``distinct_sequences`` how many distinct reads
    these were. ``templates`` are None without spike-ins, ``share_of_cells`` (of nucleated
    cells) also without cells; ``share_of_locus`` is of all reads of the locus with a junction.
    DJ, V-Kde and intron-Kde rearrangements have an empty ``junction`` and ``junction_aa``, a name
    that says what they are (``IGH-DJ-1``), and a share of the reads of their own kind: a
    cell may carry one of them beside its junction.
    """

    sequence_id: str
    sequence: str
    rev_comp: bool
    productive: bool | None
    v_call: str
    d_call: str
    j_call: str
    sequence_alignment: str
    germline_alignment: str
    junction: str
    junction_aa: str
    v_cigar: str
    d_cigar: str
    j_cigar: str
    clone_id: str
    locus: str
    duplicate_count: int
    distinct_sequences: int
    templates: float | None
    share_of_locus: float
    share_of_cells: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repertoire:
    """All clones of a library, most abundant first; ``fates`` adds up to its reads."""

    clonotypes: tuple[Clonotype, ...]
    fates: tuple[ReadFate, ...]

    @property
    def loci(self) -> tuple[str, ...]:
        """Loci that have a clone."""
        return tuple(sorted({clonotype.locus for clonotype in self.clonotypes}))


@dataclass(slots=True, kw_only=True)
class _Clone:
    """Reads of one core and one V (or D) and J gene; ``first`` is the most abundant read."""

    first: Rearranged
    v_gene: str
    j_gene: str
    reads: int = 0
    sequences: int = 0


def find_clonotypes(library: Library, settings: NgsSettings) -> Repertoire:
    """Annotate every distinct read, fold errors, and group by locus, V gene, J gene and junction.

    DJ and kappa-deleting rearrangements are grouped alike, by the nucleotides that
    `mrd_ngs.rearranged_reads` takes in place of the junction.

    Parameters
    ----------
    library
        Any sample.
    settings
        Denoising, and the germline to annotate with.

    Returns
    -------
    Repertoire
        Clones by falling reads, ties by locus and junction: the same for any order of
        reads.

    Notes
    -----
    Reads of one junction whose V calls have a gene in common, or that agree as far as both
    reach, are of one V gene: truncated reads do not tell all genes apart. Reads per
    template come from all spike-in reads, errors included, since folding brings a clone's
    errors back. Reads cut inside the junction, or behind V, are counted in ``fates``, not clones;
    a DJ or Kde read cut short is a clone of its own.
    """
    with cycles_ignored():
        annotated = find_rearranged(library.reads, germline_of(settings))
        roots = _denoised(annotated.found, library, settings)
        by_core: dict[tuple[str, str, bytes], list[Rearranged]] = {}
        for one in annotated.found:  # most abundant first
            by_core.setdefault(roots[one.key], []).append(one)
        clones = [clone for reads in by_core.values() for clone in _split_by_genes(reads, library)]
        clones.sort(key=lambda c: (-c.reads, c.first.key, c.v_gene, c.j_gene))
        clonotypes = tuple(_rows(clones, library, annotated))
    fates = tuple(ReadFate(fate=fate, reads=reads) for fate, reads in annotated.fates.items())
    return Repertoire(clonotypes=clonotypes, fates=fates)


def write_clonotypes(path: Path, clonotypes: Sequence[Clonotype]) -> None:
    """Write an AIRR Rearrangement table (TSV), one row a clone; gzip where the name ends in ``.gz``.

    Same clones, same bytes.
    """
    names = [field.name for field in fields(Clonotype)]
    lines = ["\t".join(names)]
    cells = attrgetter(*names)
    lines += [
        "\t".join([cell if type(cell) is str else _cell(cell) for cell in cells(clonotype)])
        for clonotype in clonotypes
    ]
    text = ("\n".join(lines) + "\n").encode("ascii")
    if path.suffix == ".gz":
        buffer = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as packed:
            packed.write(text)
        text = buffer.getvalue()
    write_bytes(path, text)


def _denoised(
    found: Sequence[Rearranged], library: Library, settings: NgsSettings
) -> dict[tuple[str, str, bytes], tuple[str, str, bytes]]:
    """The key of the core that each core is folded into, within its locus and kind."""
    counts: dict[tuple[str, str], Counter[bytes]] = {}
    poor: dict[tuple[str, str, bytes], PoorReads] = {}
    for one in found:
        counts.setdefault((one.locus, one.kind), Counter())[one.core] += one.reads
        shares = library.reads.poor_shares(one.rank, turned=one.rev_comp)
        if shares is not None:
            part = shares[one.start : one.start + len(one.core)]
            poor.setdefault(one.key, PoorReads()).add(one.reads, part)
    error_rate = substitution_rate(library, settings)
    roots: dict[tuple[str, str, bytes], tuple[str, str, bytes]] = {}
    for (locus, kind), cores in counts.items():
        ordered = sorted(cores)
        folding = fold_errors(
            ordered,
            np.array([cores[core] for core in ordered], dtype=np.int64),
            error_rate=error_rate,
            safety=settings.denoise_safety,
            alpha=settings.denoise_alpha,
            quality=BaseQuality.of(
                library.reads,
                [poor.get((locus, kind, core), PoorReads()) for core in ordered],
                error_rate,
            ),
        )
        for core, parent in zip(ordered, folding.parent.tolist(), strict=True):
            roots[locus, kind, core] = (locus, kind, ordered[parent])
    return roots


def _split_by_genes(reads: Sequence[Rearranged], library: Library) -> list[_Clone]:
    """Clones among the reads of one core, which come most abundant first."""
    clones: list[_Clone] = []
    for one in reads:
        v_genes, j_genes = one.first_genes, one.j_genes
        for home in clones:
            if home.j_gene in j_genes and (
                home.v_gene in v_genes or _overlap_agrees(home.first, one, library)
            ):
                break
        else:
            home = _Clone(first=one, v_gene=v_genes[0], j_gene=j_genes[0])
            clones.append(home)
        home.reads += one.reads
        home.sequences += 1
    largest = max(clones, key=lambda c: c.reads)
    for minor in [c for c in clones if c.reads < _MINOR_V_SHARE * largest.reads]:
        largest.reads += minor.reads
        largest.sequences += minor.sequences
        clones.remove(minor)
    return clones


def _overlap_agrees(one: Rearranged, other: Rearranged, library: Library) -> bool:
    """Whether two reads of one junction are the same V as far as both reach, whatever it is called."""
    sides = []
    for read in (one, other):
        sequence = _coding(read, library)[: read.start]
        sides.append(np.frombuffer(sequence, dtype=np.uint8))
    both = min(len(side) for side in sides)
    if not both:
        return True
    return bool(np.mean(sides[0][-both:] != sides[1][-both:]) <= _SAME_V_MISMATCH_RATE)


def _coding(read: Rearranged, library: Library) -> bytes:
    sequence = library.reads.sequence(read.rank)
    return reverse_complement(sequence) if read.rev_comp else sequence


def _rows(clones: Sequence[_Clone], library: Library, annotated: RearrangedReads) -> Iterator[Clonotype]:
    reads_of_kind: Counter[tuple[str, str]] = Counter()
    for clone in clones:
        reads_of_kind[clone.first.locus, clone.first.kind] += clone.reads
    cells_of = annotated.rows([clone.first.rank for clone in clones], ("productive", *_ANNOTATED))
    per_template = _reads_per_template(library)
    cells = nucleated_cells(library.sample)
    numbers: Counter[tuple[str, str]] = Counter()
    for clone in clones:
        locus, kind = clone.first.locus, clone.first.kind
        numbers[locus, kind] += 1
        name = "-".join(filter(None, (locus, kind, str(numbers[locus, kind]))))
        templates = None if per_template is None else clone.reads / per_template
        known = templates is not None and cells is not None and cells.count > 0
        productive, *texts = cells_of[clone.first.rank]
        yield Clonotype(
            sequence_id=name,
            sequence=_coding(clone.first, library).decode(),
            rev_comp=False,
            productive=_TRUTH[productive],
            clone_id=name,
            locus=locus,
            duplicate_count=clone.reads,
            distinct_sequences=clone.sequences,
            templates=templates,
            share_of_locus=clone.reads / reads_of_kind[locus, kind],
            share_of_cells=templates / cells.count if known and templates and cells else None,
            **dict(zip(_ANNOTATED, texts, strict=True)),
        )


def _reads_per_template(library: Library) -> float | None:
    reads, copies = int(library.spike_in_reads.counts.sum()), sum(s.copies for s in library.spike_ins)
    return reads / copies if reads and copies else None


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "T" if value else "F"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
