"""``chip.tsv``, ``chip.genes.tsv`` and ``chip.result.json``: what a command writes of one sample."""

from collections.abc import Sequence
from pathlib import Path

from chip.call import ChipCalls
from pipeline.formats.atomic import write_json
from pipeline.formats.csv_table import number_cell, write_csv
from pipeline.formats.records import to_json
from pipeline.model.chip import ChipGene, ChipVariant

__all__ = ["beside", "write_calls"]

_VARIANT_COLUMNS = (
    "chrom", "pos", "ref", "alt", "gene", "hgvsc", "hgvsp", "vaf", "vaf_low", "vaf_high", "verdict",
    "rule_id", "reason", "citation",
)  # fmt: skip
_MORE_COLUMNS = (
    "kind", "depth", "alt_depth", "counted", "at_threshold", "in_tumour", "caution", "flags", "patient_id",
    "timepoint", "collected_on",
)  # fmt: skip
_GENE_COLUMNS = ("gene", "covered_fraction", "molecules_median", "detectable_vaf", "status")


def beside(out: Path, name: str) -> Path:
    """A file beside ``out``: chip.tsv has chip.genes.tsv and chip.result.json.

    >>> str(beside(Path("x/chip.tsv"), "genes.tsv"))
    'x/chip.genes.tsv'
    """
    return out.with_name(f"{out.name.removesuffix('.tsv')}.{name}")


def write_calls(out: Path, calls: ChipCalls, rule_set_ids: Sequence[str], notes: Sequence[str] = ()) -> None:
    """Write one sample's tables and result; ``notes`` are what reading its files had to say."""
    columns = [*_VARIANT_COLUMNS, *(f"verdict_{name}" for name in rule_set_ids), *_MORE_COLUMNS]
    write_csv(out, columns, (_variant(v) for v in calls.variants), delimiter="\t")
    write_csv(beside(out, "genes.tsv"), _GENE_COLUMNS, (_gene(g) for g in calls.genes), delimiter="\t")
    document = {**to_json(calls.results[0]), "notes": list(notes)}
    write_json(beside(out, "result.json"), document)


def _variant(v: ChipVariant) -> list[str]:
    verdicts = [said.rpartition("=")[2] for said in v.by_set.split(";")]
    in_tumour = "" if v.in_tumour is None else ("Y" if v.in_tumour else "N")
    day = "" if v.collected_on is None else v.collected_on.isoformat()
    return [
        v.chrom, _whole(v.pos), v.ref, v.alt, v.gene, v.hgvsc, v.hgvsp,
        number_cell(v.vaf, digits=6), number_cell(v.vaf_low, digits=6), number_cell(v.vaf_high, digits=6),
        v.verdict, v.rule_id, v.reason, v.citation, *verdicts,
        v.kind, _whole(v.depth), _whole(v.alt_depth), v.counted, v.at_threshold, in_tumour, v.caution,
        v.flags, v.patient_id, v.timepoint, day,
    ]  # fmt: skip


def _gene(g: ChipGene) -> list[str]:
    numbers = (g.covered_fraction, g.molecules_median, g.detectable_vaf)
    return [g.gene, *(number_cell(n, digits=6) for n in numbers), g.status.value]


def _whole(value: int | None) -> str:
    return "" if value is None else str(value)
