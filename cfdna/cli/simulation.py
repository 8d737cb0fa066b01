"""``nadir cfdna simulate``: shallow sequencing of a plasma with a known karyotype and tumour fraction."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.formats.sample_options import Json, say, write_document

__all__ = ["simulate"]


def simulate(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="bins.tsv, karyotype.bed, truth.json.")],
    tumour_fraction: Annotated[
        float, typer.Option("--tumour-fraction", min=0.0, max=1.0, help="Share of tumour DNA, by cells.")
    ] = 0.05,
    coverage: Annotated[
        float, typer.Option("--coverage", min=0.001, max=100.0, help="Mean depth of the genome.")
    ] = 0.1,
    karyotype: Annotated[
        Path | None,
        typer.Option(
            "--karyotype",
            metavar="K.bed",
            help="chrom, start, end, copies [chromosomes 3 5 9 15, 1q gained].",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same bytes.")] = 1,
    json_output: Json = False,
) -> None:
    """Write bins of a simulated plasma with the karyotype and the truth, for `nadir cfdna fraction`."""
    import numpy as np

    from cfdna.copy_number.bin_files import read_karyotype, write_bins
    from cfdna.copy_number.genome import arms
    from cfdna.copy_number.informed import Segment
    from cfdna.copy_number.simulated_bins import simulate_bins
    from pipeline.formats.atomic import write_text

    if karyotype is not None:
        segments = read_karyotype(karyotype)
    else:
        gained = [a for a in arms() if a.chromosome in ("3", "5", "9", "15") or a.name == "1q"]
        segments = tuple(Segment(chrom=a.chromosome, start=a.start, end=a.end, copies=3.0) for a in gained)
    bins = simulate_bins(segments, tumour_fraction, np.random.default_rng(seed), coverage=coverage)
    write_bins(out / "bins.tsv", bins)
    lines = "".join(f"{s.chrom}\t{s.start}\t{s.end}\t{s.copies:g}\n" for s in segments)
    write_text(out / "karyotype.bed", lines)
    truth = {
        "tumour_fraction": tumour_fraction,
        "coverage": coverage,
        "seed": seed,
        "fragments": float(bins.counts.sum()),
        "not_modelled": "subclones, germline copy-number variants, bins odd in every sample; GC is made up",
    }
    write_document(out / "truth.json", truth, json_output)
    say(f"{len(bins)} bins, {bins.counts.sum():,.0f} fragments, tumour fraction {tumour_fraction:g} in {out}")
