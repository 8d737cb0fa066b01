"""Allele frequencies of a population, from a table the user brings."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chip.evidence import Candidate
from pipeline.errors import Problem, SheetRefused
from pipeline.formats.delimited import read_table
from pipeline.formats.named_cells import finite_number, named_cells, named_columns
from pipeline.formats.sheet_cells import Refusal

__all__ = ["AlleleKey", "allele_key", "read_frequencies", "with_frequencies"]

AlleleKey = tuple[str, int, str, str]

_COLUMNS = ("chrom", "pos", "ref", "alt", "frequency")
_REMEDY = "give the columns chrom, pos, ref, alt, frequency"


def allele_key(chrom: str, pos: int, ref: str, alt: str) -> AlleleKey:
    """An allele under one name, whether its contig has ``chr`` and however far its ends are shared.

    >>> allele_key("chr9", 100, "AG", "AT") == allele_key("9", 101, "G", "T")
    True
    """
    from pipeline.variants.edits import trimmed

    edit = trimmed(pos - 1, ref.upper(), alt.upper())
    bare = chrom.removeprefix("chr")
    return ("MT" if bare == "M" else bare, edit.start, edit.ref, edit.alt)


def read_frequencies(path: Path) -> dict[AlleleKey, float]:
    """Frequencies by allele; of an allele that stands twice the larger one.

    Raises
    ------
    SheetRefused
        With every row that cannot be read.
    """
    table = read_table(path, _COLUMNS)
    names = named_columns(table, _COLUMNS, path=path, remedy=_REMEDY)
    problems: list[Problem] = []
    found: dict[AlleleKey, float] = {}
    for record in table.records:
        cells = named_cells(record, names)
        if isinstance(cells, Refusal):
            problems.append(cells.at(record.line, None))
            continue
        frequency = finite_number(cells["frequency"])
        if frequency is None or not 0 <= frequency <= 1 or not cells["pos"].isdigit():
            refusal = Refusal("frequency_impossible", "no position with a frequency from 0 to 1", _REMEDY)
            problems.append(refusal.at(record.line, "frequency"))
            continue
        key = allele_key(cells["chrom"], int(cells["pos"]), cells["ref"], cells["alt"])
        found[key] = max(frequency, found.get(key, 0.0))
    if problems:
        raise SheetRefused(path, problems)
    return found


def with_frequencies(candidates: Sequence[Candidate], path: Path) -> tuple[Candidate, ...]:
    """Candidates with their frequency in a table; None where it does not have them."""
    frequencies = read_frequencies(path)
    found = []
    for candidate in candidates:
        frequency = None
        if candidate.pos is not None and candidate.chrom and candidate.ref and candidate.alt:
            key = allele_key(candidate.chrom, candidate.pos, candidate.ref, candidate.alt)
            frequency = frequencies.get(key)
        found.append(replace(candidate, population_frequency=frequency))
    return tuple(found)
