"""Consequences of drawn variants, ours against `bcftools csq`, on the 51-gene panel.

    python tests/bench/compare_csq.py [--variants 20000] [--seed 3] [--panel DIR]

Needs bcftools on PATH. Terms are compared after what both call by other names; every pair of terms that then
differs is printed with its number and one example.
"""

import argparse
import collections
import gzip
import subprocess
import tempfile
from pathlib import Path

from bench_variants import PANEL, drawn

from pipeline.variants.effect import Annotator
from pipeline.variants.gene_models import read_gene_models
from pipeline.variants.reference import Reference

SAME = {"protein_altering_variant": "inframe"}
SEVERE = (
    "splice_acceptor", "splice_donor", "stop_gained", "frameshift", "stop_lost", "start_lost", "inframe",
    "missense", "stop_retained", "synonymous", "splice_region", "utr", "intron",
)  # fmt: skip


def main() -> None:
    """Draw, annotate twice, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--panel", type=Path, default=PANEL)
    arguments = parser.parse_args()
    with Reference(arguments.panel / "panel51.fa.gz") as bases, tempfile.TemporaryDirectory() as folder:
        annotator = Annotator(bases, read_gene_models(arguments.panel / "panel51.gff3", reference=bases))
        variants = drawn(annotator, arguments.variants, arguments.seed)
        theirs = csq(Path(folder), arguments.panel, bases, variants)
        compare(annotator, variants, theirs)


def csq(
    folder: Path, panel: Path, bases: Reference, variants: list[tuple[str, int, str, str]]
) -> dict[tuple[str, int, str, str], str]:
    """BCSQ of each variant; empty where there is none."""
    fasta, source = folder / "panel.fa", folder / "in.vcf"
    fasta.write_bytes(gzip.decompress((panel / "panel51.fa.gz").read_bytes()))
    lines = ["##fileformat=VCFv4.2"]
    lines += [f"##contig=<ID={name},length={size}>" for name, size in bases.lengths_nt.items()]
    lines += ["#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    lines += [f"{c}\t{p}\t.\t{ref}\t{alt}\t.\t.\t." for c, p, ref, alt in variants]
    source.write_text("\n".join(lines) + "\n")
    command = ["bcftools", "csq", "-l", "-f", str(fasta), "-g", str(panel / "panel51.gff3"), str(source)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            contig, position, _, ref, alt, _, _, info = line.split("\t")[:8]
            found[contig, int(position), ref, alt] = info.partition("BCSQ=")[2]
    return found


def compare(
    annotator: Annotator,
    variants: list[tuple[str, int, str, str]],
    theirs: dict[tuple[str, int, str, str], str],
) -> None:
    """Print agreement of all variants, of substitutions alone, and each kind of difference."""
    differ: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    agreed, single = 0, [0, 0]
    for variant in variants:
        effects = annotator.effects(*variant)
        ours = most_severe({_plain(t) for e in effects for t in e.terms})
        other = most_severe(
            {_plain(t) for part in theirs[variant].split(",") for t in part.split("|")[0].split("&")}
        )
        same = ours == other or {ours, other} <= {"utr", "intron", "none"}  # the panel's GFF3 names no UTR
        same |= (
            {ours, other} == {"stop_gained", "frameshift"}
            and bool(effects)
            and (
                "frameshift_variant"
                in effects[0].terms  # whose first new codon is a stop: both terms are ours
            )
        )
        agreed += same
        if len(variant[2]) == len(variant[3]) == 1:
            single[0] += same
            single[1] += 1
        if not same:
            name = effects[0].hgvs_c if effects else "-"
            differ[other, ours].append(f"{variant} {name}")
    print(f"agree: {agreed:,} of {len(variants):,} ({agreed / len(variants):.4%})")  # noqa: T201
    print(f"single substitutions: {single[0]:,} of {single[1]:,}")  # noqa: T201
    for (other, ours), examples in sorted(differ.items(), key=lambda item: -len(item[1])):
        print(f"{len(examples)}: csq {other}, ours {ours}: {examples[0]}")  # noqa: T201


def most_severe(terms: set[str]) -> str:
    """The first of `SEVERE`."""
    return next((term for term in SEVERE if term in terms), "none")


def _plain(term: str) -> str:
    term = SAME.get(term, term).removesuffix("_variant").lstrip("*@")
    if term.startswith("inframe"):
        return "inframe"
    return "utr" if "UTR" in term or "utr" in term else term


if __name__ == "__main__":
    main()
