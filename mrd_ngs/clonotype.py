"""Clones of a library: rearrangements with their genes, junction, reads, templates and cells."""

import gzip
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from mrd_ngs.annotate import annotate_sequences
from mrd_ngs.denoise import fold_errors, substitution_rate
from mrd_ngs.denominator import nucleated_cells
from mrd_ngs.evidence import Library, NgsSettings, ReadFate, reverse_complement
from mrd_ngs.germline import load_germline
from mrd_ngs.rearrangement import Rearrangement
from pipeline.formats.atomic import write_bytes

__all__ = ["Clonotype", "Repertoire", "find_clonotypes", "write_clonotypes"]

_SEQUENCES_AT_ONCE = 20_000
_MINOR_V_SHARE = 0.05
"""Below this share of the reads of a junction another V gene is taken as misread: own choice.
Two cells rarely have one junction and two V genes, and reads with errors in V often seem to."""

_SAME_V_MISMATCH_RATE = 0.03
"""Reads of one junction that differ in no more of their V are of one V gene: own choice, above
the error rate of reads and below the distance of most genes."""

# Given where the annotation has them; AIRR requires the columns, not their contents.
_ALIGNMENT = ("sequence_alignment", "germline_alignment", "v_cigar", "d_cigar", "j_cigar")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clonotype:
    """One clone, as a row of an AIRR Rearrangement table.

    ``sequence`` is the most abundant read, on the coding strand. ``duplicate_count`` are
    reads, those of folded errors included; ``distinct_sequences`` how many distinct reads
    these were. ``templates`` are None without spike-ins, ``share_of_cells`` (of nucleated
    cells) also without cells; ``share_of_locus`` is of all reads of the locus with a junction.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A distinct read with a junction."""

    rearrangement: Rearrangement
    rank: int
    reads: int

    @property
    def key(self) -> tuple[str, str]:
        return self.rearrangement.locus, self.rearrangement.junction


@dataclass(slots=True, kw_only=True)
class _Clone:
    """Reads of one junction and one V and J gene; ``first`` is the most abundant read."""

    first: _Read
    v_gene: str
    j_gene: str
    reads: int = 0
    sequences: int = 0


def find_clonotypes(library: Library, settings: NgsSettings) -> Repertoire:
    """Annotate every distinct read, fold errors, and group by locus, V gene, J gene and junction.

    Parameters
    ----------
    library
        Any sample.
    settings
        Denoising.

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
    errors back. Rearrangements without a whole junction (DJ, kappa deleting element) are
    counted in ``fates``, not clones.
    """
    found, fates = _annotated(library)
    roots = _denoised(found, library, settings)
    by_junction: dict[tuple[str, str], list[_Read]] = {}
    for one in found:  # most abundant first
        by_junction.setdefault((one.rearrangement.locus, roots[one.key]), []).append(one)
    clones = [clone for reads in by_junction.values() for clone in _split_by_genes(reads, library)]
    clones.sort(key=lambda c: (-c.reads, c.first.key, c.v_gene, c.j_gene))
    return Repertoire(clonotypes=tuple(_rows(clones, library)), fates=fates)


def write_clonotypes(path: Path, clonotypes: Sequence[Clonotype]) -> None:
    """Write an AIRR Rearrangement table (TSV), one row a clone; gzip where the name ends in ``.gz``.

    Same clones, same bytes.
    """
    names = [field.name for field in fields(Clonotype)]
    lines = ["\t".join(names)]
    lines += ["\t".join(_cell(getattr(clonotype, name)) for name in names) for clonotype in clonotypes]
    text = ("\n".join(lines) + "\n").encode("ascii")
    if path.suffix == ".gz":
        buffer = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as packed:
            packed.write(text)
        text = buffer.getvalue()
    write_bytes(path, text)


def _annotated(library: Library) -> tuple[list[_Read], tuple[ReadFate, ...]]:
    """Distinct reads with a junction, most abundant first, and what became of all reads."""
    germline = load_germline()
    found: list[_Read] = []
    fates = Counter(dict.fromkeys(("clonotype", "no_rearrangement", "no_junction", "ambiguous_junction"), 0))
    ranks = range(len(library.reads))
    for start in range(0, len(ranks), _SEQUENCES_AT_ONCE):
        part = ranks[start : start + _SEQUENCES_AT_ONCE]
        sequences = [library.reads.sequence(rank).decode() for rank in part]
        for rank, rearrangement in zip(part, annotate_sequences(sequences, germline), strict=True):
            reads = int(library.reads.counts[rank])
            if rearrangement is None:
                fates["no_rearrangement"] += reads
            elif not rearrangement.junction:
                fates["no_junction"] += reads
            elif set(rearrangement.junction) - set("ACGT"):
                fates["ambiguous_junction"] += reads
            else:
                fates["clonotype"] += reads
                found.append(_Read(rearrangement=rearrangement, rank=rank, reads=reads))
    return found, tuple(ReadFate(fate=fate, reads=reads) for fate, reads in fates.items())


