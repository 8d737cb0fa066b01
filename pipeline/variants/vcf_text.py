"""VCF records as text: header numbers, multi-allelic records split, INFO replaced."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["ContigLine", "Numbers", "contig_lines", "split_alleles", "with_info", "without_lines"]

_DECLARED = re.compile(r"##(INFO|FORMAT)=<ID=([^,>]+),Number=([^,>]+)")
_CONTIG = re.compile(r"##contig=<(.*)>\s*$")
_UNSAFE = re.compile(r"[%;=,\s]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContigLine:
    """What the header says of a contig."""

    length_nt: int | None
    md5: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Fields whose number of values depends on the alleles: ``A``, ``R`` or ``G`` by name."""

    info: dict[str, str]
    format: dict[str, str]

    @classmethod
    def of(cls, header: str) -> "Numbers":
        """Those that a header declares."""
        found: dict[str, dict[str, str]] = {"INFO": {}, "FORMAT": {}}
        for kind, name, number in _DECLARED.findall(header):
            if number in ("A", "R", "G"):
                found[kind][name] = number
        return cls(info=found["INFO"], format=found["FORMAT"])


def contig_lines(header: str) -> dict[str, ContigLine]:
    """Lengths and MD5s of the header's contigs, by name."""
    found = {}
    for line in header.splitlines():
        match = _CONTIG.match(line)
        if match:
            pairs = dict(part.split("=", 1) for part in match[1].split(",") if "=" in part)
            length = pairs.get("length", "")
            md5 = pairs.get("md5", pairs.get("M5", "")).strip('"')
            found[pairs.get("ID", "")] = ContigLine(
                length_nt=int(length) if length.isdigit() else None, md5=md5 or None
            )
    return found


def without_lines(header: str, names: Iterable[str]) -> list[str]:
    """Lines of the header but the last, without the INFO lines of ``names``."""
    starts = tuple(f"##INFO=<ID={name}," for name in names)
    return [line for line in header.splitlines() if not line.startswith((*starts, "#CHROM"))]


def split_alleles(cells: Sequence[str], numbers: Numbers) -> list[list[str]]:
    """One record an alternative allele; ``cells`` are the record's columns.

    Fields declared ``A``, ``R`` or ``G`` (two alleles a genotype) keep the values of the allele; where
    their number is not as declared they become ``.``. In genotypes, an allele that is neither the
    reference nor this one becomes ``.``.
    """
    alternatives = cells[4].split(",")
    if len(alternatives) == 1:
        return [list(cells)]
    count = len(alternatives)
    records = []
    for allele, alt in enumerate(alternatives, start=1):
        record = list(cells)
        record[4] = alt
        record[7] = ";".join(
            _info_of_allele(part, numbers.info, allele, count) for part in cells[7].split(";")
        )
        if len(cells) > 9:
            keys = cells[8].split(":")
            record[9:] = [_sample_of_allele(s, keys, numbers.format, allele, count) for s in cells[9:]]
        records.append(record)
    return records


def with_info(info: str, values: Mapping[str, Sequence[str | None]]) -> str:
    """INFO with lists of values set; a list without any value, or with None in it, says ``.`` there.

    Keys of ``values`` that INFO has already are replaced; a list that is all None is left out.
    Characters with a meaning in INFO are percent-encoded (VCF 4.3, "character encoding").
    """
    kept = [p for p in info.split(";") if p not in ("", ".") and p.split("=", 1)[0] not in values]
    for key, items in values.items():
        if any(item is not None for item in items):
            kept.append(f"{key}={','.join('.' if i is None else _safe(i) for i in items)}")
    return ";".join(kept) or "."


def _safe(text: str) -> str:
    return _UNSAFE.sub(lambda m: f"%{ord(m[0]):02X}", text)


def _info_of_allele(part: str, numbers: dict[str, str], allele: int, count: int) -> str:
    key, equals, value = part.partition("=")
    if not equals or key not in numbers:
        return part
    return f"{key}={_of_allele(value, numbers[key], allele, count)}"


def _sample_of_allele(
    sample: str, keys: Sequence[str], numbers: dict[str, str], allele: int, count: int
) -> str:
    values = sample.split(":")
    for i, (key, value) in enumerate(zip(keys, values, strict=False)):
        if key == "GT":
            values[i] = re.sub(r"\d+", lambda m: _genotype_allele(int(m[0]), allele), value)
        elif key in numbers:
            values[i] = _of_allele(value, numbers[key], allele, count)
    return ":".join(values)


def _genotype_allele(held: int, allele: int) -> str:
    if held == 0:
        return "0"
    return "1" if held == allele else "."


def _of_allele(value: str, number: str, allele: int, count: int) -> str:
    values = value.split(",")
    if number == "A" and len(values) == count:
        return values[allele - 1]
    if number == "R" and len(values) == count + 1:
        return f"{values[0]},{values[allele]}"
    if number == "G" and len(values) == (count + 1) * (count + 2) // 2:
        first = allele * (allele + 1) // 2  # genotypes are ordered 00 01 11 02 12 22 ...
        return f"{values[0]},{values[first]},{values[first + allele]}"
    return "."
