"""Variants to plant into molecules: drawn at random, or read from a VCF file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from pipeline.errors import InputRefused, UsageError, printable
from pipeline.formats.bed import Target
from pipeline.variants.edits import Edit, moved, trimmed
from pipeline.variants.reference import Reference

__all__ = ["Kind", "PlantedVariant", "draw_germline", "draw_somatic", "read_planted"]

Kind: TypeAlias = Literal["snv", "mnv", "insertion", "deletion", "complex"]
_APART_NT = 40  # an aligner would join what is nearer
_FROM_EDGE_NT = 20
_TRIES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedVariant:
    """``alt`` in place of ``ref``, which begins at 0-based ``start``; trimmed and at its leftmost place.

    ``vaf`` is the share of molecules, each drawn by itself; a germline variant (``haplotype`` 1, 2 or 3
    for both) is on every molecule of its haplotype instead.
    """

    contig: str
    start: int
    ref: str
    alt: str
    vaf: float
    haplotype: int = 0

    @property
    def end(self) -> int:
        """The position after the last base replaced."""
        return self.start + len(self.ref)

    @property
    def kind(self) -> Kind:
        """What class of variant it is."""
        if len(self.ref) == len(self.alt):
            return "snv" if len(self.ref) == 1 else "mnv"
        if not self.ref:
            return "insertion"
        return "complex" if self.alt else "deletion"


def draw_somatic(
    reference: Reference,
    targets: Sequence[Target],
    vafs: Sequence[float],
    counts: dict[Kind, int],
    rng: np.random.Generator,
    *,
    taken: Sequence[PlantedVariant] = (),
) -> list[PlantedVariant]:
    """So many variants of each kind, VAFs dealt in turn, at least 40 bases apart.

    Insertions are 1 to 6 bases long, deletions 1 to 8, exchanges of several bases 2 or 3.

    Raises
    ------
    UsageError
        If the targets have no room for them.
    """
    found = list(taken)
    dealt = 0
    for kind, count in counts.items():
        for _ in range(count):
            vaf = vafs[dealt % len(vafs)]
            found.append(_one(reference, targets, kind, vaf, 0, rng, found))
            dealt += 1
    return sorted(found[len(taken) :], key=lambda v: _place(reference, v))


def draw_germline(
    reference: Reference, targets: Sequence[Target], count: int, rng: np.random.Generator
) -> list[PlantedVariant]:
    """Single-nucleotide polymorphisms: two of three heterozygous, the others homozygous."""
    found: list[PlantedVariant] = []
    for _ in range(count):
        haplotype = int(rng.integers(1, 4))
        vaf = 1.0 if haplotype == 3 else 0.5
        found.append(_one(reference, targets, "snv", vaf, haplotype, rng, found))
    return sorted(found, key=lambda v: _place(reference, v))


def read_planted(path: Path, reference: Reference) -> list[PlantedVariant]:
    """Variants of a VCF file whose INFO has ``VAF``; ``HAPLOTYPE`` (1, 2, 3) marks a germline one.

    Raises
    ------
    InputRefused
        If it cannot be read, a REF differs from the reference, alleles are not bases, or VAF is missing.
    """
    import pysam

    before = pysam.set_verbosity(0)
    try:
        with pysam.VariantFile(str(path)) as file:
            found = [_of_record(record, path, n, reference) for n, record in enumerate(file, start=1)]
    except (OSError, ValueError) as error:
        raise InputRefused("cannot be read as VCF", path=path, remedy="give VCF with VAF in INFO") from error
    finally:
        pysam.set_verbosity(before)
    return sorted(found, key=lambda v: _place(reference, v))


def _of_record(record: Any, path: Path, number: int, reference: Reference) -> PlantedVariant:
    remedy = "one ALT a record in A, C, G, T, and INFO VAF between 0 and 1"
    alts: list[str] = list(record.alts or ())
    if len(alts) != 1 or set(alts[0].upper()) - set("ACGT") or "VAF" not in record.info:
        raise InputRefused(f"record {number} cannot be planted", path=path, expected=remedy)
    reference.require(record.chrom)
    start, ref = record.pos - 1, record.ref.upper()
    if reference.bases(record.chrom, start, start + len(ref)) != ref:
        raise InputRefused(
            f"record {number}: REF {printable(ref)} is not the reference's base",
            path=path,
            remedy="give variants of the same genome build",
        )
    value = record.info["VAF"]
    vaf = float(f"{value[0] if isinstance(value, tuple) else value:.6g}")  # htslib keeps single precision
    if not 0 <= vaf <= 1:
        raise InputRefused(f"record {number}: VAF is {vaf}", path=path, expected=remedy)
    edit = moved(trimmed(start, ref, alts[0].upper()), reference, record.chrom, -1).edit
    return PlantedVariant(
        contig=record.chrom, start=edit.start, ref=edit.ref, alt=edit.alt, vaf=vaf,
        haplotype=int(record.info.get("HAPLOTYPE", 0)),
    )  # fmt: skip


def _one(
    reference: Reference,
    targets: Sequence[Target],
    kind: Kind,
    vaf: float,
    haplotype: int,
    rng: np.random.Generator,
    found: Sequence[PlantedVariant],
) -> PlantedVariant:
    lengths = np.array([t.length_nt for t in targets], dtype=float)
    for _ in range(_TRIES):
        target = targets[int(rng.choice(len(targets), p=lengths / lengths.sum()))]
        if target.length_nt <= 2 * _FROM_EDGE_NT:
            continue
        at = int(rng.integers(target.start + _FROM_EDGE_NT, target.end - _FROM_EDGE_NT))
        edit = _edit(reference, target.contig, at, kind, rng)
        if edit is None or any(_near(target.contig, edit, other) for other in found):
            continue
        planted = PlantedVariant(
            contig=target.contig, start=edit.start, ref=edit.ref, alt=edit.alt, vaf=vaf, haplotype=haplotype
        )
        if planted.kind == kind and edit.start >= target.start + _FROM_EDGE_NT // 2:
            return planted
    raise UsageError(f"the targets have no room for {len(found) + 1} variants {_APART_NT} bases apart")


def _edit(reference: Reference, contig: str, at: int, kind: Kind, rng: np.random.Generator) -> Edit | None:
    """A random edit of that kind at its leftmost place; None where the reference is unknown or unchanged."""
    if kind == "snv":
        removed, added = 1, 1
    elif kind == "mnv":
        removed = added = int(rng.integers(2, 4))
    elif kind == "insertion":
        removed, added = 0, int(rng.integers(1, 7))
    elif kind == "deletion":
        removed, added = int(rng.integers(1, 9)), 0
    else:
        removed, added = (int(n) for n in rng.permutation([1, 2, 3, 4, 5])[:2])
    ref = reference.bases(contig, at, at + removed)
    new = "".join(rng.choice(list("ACGT"), added))
    around = reference.bases(contig, at - _FROM_EDGE_NT // 2, at + removed + _FROM_EDGE_NT // 2)
    if "N" in around:
        return None
    edit = trimmed(at, ref, new)
    if (len(edit.ref), len(edit.alt)) != (removed, added):
        return None
    return moved(edit, reference, contig, -1).edit


def _near(contig: str, edit: Edit, other: PlantedVariant) -> bool:
    return (
        contig == other.contig and edit.start < other.end + _APART_NT and other.start < edit.end + _APART_NT
    )


def _place(reference: Reference, variant: PlantedVariant) -> tuple[int, int]:
    return list(reference.lengths_nt).index(variant.contig), variant.start
