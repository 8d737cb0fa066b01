"""``nadir concordance variants``: marrow against plasma, variant by variant."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.figures import Language, words_of, write_figures
from pipeline.errors import UsageError
from pipeline.formats.csv_table import number_cell, write_csv

if TYPE_CHECKING:
    from pipeline.concordance.variants import Observation, VariantKey, VariantRow, VariantSummary

__all__ = ["variants"]

_COLUMNS = (
    "chrom", "pos", "ref", "alt", "gene", "class", "marrow_vaf", "plasma_vaf", "power_marrow", "power_plasma",
    "reason",
)  # fmt: skip
_SUMMARY = ("parameter", "estimate", "ci_low", "ci_high", "n", "reason")
_GENES = ("gene", "shared", "marrow_only", "plasma_only", "not_evaluable", "chip_suspected", "germline")


def variants(
    marrow: Annotated[
        Path, typer.Argument(metavar="MARROW.vcf", help="One sample, with DP and AD.", show_default=False)
    ],
    plasma: Annotated[
        Path, typer.Argument(metavar="PLASMA.vcf", help="One sample, with DP and AD.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for variants.csv.")],
    blood: Annotated[
        Path | None,
        typer.Option(
            "--blood", metavar="B.vcf", help="Blood cells or graft: germline and CHIP are told by it."
        ),
    ] = None,
    decision_count: Annotated[
        int, typer.Option("--decision-count", min=1, help="Molecules that make a call.")
    ] = 2,
    ratio: Annotated[
        float | None,
        typer.Option(
            "--ratio",
            help="Plasma's allele fraction over marrow's, expected of a variant that one lacks "
            "[median of shared variants, from three on; else 1].",
        ),
    ] = None,
    language: Language = "en",
) -> None:
    """Which variants both show, which one lacks although it would have shown them, which say nothing.

    DIR/variants.csv (one row a variant), genes.csv, summary.csv and figures/alleles.svg. A variant that
    one VCF has no record of is uncovered there: `nadir variants call --sites` writes 0/0 records with
    their depth.
    """
    from pipeline.concordance.variants import VariantRules, compare_variants, expected_ratio, summarise
    from pipeline.report.figures.alleles import allele_figure

    texts = words_of(language)
    try:
        rules = VariantRules(decision_count=decision_count, ratio=ratio)
    except ValueError as error:
        raise UsageError(str(error)) from error
    of_marrow, of_plasma = _read(marrow), _read(plasma)
    of_blood = None if blood is None else _read(blood)
    rows = compare_variants(of_marrow, of_plasma, of_blood, rules)
    summary = summarise(rows, expected_ratio(of_marrow, of_plasma, of_blood, rules))
    write_csv(out / "variants.csv", _COLUMNS, map(_cells, rows))
    write_csv(out / "genes.csv", _GENES, _gene_cells(rows))
    write_csv(out / "summary.csv", _SUMMARY, _summary_cells(summary, rows, of_marrow, of_plasma))
    write_figures(
        out / "figures",
        {"alleles": lambda: allele_figure(rows, of_marrow, of_plasma, summary.ratio, texts)},
    )
    counts = ", ".join(f"{n} {c.replace('_', ' ')}" for c, n in summary.counts.items() if n)
    typer.echo(f"{len(rows)} variants: {counts or 'none'}; tables in {out}; research use only", err=True)


def _read(path: Path) -> "dict[VariantKey, Observation]":
    from pipeline.concordance.variants import Observation
    from pipeline.errors import InputRefused
    from pipeline.formats.vcf import read_alleles

    found: dict[VariantKey, Observation] = {}
    for allele in read_alleles(path):
        key = (allele.chrom, allele.pos, allele.ref, allele.alt)
        if key in found:
            raise InputRefused(
                f"holds the allele at position {allele.pos} twice", path=path, remedy="keep one record of it"
            )
        found[key] = Observation(
            depth=allele.depth, alt=allele.alt_count, called=allele.called, gene=allele.gene
        )
    return found


def _cells(row: "VariantRow") -> list[str]:
    numbers = (row.marrow_vaf, row.plasma_vaf, row.power_marrow, row.power_plasma)
    names = [row.chrom, str(row.pos), row.ref, row.alt, row.gene, row.variant_class.value]
    return [*names, *map(number_cell, numbers), row.reason]


def _gene_cells(rows: Sequence["VariantRow"]) -> list[list[str]]:
    genes = sorted({row.gene for row in rows if row.gene})
    return [
        [gene, *(str(sum(r.gene == gene and r.variant_class == name for r in rows)) for name in _GENES[1:])]
        for gene in genes
    ]


def _summary_cells(
    summary: "VariantSummary",
    rows: Sequence["VariantRow"],
    marrow: "dict[VariantKey, Observation]",
    plasma: "dict[VariantKey, Observation]",
) -> list[list[str]]:
    from pipeline.concordance.variants import VariantClass, fraction_line

    cells = [[name.value, str(count), "", "", str(len(rows)), ""] for name, count in summary.counts.items()]
    share = summary.shared_share
    if share is None:
        cells.append(["shared_share", "", "", "", "0", "no evaluable tumour variant"])
    else:
        numbers = [number_cell(v) for v in (share.value, *share.ci)]
        cells.append(["shared_share", *numbers, str(share.pairs), ""])
    cells.append(["expected_ratio", number_cell(summary.ratio), "", "", "", summary.ratio_source])
    shared = [(r.chrom, r.pos, r.ref, r.alt) for r in rows if r.variant_class is VariantClass.SHARED]
    try:
        line = fraction_line([marrow[k] for k in shared], [plasma[k] for k in shared])
    except ValueError as refused:
        return [
            *cells,
            *([f"vaf_{n}", "", "", "", str(len(shared)), str(refused)] for n in ("slope", "intercept")),
        ]
    for name, found in zip(("slope", "intercept"), line, strict=True):
        cells.append([f"vaf_{name}", *map(number_cell, (found.value, *found.ci)), str(found.pairs), ""])
    return cells
