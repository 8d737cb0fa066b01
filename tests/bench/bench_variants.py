"""Speed of variant annotation on the 51-gene panel.

    python tests/bench/bench_variants.py [--variants 50000] [--panel DIR]

Substitutions, insertions, deletions, duplications and exchanges drawn over the exons of all genes (seed
given) and 8 bases beyond, written as one VCF with depth and allele counts. Two rows: names alone
(``Annotator.effects``) and the file (``annotate_vcf``: VCF read, annotated, bgzipped VCF written, reference
and gene models read before). CPU seconds are user and system seconds of the process after imports, on one
thread; memory is the largest resident memory of the process.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from pipeline.variants.annotate import annotate_vcf
from pipeline.variants.effect import Annotator
from pipeline.variants.gene_models import read_gene_models
from pipeline.variants.reference import Reference

PANEL = Path(__file__).resolve().parents[3] / "shared" / "data" / "chip_reference"


def drawn(annotator: Annotator, variants: int, seed: int) -> list[tuple[str, int, str, str]]:
    """Variants in the order of their places."""
    rng = np.random.default_rng(seed)
    exons = [(t.contig, *exon) for t in annotator.models.transcripts for exon in t.exons]
    lengths = np.array([end - start for _, start, end in exons], dtype=float)
    found: set[tuple[str, int, str, str]] = set()
    while len(found) < variants:
        contig, start, end = exons[rng.choice(len(exons), p=lengths / lengths.sum())]
        at = int(rng.integers(max(start - 8, 10), end + 8))
        size = int(rng.integers(1, 6))
        ref = annotator.reference.bases(contig, at, at + size + 1)
        new = "".join(rng.choice(list("ACGT"), size))
        if "N" in ref:
            continue
        ref, alt = [
            (ref[0], new[0]),
            (ref[0], new[0]),
            (ref[0], ref[0] + new),
            (ref, ref[0]),
            (ref[0], ref[0] + ref[1:]),
            (ref, new),
        ][rng.integers(6)]
        if ref != alt:
            found.add((contig, at + 1, ref, alt))
    return sorted(found)


def write_vcf(path: Path, annotator: Annotator, variants: list[tuple[str, int, str, str]]) -> None:
    """Write the variants as one sample's calls."""
    lines = ["##fileformat=VCFv4.4"]
    lines += [f"##contig=<ID={name},length={n}>" for name, n in annotator.reference.lengths_nt.items()]
    lines += [
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="d">',
        '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="d">',
        '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="d">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS",
    ]
    lines += [f"{c}\t{p}\t.\t{ref}\t{alt}\t.\tPASS\t.\tGT:DP:AD\t0/1:90:80,10" for c, p, ref, alt in variants]
    path.write_text("\n".join(lines) + "\n")


def main() -> None:
    """Measure and print two rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, default=50_000)
    parser.add_argument("--panel", type=Path, default=PANEL)
    arguments = parser.parse_args()
    with Reference(arguments.panel / "panel51.fa.gz") as bases:
        models = read_gene_models(arguments.panel / "panel51.gff3", reference=bases)
        variants = drawn(Annotator(bases, models), arguments.variants, seed=7)
        fresh = Annotator(bases, models)
        begin = time.process_time()
        for variant in variants:
            fresh.effects(*variant)
        report("names alone", len(variants), time.process_time() - begin)
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "in.vcf"
            write_vcf(source, fresh, variants)
            begin = time.process_time()
            annotate_vcf(source, Path(folder) / "out.vcf.gz", Annotator(bases, models))
            report("file to file", len(variants), time.process_time() - begin)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")  # noqa: T201


def report(what: str, variants: int, seconds: float) -> None:
    """Print one row."""
    print(f"{what}: {variants:,} in {seconds:.2f} CPU s: {variants / seconds:,.0f} a second")  # noqa: T201


if __name__ == "__main__":
    main()
