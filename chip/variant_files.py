"""Candidates from VCF and from tables: what a caller or a laboratory found, with what it counted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from chip.evidence import Candidate, Counts, Strands
from chip.rules.genes import gene_named
from chip.slippage import RUN_LENGTH_MIN_NT
from pipeline.errors import InputRefused, Problem, SheetRefused
from pipeline.formats.delimited import Record, read_table
from pipeline.formats.named_cells import finite_number, named_cells, named_columns
from pipeline.formats.sheet_cells import Refusal

__all__ = ["VariantFile", "read_variants"]

_COLUMNS = (
    "gene", "protein_change", "cdna_change", "in_tumour", "chrom", "pos", "ref", "alt", "vaf", "depth",
    "alt_depth",
)  # fmt: skip
_NO_VARIANT = (".", "*", "<NON_REF>", "<*>")
_ANNOTATE = "run `nadir variants annotate` on it, or give --reference and --genes"
_TABLE_REMEDY = f"give the columns gene and protein_change or cdna_change ({', '.join(_COLUMNS)})"
# Lengths of contigs by which builds are told apart, in nucleotides.
_BUILDS = {
    "GRCh38": {"1": 248_956_422, "9": 138_394_717, "21": 46_709_983, "X": 156_040_895},
    "GRCh37": {"1": 249_250_621, "9": 141_213_431, "21": 48_129_895, "X": 155_270_560},
    "T2T-CHM13": {"1": 248_387_328, "9": 150_617_247, "21": 45_090_682, "X": 154_259_566},
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantFile:
    """Candidates of a file in its order, its genome build (empty where it does not say), and notes."""

    candidates: tuple[Candidate, ...]
    build: str
    notes: tuple[str, ...]


def read_variants(path: Path, *, needs_names: bool = True) -> VariantFile:
    """Read a VCF (plain, bgzipped, BCF) or a table of named changes.

    Parameters
    ----------
    path
        A name that ends in ``.vcf``, ``.vcf.gz``, ``.vcf.bgz`` or ``.bcf`` is a VCF; all else a table.
    needs_names
        Whether a VCF without genes and HGVS names is refused.

    Raises
    ------
    InputRefused
        If it cannot be read, has several samples, or lacks names that are needed.
    SheetRefused
        With every row of a table that cannot be used.
    """
    if path.name.lower().endswith((".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")):
        return _read_vcf(path, needs_names=needs_names)
    return _read_rows(path)


def _read_vcf(path: Path, *, needs_names: bool) -> VariantFile:
    import pysam

    before = pysam.set_verbosity(0)
    found: list[Candidate] = []
    skipped = without_counts = 0
    try:
        with pysam.VariantFile(str(path)) as file:
            if len(file.header.samples) > 1:
                raise InputRefused(
                    f"holds {len(file.header.samples)} samples", path=path, expected="one sample"
                )
            if needs_names and "GENE" not in file.header.info:
                raise InputRefused("has no genes and HGVS names (INFO GENE)", path=path, remedy=_ANNOTATE)
            build = _build({c.name: c.length for c in file.header.contigs.values()})
            for record in file:
                for index, alt in enumerate(record.alts or (), start=1):
                    if alt in _NO_VARIANT:
                        skipped += 1
                        continue
                    candidate = _candidate(record, index)
                    without_counts += candidate.counts is None
                    found.append(candidate)
    except (OSError, ValueError) as error:
        raise InputRefused("cannot be read as VCF", path=path, expected="VCF, VCF.gz or BCF") from error
    finally:
        pysam.set_verbosity(before)
    notes = []
    if not build:
        notes.append("the genome build is not stated: population frequencies and U2AF1's copy need GRCh38")
    if skipped:
        notes.append(f"{skipped} alleles are no variants (reference blocks, overlapping deletions)")
    if without_counts:
        notes.append(f"{without_counts} variants have no depth: their evidence is not tested")
    return VariantFile(candidates=tuple(found), build=build, notes=tuple(notes))


def _build(lengths: Mapping[str, int | None]) -> str:
    """The build whose lengths the contigs have; empty where none or not stated."""
    bare = {name.removeprefix("chr"): length for name, length in lengths.items()}
    for build, known in _BUILDS.items():
        shared = [name for name in known if bare.get(name)]
        if shared and all(bare[name] == known[name] for name in shared):
            return build
    return ""


def _candidate(record: Any, index: int) -> Candidate:
    info, alt = record.info, record.alts[index - 1]
    run, error = _whole_of(info, "HOMOPOLYMER"), _number(info, "ERR")
    names, at = _values(info, "GENE"), 0
    for number, name in enumerate(names):  # an allele on several genes goes by the one that rules know
        if gene_named(name) is not None:
            at = number
            break
    per_gene = {key: _values(info, key) for key in ("HGVSC", "HGVSP", "CSQ")}
    picked = {key: v[at] if at < len(v) else "" for key, v in per_gene.items()}
    hgvsp = "" if picked["HGVSP"] == "." else picked["HGVSP"]
    return Candidate(
        chrom=record.chrom,
        pos=record.pos,
        ref=record.ref.upper(),
        alt=alt.upper(),
        gene=names[at] if names else "",
        hgvsc="" if picked["HGVSC"] == "." else picked["HGVSC"],
        hgvsp=hgvsp,
        terms=tuple(t for t in picked["CSQ"].split("&") if t and t != "."),
        counts=_counts(record, index, background=error),
        filters=tuple(name for name in record.filter if name != "PASS"),
        run_length_nt=run,
        slippage=error if _is_indel(record.ref, alt) and (run or 0) >= RUN_LENGTH_MIN_NT else None,
    )


def _values(info: Any, key: str) -> list[str]:
    if key not in info:
        return []
    value = info[key]
    return [unquote(str(v)) for v in (value if isinstance(value, tuple) else (value,)) if v is not None]


def _number(info: Any, key: str) -> float | None:
    value = info[key] if key in info else None  # noqa: SIM401  get() fails on a key the header lacks
    first = value[0] if isinstance(value, tuple) else value
    return float(first) if isinstance(first, int | float) else None


def _whole_of(info: Any, key: str) -> int | None:
    number = _number(info, key)
    return None if number is None else int(number)


def _is_indel(ref: str, alt: str) -> bool:
    return len(ref) != len(alt)


def _counts(record: Any, index: int, *, background: float | None) -> Counts | None:
    if not len(record.samples):
        return None
    sample = record.samples[0]
    counts, depth = sample.get("AD"), sample.get("DP")
    if not isinstance(counts, tuple) or len(counts) <= index or counts[index] is None:
        return None
    total = sum(c for c in counts if c is not None)
    alt = int(counts[index])
    is_own = "DUP" in record.format  # nadir's: molecules, and ADF and ADR are strands of the molecule
    strands = _sides(sample, index, "ADF", "ADR") or _sides_of_four(sample, "SB")
    return Counts(
        depth=max(int(depth) if depth is not None else total, alt),
        alt=alt,
        counted="molecules" if is_own else "reads",
        strands=strands if not is_own else None,
        orientations=strands if is_own else _sides(sample, index, "F1R2", "F2R1"),
        end_distance_nt=_number(record.info, "END_DISTANCE"),
        background=background,
    )


def _sides(sample: Any, index: int, first: str, second: str) -> Strands | None:
    forward, reverse = sample.get(first), sample.get(second)
    for side in (forward, reverse):
        if not isinstance(side, tuple) or len(side) <= index or None in (side[0], side[index]):
            return None
    return Strands(
        ref_forward=int(forward[0]),
        ref_reverse=int(reverse[0]),
        alt_forward=int(forward[index]),
        alt_reverse=int(reverse[index]),
    )


def _sides_of_four(sample: Any, key: str) -> Strands | None:
    value = sample.get(key)
    if not isinstance(value, tuple) or len(value) != 4 or None in value:
        return None
    a, b, c, d = (int(v) for v in value)
    return Strands(ref_forward=a, ref_reverse=b, alt_forward=c, alt_reverse=d)


def _read_rows(path: Path) -> VariantFile:
    table = read_table(path, _COLUMNS)
    names = named_columns(table, ("gene",), path=path, remedy=_TABLE_REMEDY)
    if not {"protein_change", "cdna_change"} & set(names):
        raise InputRefused("has neither protein_change nor cdna_change", path=path, remedy=_TABLE_REMEDY)
    rows = list(_rows(table.records, names))
    problems = [row for row in rows if isinstance(row, Problem)]
    if problems:
        raise SheetRefused(path, problems)
    found = tuple(row for row in rows if isinstance(row, Candidate))
    if not found:
        raise InputRefused("holds no variant", path=path, remedy=_TABLE_REMEDY)
    without = sum(c.counts is None for c in found)
    notes = (f"{without} variants have no depth: their evidence is not tested",) if without else ()
    return VariantFile(candidates=found, build="", notes=notes)


def _rows(records: Sequence[Record], names: Sequence[str]) -> Iterator[Candidate | Problem]:
    for record in records:
        cells = named_cells(record, names)
        if isinstance(cells, Refusal):
            yield cells.at(record.line, None)
            continue
        try:
            yield _row(cells)
        except _BadCell as bad:
            yield Refusal("cell_impossible", bad.cause, bad.remedy).at(record.line, bad.column)


class _BadCell(ValueError):
    def __init__(self, column: str, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.column, self.cause, self.remedy = column, cause, remedy


def _row(cells: Mapping[str, str]) -> Candidate:
    if not cells["gene"]:
        raise _BadCell("gene", "there is no gene", "name it")
    if not cells.get("protein_change") and not cells.get("cdna_change"):
        raise _BadCell("protein_change", "no change is named", "name it as p. or c.")
    depth, alt_depth, pos = (_whole(cells, column) for column in ("depth", "alt_depth", "pos"))
    vaf = _share(cells, "vaf")
    if depth is not None and alt_depth is None and vaf is not None:
        alt_depth = round(vaf * depth)
    counts = None
    if depth is not None and alt_depth is not None:
        if alt_depth > depth:
            raise _BadCell("alt_depth", "is more than the depth", "give counts of one site")
        counts = Counts(depth=depth, alt=alt_depth)
    return Candidate(
        chrom=cells.get("chrom", ""),
        pos=pos,
        ref=cells.get("ref", "").upper(),
        alt=cells.get("alt", "").upper(),
        gene=cells["gene"],
        hgvsc=cells.get("cdna_change", ""),
        hgvsp=cells.get("protein_change", ""),
        counts=counts,
        vaf=vaf,
        in_tumour=_yes_no(cells, "in_tumour"),
    )


def _whole(cells: Mapping[str, str], column: str) -> int | None:
    text = cells.get(column, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        raise _BadCell(column, "is no whole number", "give a count, or nothing")
    return int(text)


def _share(cells: Mapping[str, str], column: str) -> float | None:
    text = cells.get(column, "")
    number = finite_number(text)
    if not text:
        return None
    if number is None or not 0 <= number <= 1:
        raise _BadCell(column, "is no fraction from 0 to 1", "write 2 % as 0.02")
    return number


def _yes_no(cells: Mapping[str, str], column: str) -> bool | None:
    text = cells.get(column, "").upper()
    if text in ("Y", "YES"):
        return True
    if text in ("N", "NO"):
        return False
    if not text:
        return None
    raise _BadCell(column, "is neither Y nor N", "write Y, N or nothing")