def _denoised(found: Sequence[_Read], library: Library, settings: NgsSettings) -> dict[tuple[str, str], str]:
    """The junction that each junction of a locus is folded into."""
    counts: dict[str, Counter[str]] = {}
    for one in found:
        counts.setdefault(one.rearrangement.locus, Counter())[one.rearrangement.junction] += one.reads
    error_rate = substitution_rate(library, settings)
    roots: dict[tuple[str, str], str] = {}
    for locus, junctions in counts.items():
        ordered = sorted(junctions)
        folding = fold_errors(
            [junction.encode() for junction in ordered],
            np.array([junctions[junction] for junction in ordered], dtype=np.int64),
            error_rate=error_rate,
            safety=settings.denoise_safety,
            alpha=settings.denoise_alpha,
        )
        for junction, parent in zip(ordered, folding.parent.tolist(), strict=True):
            roots[locus, junction] = ordered[parent]
    return roots


def _split_by_genes(reads: Sequence[_Read], library: Library) -> list[_Clone]:
    """Clones among the reads of one junction, which come most abundant first."""
    clones: list[_Clone] = []
    for one in reads:
        v_genes, j_genes = _genes(one.rearrangement.v_call), _genes(one.rearrangement.j_call)
        home = next(
            (
                c
                for c in clones
                if c.j_gene in j_genes and (c.v_gene in v_genes or _overlap_agrees(c.first, one, library))
            ),
            None,
        )
        if home is None:
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


def _overlap_agrees(one: _Read, other: _Read, library: Library) -> bool:
    """Whether two reads of one junction are the same V as far as both reach, whatever it is called."""
    sides = []
    for read in (one, other):
        sequence = _coding(read, library)[: read.rearrangement.junction_start]
        sides.append(np.frombuffer(sequence, dtype=np.uint8))
    both = min(len(side) for side in sides)
    if not both:
        return True
    return bool(np.mean(sides[0][-both:] != sides[1][-both:]) <= _SAME_V_MISMATCH_RATE)


def _coding(read: _Read, library: Library) -> bytes:
    sequence = library.reads.sequence(read.rank)
    return reverse_complement(sequence) if read.rearrangement.rev_comp else sequence


def _genes(calls: str) -> list[str]:
    """Genes of the alleles of a call, in order: ``IGHV3-30*01,IGHV3-30*03`` is one gene."""
    return list(dict.fromkeys(call.split("*")[0] for call in calls.split(",")))


def _rows(clones: Sequence[_Clone], library: Library) -> Iterator[Clonotype]:
    locus_reads: Counter[str] = Counter()
    for clone in clones:
        locus_reads[clone.first.rearrangement.locus] += clone.reads
    per_template = _reads_per_template(library)
    cells = nucleated_cells(library.sample)
    numbers: Counter[str] = Counter()
    for clone in clones:
        rearrangement = clone.first.rearrangement
        numbers[rearrangement.locus] += 1
        name = f"{rearrangement.locus}-{numbers[rearrangement.locus]}"
        templates = None if per_template is None else clone.reads / per_template
        known = templates is not None and cells is not None and cells.count > 0
        yield Clonotype(
            sequence_id=name,
            sequence=_coding(clone.first, library).decode(),
            rev_comp=False,
            productive=rearrangement.productive,
            v_call=rearrangement.v_call,
            d_call=rearrangement.d_call,
            j_call=rearrangement.j_call,
            junction=rearrangement.junction,
            junction_aa=rearrangement.junction_aa,
            clone_id=name,
            locus=rearrangement.locus,
            duplicate_count=clone.reads,
            distinct_sequences=clone.sequences,
            templates=templates,
            share_of_locus=clone.reads / locus_reads[rearrangement.locus],
            share_of_cells=templates / cells.count if known and templates and cells else None,
            **{column: getattr(rearrangement, column, None) or "" for column in _ALIGNMENT},
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
