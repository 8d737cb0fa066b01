"""``nadir cfdna fragments|identity``: what a BAM says of its DNA and whose it is."""

from itertools import combinations
from pathlib import Path
from typing import Annotated

import typer

from cfdna.cli.options import Bam, ConfigFile, settings_of
from pipeline.formats.sample_options import Json, say, write_document

__all__ = ["fragments", "identity"]


def fragments(
    bam: Bam,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="lengths.csv, motifs.csv, fragments.json.")
    ],
    config: ConfigFile = None,
    json_output: Json = False,
) -> None:
    """Lengths, short-to-long ratio and end motifs of the fragments."""
    from cfdna.counting.alignments import opened_bam
    from cfdna.counting.fragments import motif_diversity, profile_fragments
    from pipeline.formats.csv_table import write_csv
    from pipeline.formats.digest import sha256_file

    settings = settings_of(config)
    with opened_bam(bam) as file:
        profile = profile_fragments(file.fetch(), mapping_quality_min=settings.mapping_quality_min)
    document = {
        "input_sha256": sha256_file(bam),
        "fragments": profile.fragments,
        "median_nt": profile.median_nt,
        "short_long_ratio": profile.short_long_ratio,
        "motif_diversity": motif_diversity(profile.motifs),
    }
    write_csv(
        out / "lengths.csv",
        ("length_nt", "fragments"),
        ((str(nt), str(int(n))) for nt, n in enumerate(profile.lengths) if n),
    )
    write_csv(out / "motifs.csv", ("motif", "ends"), ((m, str(n)) for m, n in profile.motifs.items()))
    write_document(out / "fragments.json", document, json_output)
    ratio, diversity = profile.short_long_ratio, motif_diversity(profile.motifs)
    say(
        f"{profile.fragments:,} fragments, median {profile.median_nt} nt, short to long "
        f"{'none' if ratio is None else f'{ratio:.3f}'}, motif diversity "
        f"{'none' if diversity is None else f'{diversity:.3f}'}; research use only"
    )


def identity(
    bams: Annotated[
        list[Path], typer.Argument(metavar="BAM...", help="Samples to compare.", show_default=False)
    ],
    snps: Annotated[
        Path,
        typer.Option("--snps", metavar="S.vcf", help="Common biallelic SNPs; INFO/AF is their frequency."),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="relations.csv, contamination.csv, identity.json.")
    ],
    config: ConfigFile = None,
    json_output: Json = False,
) -> None:
    """Whether samples are one person's, and how much of another's DNA is in each."""
    from cfdna.identity.genotypes import compare_samples, estimate_contamination
    from cfdna.identity.snp_files import read_snp_counts, read_snps
    from pipeline.formats.csv_table import number_cell, write_csv
    from pipeline.formats.records import to_json

    settings, known = settings_of(config), read_snps(snps)
    counts = [read_snp_counts(bam, known, settings) for bam in bams]
    relations = [compare_samples(a, b) for a, b in combinations(counts, 2)]
    contaminations = [estimate_contamination(c) for c in counts]
    write_csv(
        out / "relations.csv",
        ("first", "second", "snps", "discordant", "log_ratio", "verdict", "reason"),
        (
            (
                r.first,
                r.second,
                str(r.snps),
                str(r.discordant),
                number_cell(r.log_ratio, digits=6),
                r.verdict,
                r.reason,
            )
            for r in relations
        ),
    )
    write_csv(
        out / "contamination.csv",
        ("sample", "snps", "fraction", "low", "high", "reason"),
        (
            (
                c.sample,
                str(c.snps),
                *(number_cell(v, digits=6) for v in (c.fraction, c.low, c.high)),
                c.reason,
            )
            for c in contaminations
        ),
    )
    document = {
        "relations": [to_json(r) for r in relations],
        "contamination": [to_json(c) for c in contaminations],
    }
    write_document(out / "identity.json", document, json_output)
    for relation in relations:
        say(f"{relation.first} and {relation.second}: {relation.verdict} ({relation.reason})")
    for found in contaminations:
        share = "not evaluable" if found.fraction is None else f"{found.fraction:.2%} foreign DNA"
        say(f"{found.sample}: {share} ({found.reason})")
