"""What is true of a simulated library: variants with the molecules that have them, and errors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import __version__
from pipeline.formats.atomic import replacing
from pipeline.variants.reference import Reference
from pipeline.variants.simulation.planted import PlantedVariant

__all__ = ["LibraryTruth", "write_truth_vcf"]

_INFO = {
    "KIND": ("String", "snv, mnv, insertion, deletion or complex"),
    "VAF": ("Float", "Share of molecules that the variant was drawn with"),
    "HAPLOTYPE": ("Integer", "Of a germline variant: 1, 2, or 3 for both"),
    "MOLECULES": ("Integer", "Sequenced molecules over the variant"),
    "MUTANT": ("Integer", "Of these, the ones that have it"),
    "DUPLEX": ("Integer", "Molecules over the variant with reads of both strands"),
    "DUPLEX_MUTANT": ("Integer", "Of these, the ones that have it"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryTruth:
    """One library. ``tally`` is (variants, 4) int64: molecules, mutant, duplex, duplex mutant."""

    planted: tuple[PlantedVariant, ...]
    tally: NDArray[np.int64]
    counts: dict[str, int]
    molecules: int
    duplex_molecules: int
    read_pairs: int

    def as_json(self) -> dict[str, Any]:
        """Numbers of the library and of its errors."""
        return {
            "molecules": self.molecules,
            "duplex_molecules": self.duplex_molecules,
            "read_pairs": self.read_pairs,
            "errors": self.counts,
        }


def write_truth_vcf(path: Path, truth: LibraryTruth, reference: Reference, sample: str) -> None:
    """Write the planted variants, left-aligned, as bgzipped and indexed VCF."""
    import pysam

    text = "\n".join([*_header(truth, reference, sample), *_records(truth, reference)]) + "\n"
    with replacing(path) as temporary, pysam.BGZFile(str(temporary), "wb", None) as file:
        file.write(text.encode())
    pysam.tabix_index(str(path), preset="vcf", force=True)


def _header(truth: LibraryTruth, reference: Reference, sample: str) -> list[str]:
    contigs = dict.fromkeys(v.contig for v in truth.planted)
    lines = ["##fileformat=VCFv4.4", f"##source=nadir variants simulate {__version__}"]
    lines += [
        f"##contig=<ID={name},length={length},md5={reference.md5(name)}>"
        for name, length in reference.lengths_nt.items()
        if name in contigs
    ]
    lines += ['##INFO=<ID=GERMLINE,Number=0,Type=Flag,Description="On a whole haplotype">']
    lines += [
        f'##INFO=<ID={name},Number=1,Type={kind},Description="{text}">'
        for name, (kind, text) in _INFO.items()
    ]
    lines += ['##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">']
    return [*lines, f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{sample}"]


def _records(truth: LibraryTruth, reference: Reference) -> list[str]:
    order = {name: i for i, name in enumerate(reference.lengths_nt)}
    rows = []
    for variant, tally in zip(truth.planted, truth.tally.tolist(), strict=True):
        start, ref, alt = variant.start, variant.ref, variant.alt
        if not ref or not alt:
            start -= 1
            anchor = reference.bases(variant.contig, start, start + 1)
            ref, alt = anchor + ref, anchor + alt
        genotype = ("0/1", "1|0", "0|1", "1|1")[variant.haplotype]
        info = ["GERMLINE", f"HAPLOTYPE={variant.haplotype}"] if variant.haplotype else []
        info += [f"KIND={variant.kind}", f"VAF={variant.vaf:g}"]
        info += [
            f"{k}={n}" for k, n in zip(("MOLECULES", "MUTANT", "DUPLEX", "DUPLEX_MUTANT"), tally, strict=True)
        ]
        cells = [variant.contig, str(start + 1), ".", ref, alt, ".", "PASS", ";".join(info), "GT", genotype]
        rows.append((order[variant.contig], start, "\t".join(cells)))
    return [text for _, _, text in sorted(rows)]
