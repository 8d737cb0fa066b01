"""Bins and karyotypes from files: BINS.tsv, BED, or an aligned BAM."""

from pathlib import Path

import numpy as np

from cfdna.copy_number.bins import Bins, genome_bins
from cfdna.copy_number.genome import CHROMOSOMES, plain_name
from cfdna.copy_number.informed import Segment
from cfdna.counting.alignments import opened_bam
from pipeline.errors import InputRefused, Problem, SheetRefused
from pipeline.formats.atomic import write_text
from pipeline.formats.csv_table import number_cell
from pipeline.formats.delimited import read_table
from pipeline.formats.named_cells import finite_number, named_cells, named_columns
from pipeline.formats.sheet_cells import Refusal
from pipeline.variants.reference import Reference

__all__ = ["count_bins", "read_bins", "read_karyotype", "write_bins"]

_COLUMNS = ("chrom", "start", "end", "count")
_KARYOTYPE = ("chrom", "start", "end", "copies")
_LEFT_OUT = 0x4 | 0x100 | 0x200 | 0x400 | 0x800


def read_bins(path: Path) -> Bins:
    """``chrom,start,end,count`` and, where known, ``gc,mappability``, in genome order.

    Raises
    ------
    SheetRefused
        With every cell that is no number in range.
    """
    table = read_table(path, {*_COLUMNS, "gc", "mappability"})
    names = named_columns(table, _COLUMNS, path=path, remedy=f"give the columns {','.join(_COLUMNS)}")
    rows: list[tuple[str, list[float]]] = []
    problems: list[Problem] = []
    for record in table.records:
        cells = named_cells(record, names)
        if isinstance(cells, Refusal):
            problems.append(cells.at(record.line, None))
            continue
        values = []
        for column in (*_COLUMNS[1:], "gc", "mappability"):
            text = cells.get(column, "")
            number = finite_number(text) if text else float("nan")
            if number is None or number < 0 or (not text and column in _COLUMNS):
                refusal = Refusal(
                    "no_number", "is no number of 0 or more", "give counts and shares as numbers"
                )
                problems.append(refusal.at(record.line, column))
                number = 0.0
            values.append(number)
        rows.append((cells["chrom"], values))
    if problems:
        raise SheetRefused(path, problems)
    if not rows:
        raise InputRefused("holds no bin", path=path, remedy=f"give one row a bin: {','.join(_COLUMNS)}")
    numbers = np.array([values for _, values in rows], dtype=np.float64)
    try:
        return Bins(
            chroms=tuple(plain_name(chrom) for chrom, _ in rows),
            starts=numbers[:, 0].astype(np.int64),
            ends=numbers[:, 1].astype(np.int64),
            counts=numbers[:, 2],
            gc=_known_or_nan(numbers[:, 3]),
            mappability=_known_or_nan(numbers[:, 4]),
        )
    except ValueError as error:
        raise InputRefused(str(error), path=path, remedy="start is before end in every row") from error


def _known_or_nan(
    values: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """A covariate that is not known for every bin is not known."""
    return np.full_like(values, np.nan) if np.isnan(values).any() else values


def write_bins(path: Path, bins: Bins) -> None:
    """Write what `read_bins` reads."""
    lines = ["chrom\tstart\tend\tcount\tgc\tmappability"]
    for row in range(len(bins)):
        cells = [
            number_cell(None if np.isnan(v) else float(v), digits=6)
            for v in (bins.counts[row], bins.gc[row], bins.mappability[row])
        ]
        lines.append("\t".join([bins.chroms[row], str(bins.starts[row]), str(bins.ends[row]), *cells]))
    write_text(path, "\n".join(lines) + "\n")


def read_karyotype(path: Path) -> tuple[Segment, ...]:
    """Altered segments of the tumour: chrom, start (0-based), end, copies.

    Raises
    ------
    InputRefused
        If there is no such file, or a line is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputRefused("cannot be read", path=path, remedy="give BED with copies in column 4") from error
    segments = []
    for number, line in enumerate(lines, start=1):
        cells = line.split("\t")
        if not line.strip() or line.startswith(("#", "track", "browser")) or cells[0] == _KARYOTYPE[0]:
            continue
        copies = finite_number(cells[3]) if len(cells) > 3 else None
        if copies is None or not 0 <= copies <= 50 or not (cells[1].isdigit() and cells[2].isdigit()):
            raise InputRefused(
                "is no segment",
                path=path,
                line=number,
                expected="chrom, start, end and copies, separated by tabs",
            )
        segments.append(Segment(chrom=cells[0], start=int(cells[1]), end=int(cells[2]), copies=copies))
    return tuple(segments)


def count_bins(path: Path, *, bin_nt: int, reference: Path | None, mapping_quality_min: int) -> Bins:
    """Count a BAM's fragments (first mates, or single reads) in bins of GRCh38.

    Parameters
    ----------
    path
        Aligned, indexed.
    bin_nt
        Length of a bin.
    reference
        For the bins' GC; without it GC is not corrected. Mappability is not known from it: bins that are more
        than half ``N`` are marked as not mappable.
    mapping_quality_min
        Reads below are left out.

    Raises
    ------
    InputRefused
        If the BAM's chromosomes are not those of GRCh38.
    """
    chroms, starts, ends = genome_bins(bin_nt)
    counts = np.zeros(len(chroms), dtype=np.float64)
    first_bin = {name: chroms.index(name) for name in dict.fromkeys(chroms)}
    with opened_bam(path) as bam:
        contigs = {plain_name(c): c for c in bam.references}
        wrong = [
            name
            for name in first_bin
            if name not in contigs or bam.get_reference_length(contigs[name]) != CHROMOSOMES[name].length_nt
        ]
        if wrong:
            raise InputRefused(
                f"chromosome {wrong[0]} is missing or not of GRCh38's length",
                path=path,
                expected="reads aligned to GRCh38",
                remedy="align to GRCh38, or give bins of your own as BINS.tsv",
            )
        last_of = {name: first_bin[name] + chroms.count(name) for name in first_bin}
        for name, contig in contigs.items():
            if name not in first_bin:
                continue
            for read in bam.fetch(contig):
                if read.flag & _LEFT_OUT or read.is_read2 or read.mapping_quality < mapping_quality_min:
                    continue
                number = first_bin[name] + read.reference_start // bin_nt
                if number < last_of[name]:
                    counts[number] += 1
    gc, mappability = _covariates(chroms, starts, ends, reference)
    return Bins(chroms=chroms, starts=starts, ends=ends, counts=counts, gc=gc, mappability=mappability)


def _covariates(
    chroms: tuple[str, ...],
    starts: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    ends: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    reference: Path | None,
) -> "tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]":
    unknown = np.full(len(chroms), np.nan)
    if reference is None:
        return unknown, unknown
    gc, known = np.full(len(chroms), np.nan), np.zeros(len(chroms))
    with Reference(reference) as bases:
        names = {plain_name(c): c for c in bases.lengths_nt}
        for row, (chrom, start, end) in enumerate(zip(chroms, starts, ends, strict=True)):
            text = bases.bases(names[chrom], int(start), int(end)) if chrom in names else ""
            strong, weak = text.count("G") + text.count("C"), text.count("A") + text.count("T")
            known[row] = (strong + weak) / (end - start)
            gc[row] = strong / (strong + weak) if strong + weak else 0.5
    return gc, np.where(known > 0.5, 1.0, 0.0)
