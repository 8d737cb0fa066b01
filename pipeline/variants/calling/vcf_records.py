"""Calls as VCF 4.4 text; `docs/methods/variant_calls.md` describes the fields."""

from collections.abc import Iterable, Iterator
from math import log10

from pipeline import __version__
from pipeline.variants.calling.caller import Call
from pipeline.variants.calling.filters import FILTERS
from pipeline.variants.reference import Reference

__all__ = ["header_lines", "record_line"]

_INFO = (
    ("KIND", "1", "String", "snv, mnv, insertion, deletion or complex"),
    ("ERR", "1", "Float", "Error probability per molecule of this allele here"),
    ("PVALUE", "1", "Float", "Probability of evidence as strong by error alone"),
    ("LLR", "1", "Float", "log10 likelihood ratio of this VAF against error alone"),
    ("CONTEXT", "1", "String", "Reference bases before, at and after the position"),
    ("HOMOPOLYMER", "1", "Integer", "Longest run of equal bases at or beside the position"),
    ("MQ", "1", "Float", "Mean mapping quality of supporting molecules"),
    ("END_DISTANCE", "1", "Float", "Median distance from the nearer end of the fragment"),
    ("MISMATCHES", "1", "Float", "Mean number of other differences of supporting molecules"),
)
_FORMAT = (
    ("GT", "1", "String", "Genotype: 0/0 where looked for and not found, ./. without coverage"),
    ("DP", "1", "Integer", "Molecules that could show the allele"),
    ("AD", "R", "Integer", "Molecules with the reference, with the allele"),
    ("ADF", "R", "Integer", "Of these, read on their forward strand (duplex molecules count on both)"),
    ("ADR", "R", "Integer", "Of these, read on their reverse strand"),
    ("DUP", "1", "Integer", "Duplex molecules with the allele"),
    ("DPD", "1", "Integer", "Duplex molecules that could show it"),
    ("VAF", "1", "Float", "Share of molecules with the allele"),
    ("VAF_LOW", "1", "Float", "Lower bound of VAF, 95 %, Wilson"),
    ("VAF_HIGH", "1", "Float", "Upper bound of VAF"),
    ("LOD", "1", "Float", "Smallest VAF called here with probability 0.95"),
    ("READS", "1", "Integer", "Reads at the site, overlapping mates once"),
)
_FORWARD, _REVERSE = (0, 2, 4), (1, 3, 4)


def header_lines(reference: Reference, contigs: Iterable[str], sample: str) -> Iterator[str]:
    """Lines of the header; contigs with length and MD5."""
    yield "##fileformat=VCFv4.4"
    yield f"##source=nadir variants call {__version__}"
    for name in contigs:
        yield f"##contig=<ID={name},length={reference.lengths_nt[name]},md5={reference.md5(name)}>"
    yield '##FILTER=<ID=PASS,Description="Called">'
    for name, text in FILTERS.items():
        yield f'##FILTER=<ID={name},Description="{text}">'
    for table, lines in (("INFO", _INFO), ("FORMAT", _FORMAT)):
        for name, number, kind, text in lines:
            yield f'##{table}=<ID={name},Number={number},Type={kind},Description="{text}">'
    yield f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{sample}"


def record_line(call: Call) -> str:
    """One record."""
    allele = call.allele
    cells = [
        call.contig,
        str(allele.position + 1),
        ".",
        allele.ref,
        allele.alt,
        f"{-10 * log10(call.p_value) + 0.0:.1f}",
        ";".join(call.reasons) or "PASS",
        ";".join(f"{key}={value}" for key, value in _info(call) if value is not None),
        ":".join(name for name, *_ in _FORMAT),
        ":".join(_sample(call)),
    ]
    return "\t".join(cells)


def _info(call: Call) -> list[tuple[str, str | None]]:
    return [
        ("KIND", call.kind),
        ("ERR", f"{call.error_rate:.3g}"),
        ("PVALUE", f"{call.p_value:.3g}"),
        ("LLR", f"{call.log10_ratio:.2f}"),
        ("CONTEXT", call.context),
        ("HOMOPOLYMER", str(call.run_nt)),
        ("MQ", _number(call.mapping_quality, ".1f")),
        ("END_DISTANCE", _number(call.end_distance, ".1f")),
        ("MISMATCHES", _number(call.mismatches, ".2f")),
    ]


def _sample(call: Call) -> list[str]:
    low, high = (None, None) if call.interval is None else call.interval
    return [
        call.genotype,
        str(call.depth()),
        f"{call.ref_depth()},{call.alt_depth()}",
        f"{call.ref_depth(_FORWARD)},{call.alt_depth(_FORWARD)}",
        f"{call.ref_depth(_REVERSE)},{call.alt_depth(_REVERSE)}",
        str(call.alt_depth((4,))),
        str(call.depth((4,))),
        *(_number(value, ".6g") or "." for value in (call.vaf, low, high, call.lod)),
        str(call.reads),
    ]


def _number(value: float | None, form: str) -> str | None:
    return None if value is None else format(value, form)
